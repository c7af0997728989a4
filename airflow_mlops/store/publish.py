"""Make bytes visible whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upath import UPath


def is_local(path: UPath) -> bool:
    """Whether the path is a file of this machine, where a rename is the commit."""
    return path.protocol in ("", "file", "local")


def publish_bytes(path: UPath, data: bytes) -> None:
    """Write ``data`` at ``path``: a rename on a local disk, one PUT on an object store."""
    if not is_local(path):
        path.fs.pipe_file(path.path, data)
        return
    target = Path(path.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _Beside(target) as spool:
        spool.write_bytes(data)


def publish_file(source: Path, path: UPath) -> None:
    """Bring a finished local file to ``path`` under the same promise; it may be gone from where it was."""
    if not is_local(path):
        # Not through an open file: closing it would make visible what was written before an error.
        path.fs.put_file(str(source), path.path)
        return
    target = Path(path.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.stat().st_dev == target.parent.stat().st_dev:
        _sync(source)
        os.replace(source, target)
        return
    with _Beside(target) as spool:
        shutil.copyfile(source, spool)


def publish_new(source: Path, path: UPath) -> bool:
    """Bring a finished local file to ``path`` unless something is there: of two writers at once the first one counts.

    :return: whether it was this one; where a store cannot tell, the last one counts
    """
    try:
        if is_local(path):
            _publish_once(source, Path(path.path))
        else:
            path.fs.put_file(str(source), path.path, mode="create")
    except FileExistsError:
        return False
    except OSError as error:  # S3's word for it, where it does not say which condition was not met
        path.fs.invalidate_cache()
        if error.errno == errno.EINVAL and path.exists():
            return False
        raise
    return True


def _publish_once(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.stat().st_dev == target.parent.stat().st_dev:
        _sync(source)
        _link(source, target)
        return
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        shutil.copyfile(source, beside)
        _sync(beside)
        _link(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    """A second name, which is refused where there is a file; a rename where the disk knows no second names."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        os.replace(source, target)


def _sync(path: Path) -> None:
    with path.open("rb") as written:
        os.fsync(written.fileno())


class _Beside:
    """A temporary name in the target's own folder (a rename across file systems would copy), renamed on success."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.spool = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")

    def __enter__(self) -> Path:
        return self.spool

    def __exit__(self, failure: object, *_: object) -> None:
        if failure is None:
            _sync(self.spool)
            os.replace(self.spool, self.target)
        else:
            self.spool.unlink(missing_ok=True)
