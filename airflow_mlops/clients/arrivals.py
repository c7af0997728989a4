"""What has arrived: the files below a path, and the rows of a query above a watermark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.polling import SeenFile, SeenRows, row_mark
from airflow_mlops.core.redaction import redact
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import AccessDenied, ConfigurationError, ServiceUnavailable

if TYPE_CHECKING:
    import sqlalchemy as sa
    from upath import UPath

#: What file systems call the time of the last write, and the digest of the content.
_CHANGED = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
_TAG = ("ETag", "etag", "md5Hash", "content_md5", "crc32c")


def list_files(path: UPath, marker: str | None = None) -> list[SeenFile]:
    """The files below a folder, or those that a glob matches and every ``marker`` beside and above them.

    :raises ServiceUnavailable: the file system did not answer
    """
    root, pattern = _root(path.path)
    try:
        path.fs.invalidate_cache()
        if pattern is None:
            found = path.fs.find(root, detail=True)
        else:
            found = path.fs.glob(pattern, detail=True)
            if marker:
                found = {**found, **path.fs.glob(f"{root}/**/{marker}", detail=True)}
        return list(_seen(root, found))
    except FileNotFoundError:
        return []  # a folder that is yet to come
    except PermissionError as error:
        raise AccessDenied(f"{path} may not be listed: {redact(error)}. Check its connection.") from None
    except Exception as error:  # what a file system raises while it is away has no root in common
        raise ServiceUnavailable(f"{path} cannot be listed: {redact(error) or type(error).__name__}.") from None


def _root(path: str) -> tuple[str, str | None]:
    """The folder to look below, and the glob if it is one."""
    parts = path.rstrip("/").split("/")
    wild = next((i for i, part in enumerate(parts) if any(character in part for character in "*?[")), None)
    return ("/".join(parts), None) if wild is None else ("/".join(parts[:wild]), "/".join(parts))


def _seen(root: str, found: Mapping[str, Mapping[str, Any]]) -> Iterator[SeenFile]:
    for name, info in found.items():
        if info.get("type") == "file" and not name.endswith("/"):
            below = name[len(root) :].lstrip("/") if name != root else name.rpartition("/")[2]
            changed, tag = written(info)
            yield SeenFile(below, int(info.get("size") or 0), round(changed, 6), tag)


def written(info: Mapping[str, Any]) -> tuple[float, str]:
    """When a file came to be what and where it is, and what tells its content from another."""
    tag = next((str(info[key]) for key in _TAG if info.get(key)), "")
    if "ino" in info:  # A local file may be moved here long after it was written: that changes the inode alone.
        return max(info["mtime"], info["created"]), str(info["mtime"])
    moment = next((info[key] for key in _CHANGED if info.get(key)), 0.0)
    return moment if isinstance(moment, int | float) else instant(_as_datetime(moment)).timestamp(), tag


def _as_datetime(moment: Any) -> datetime | str:
    return moment if isinstance(moment, datetime) else str(moment)


def count_rows(engine: sa.Engine, query: str, column: str, mark: Any, where: str) -> SeenRows:
    """The rows of a query whose column is above a mark, up to its greatest value; rows without a value do not count.

    :raises ServiceUnavailable: the database did not answer
    """
    import sqlalchemy as sa

    table = f"FROM ({query.rstrip().rstrip(';')}) AS source"
    try:
        with engine.connect() as connection:
            quoted = connection.dialect.identifier_preparer.quote(column)
            newest = connection.execute(sa.text(f"SELECT MAX({quoted}) {table}")).scalar()
            if newest is None:
                return SeenRows(0, None)
            known = row_mark(mark, newest)
            bounds = f"{quoted} <= :newest" + ("" if known is None else f" AND {quoted} > :known")
            statement = sa.text(f"SELECT COUNT(*) {table} WHERE {bounds}")  # the DAG author's own query
            values = {"newest": newest} if known is None else {"newest": newest, "known": known}
            return SeenRows(int(connection.execute(statement, values).scalar_one()), newest)
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        raise ServiceUnavailable(f"Connection {where}: {redact(error)}.") from None
    except sa.exc.SQLAlchemyError as error:
        raise ConfigurationError(f"The query on connection {where} failed: {redact(error)}.") from None
