"""Watermarks: up to where data is known. Plain JSON that a person, a template or an earlier run gives."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any

from airflow_mlops.core.snapshots import digest
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import ConfigurationError

#: So many files are remembered one by one; of older ones, that everything up to some instant is known.
REMEMBERED = 500


def given_mark(value: Any) -> Any:
    """A watermark as it comes: itself, an earlier output that holds one, or either as the text of a template.

    >>> given_mark("{'count': 3, 'watermark': 17}"), given_mark("None"), given_mark("2026-11-01")
    (17, None, '2026-11-01')
    """
    if isinstance(value, str) and value.strip().startswith("{"):
        value = _read(value)
    if isinstance(value, Mapping) and "watermark" in value:
        value = value["watermark"]
    return None if value in (None, "", "None") else value


@dataclass(frozen=True)
class SeenFile:
    """A file of a listing.

    :param name: below the folder that is watched
    :param changed: when it was last written or moved there, in seconds of the epoch
    :param tag: what the file system says of its content, such as an ETag
    """

    name: str
    bytes: int
    changed: float
    tag: str = ""

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]

    @cached_property
    def digest(self) -> str:
        """Another one once the file is another one."""
        return digest([self.name, self.bytes, self.tag or self.changed])[:10]


@dataclass(frozen=True)
class FileMark:
    """Which files are known: all that changed up to an instant, and those of ``taken``, by their digests.

    The newest files are known one by one, so that one which turns up late, or within the same second, is not missed.
    """

    since: float | None = None
    taken: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, value: Any) -> FileMark:
        """Read a watermark, or an instant: what changed after it is new.

        >>> FileMark.parse("1970-01-01T00:01:00Z").since
        60.0
        """
        value = given_mark(value)
        if value is None:
            return cls()
        if isinstance(value, str | date):
            return cls(instant(value, "since").timestamp())
        try:
            since, taken = value["since"], frozenset(map(str, value["taken"]))
        except (KeyError, TypeError) as error:
            raise ConfigurationError(
                f"since {str(value)[:80]!r} is no watermark of files: give that of an earlier run, or an instant."
            ) from error
        return cls(None if since is None else instant(since, "since").timestamp(), taken)

    def to_json(self) -> dict[str, Any]:
        since = None if self.since is None else datetime.fromtimestamp(self.since, UTC).isoformat()
        return {"since": since, "taken": sorted(self.taken)}

    def knows(self, file: SeenFile) -> bool:
        return (self.since is not None and file.changed <= self.since) or file.digest in self.taken

    def after(self, files: Collection[SeenFile], taken: Collection[SeenFile]) -> FileMark:
        """The mark once ``taken`` are known too; every other new file of the listing stays new.

        >>> old, new = SeenFile("a", 1, 10.0), SeenFile("b", 1, 20.0)
        >>> mark = FileMark().after([old, new], [old])
        >>> mark.knows(old), mark.knows(new)
        (True, False)
        """
        known = [file for file in files if self.knows(file)] + list(taken)
        known.sort(key=lambda file: file.changed, reverse=True)
        waiting = min((f.changed for f in {*files} - {*known}), default=math.inf)
        forgotten = [f.changed for f in known[REMEMBERED:] if f.changed < waiting]
        since = max([*forgotten, *([] if self.since is None else [self.since])], default=None)
        return FileMark(since, frozenset(f.digest for f in known if since is None or f.changed > since))


def row_mark(value: Any, like: Any) -> Any:
    """A watermark of rows as a value of the column's type, of which ``like`` is one.

    >>> row_mark("17", 3), row_mark("2026-11-01", datetime(2026, 1, 1))
    (17, datetime.datetime(2026, 11, 1, 0, 0))
    """
    value = given_mark(value)
    if value is None:
        return None
    try:
        if isinstance(like, datetime):
            moment = instant(value, "since")
            return moment if like.tzinfo else moment.replace(tzinfo=None)
        if isinstance(like, date):
            return date.fromisoformat(str(value))
        if isinstance(like, Decimal):
            return Decimal(str(value))
        # A whole number may have become a float on the way, never a text a number by itself.
        return type(like)(value)
    except (TypeError, ValueError, InvalidOperation) as error:
        raise ConfigurationError(
            f"since {str(value)[:80]!r} cannot be compared with the column's {plain_mark(like)!r}: give one like it."
        ) from error


def plain_mark(value: Any) -> Any:
    """A value of a column as JSON that :func:`row_mark` reads back.

    >>> plain_mark(Decimal("1.50")), plain_mark(date(2026, 11, 1))
    ('1.50', '2026-11-01')
    """
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, float) and math.isnan(value):
        raise ConfigurationError("The column's greatest value is NaN, which nothing is greater than: choose another.")
    if value is None or (isinstance(value, int | float | str) and not isinstance(value, bool)):
        return value
    raise ConfigurationError(
        f"A column of {type(value).__name__} has no watermark: name one of numbers, times or text."
    )


def _read(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError):
            continue
    raise ConfigurationError(f"since {text[:80]!r} is neither a watermark nor an earlier output.")
