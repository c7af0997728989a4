"""Look through a store, and remove snapshots from it: the manifest first, so that half of one does not exist."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops._failpoints import point
from airflow_mlops.core.garbage import Removal, Stored
from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.exceptions import SnapshotError
from airflow_mlops.store.snapshots.reading import SPOOL, changed_at, folder_of

if TYPE_CHECKING:
    from upath import UPath


def stored_snapshots(store: UPath) -> Iterator[Stored]:
    """Every folder below ``<store>/snapshots``, finished or not.

    :raises SnapshotError: a manifest cannot be read: nobody knows what it was made from
    """
    root = store / "snapshots"
    store.fs.invalidate_cache()
    folders: dict[tuple[str, str], list[str]] = {}
    for path in store.fs.find(root.path) if root.exists() else ():
        parts = path.removeprefix(root.path).strip("/").split("/")
        if len(parts) == 3:
            folders.setdefault((parts[0], parts[1]), []).append(parts[2])
    for (name, id_), files in folders.items():
        if (found := _stored(store, name, id_, files)) is not None:
            yield found


def _stored(store: UPath, name: str, id_: str, files: list[str]) -> Stored | None:
    folder = folder_of(store, name, id_)
    try:
        changed = max(changed_at(folder / file) for file in files)
        size = sum(int((folder / file).stat().st_size) for file in files)
        if "manifest.json" not in files:
            return Stored(name, id_, changed, size, finished=False)
        manifest = Manifest.from_json(json.loads((folder / "manifest.json").read_text()))
    except FileNotFoundError:  # somebody else removed it just now
        return None
    except json.JSONDecodeError as error:
        raise SnapshotError(
            f"The manifest of {folder} is not JSON, so nobody knows what it was made from: nothing was removed."
        ) from error
    return Stored(name, id_, changed, size, tuple(id_of(uri) for uri in manifest.parents))


def id_of(uri: str) -> str:
    """The snapshot that a URI names, however its store is spelled.

    >>> id_of("s3://aws_default@bucket/mlops/snapshots/flights/0a1b/")
    '0a1b'
    """
    return uri.rstrip("/").rpartition("/")[2]


def remove_snapshot(store: UPath, removal: Removal, *, unless_changed_after: float) -> bool:
    """Remove one snapshot, unless somebody has made it again since; whether it is gone.

    A crash between two files leaves a folder without a manifest, which the next collection removes.
    """
    folder = folder_of(store, removal.name, removal.id)
    store.fs.invalidate_cache()
    files = sorted(store.fs.find(folder.path), key=lambda path: not path.endswith("/manifest.json"))
    try:
        if any(changed_at(folder / path.rpartition("/")[2]) > unless_changed_after for path in files):
            return False
    except FileNotFoundError:
        return False
    for path in files:
        point("remove.before")
        store.fs.rm_file(path)
        point("remove.after")
    for empty in (folder, folder.parent):
        if store.fs.exists(empty.path) and not store.fs.ls(empty.path):
            store.fs.rmdir(empty.path)
    return True


def dead_spools(before: float) -> list[Path]:
    """Temporary folders of this user on this machine that no writer or reader has touched since."""
    found = Path(tempfile.gettempdir()).glob(f"{SPOOL}*")
    return sorted(path for path in found if path.is_dir() and _touched(path) < before)


def _touched(folder: Path) -> float:
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except OSError:  # it is going, or another user's
        return float("inf")


def remove_spool(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
