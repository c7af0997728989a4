"""A folder of numbered deployments, as TensorFlow Serving and Triton read it: the greatest number is what serves.

``<root>/<model>/<number>/`` holds a model's files and ``deployment.json``, which comes last and says which version they
are. The number counts deployments, so that going back to an older version is one more deployment. A number belongs to
one writer alone: on a disk its folder appears whole, by a rename that fails where it is there already; on an object
store the writer claims it first. Who dies on the way leaves a number without a manifest, which is not read.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops._failpoints import around
from airflow_mlops.clients.digests import digest_of
from airflow_mlops.core.deployment import Deployed, Mode, Standing, Wanted
from airflow_mlops.core.deployment.target import deployed_of
from airflow_mlops.core.names import check_name
from airflow_mlops.exceptions import ConfigurationError, ServiceUnavailable

if TYPE_CHECKING:
    from upath import UPath

MANIFEST = "deployment.json"
#: Numbers that are tried before giving up; each lost one is a deployment of somebody else.
_TRIES = 20
#: Seconds after which what a dead writer left is removed.
_ABANDONED = 86400.0


class FolderTarget:
    """Numbered folders below a root, local or at any URI; a server of another make may read them.

    :param root: the folder of all models
    :param keep: so many deployments of a model stay, the newest ones; older ones are removed
    """

    modes: frozenset[Mode] = frozenset(("champion",))
    takes_files = True

    def __init__(self, root: UPath, keep: int = 5) -> None:
        if keep < 2:
            raise ConfigurationError(f"keep: {keep} deployments would leave none to go back to: keep at least 2.")
        self.root = root
        self.keep = keep

    @property
    def address(self) -> str:
        return str(self.root)

    def standing(self, name: str) -> Standing:
        """The greatest number that is whole, with the digest of the bytes that lie there."""
        folder = self.root / check_name(name)
        try:
            for number in reversed(self._numbers(folder)):
                if told := _manifest(folder / str(number)):
                    digest = digest_of(folder / str(number), leave=(MANIFEST,))
                    return Standing(Deployed(told.name, told.version, digest))
        except OSError as error:
            raise ServiceUnavailable(f"The deployments at {folder} cannot be read: {error}.") from error
        return Standing()

    def put(self, wanted: Wanted, files: Path | None) -> None:
        if files is None:
            raise TypeError("A folder takes files.")
        folder = self.root / check_name(wanted.deployed.name)
        manifest = {**wanted.facts, "version": wanted.deployed.version, "at": datetime.now(UTC).isoformat()}
        data = json.dumps(manifest, indent=1).encode()
        try:
            if _is_local(folder):
                self._put_whole(Path(folder.path), files, data)
            else:
                self._put_claimed(folder, files, data)
            self._prune(folder)
        except OSError as error:
            raise ServiceUnavailable(f"{wanted.deployed} cannot be written to {folder}: {error}.") from error

    def withdraw(self, name: str) -> None:
        """Nothing is ever on trial here."""

    def close(self) -> None:
        """There is nothing to let go of."""

    def _put_whole(self, folder: Path, files: Path, manifest: bytes) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        spool = folder / f".{uuid.uuid4().hex}.tmp"
        try:
            for name in _names(files):
                (spool / name).parent.mkdir(parents=True, exist_ok=True)
                with around("file"):
                    shutil.copyfile(files / name, spool / name)
                    _sync(spool / name)
            (spool / MANIFEST).write_bytes(manifest)
            _sync(spool / MANIFEST)
            for number in self._next(folder):
                try:
                    with around("manifest"):
                        os.rename(spool, folder / str(number))
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                else:
                    return
        finally:
            shutil.rmtree(spool, ignore_errors=True)
        raise ServiceUnavailable(f"{_TRIES} others deployed to {folder} meanwhile: try again.")

    def _put_claimed(self, folder: UPath, files: Path, manifest: bytes) -> None:
        for number in self._next(folder):
            if _claimed(folder / ".claims" / str(number), manifest):
                break
        else:
            raise ServiceUnavailable(f"{_TRIES} others deployed to {folder} meanwhile: try again.")
        for name in _names(files):
            with around("file"):
                target = folder / str(number) / name
                target.fs.put_file(str(files / name), target.path)
        with around("manifest"):
            target = folder / str(number) / MANIFEST
            target.fs.pipe_file(target.path, manifest)

    def _next(self, folder: Path | UPath) -> range:
        first = max([0, *self._numbers(folder), *self._numbers(folder / ".claims")]) + 1
        return range(first, first + _TRIES)

    def _numbers(self, folder: Path | UPath) -> list[int]:
        if hasattr(folder, "fs"):
            folder.fs.invalidate_cache()
        try:
            names = [path.name for path in folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):  # the second is an object store's word for nothing there
            return []
        return sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))

    def _prune(self, folder: UPath) -> None:
        """Remove old deployments, the manifest first: half of one does not count."""
        for number in self._numbers(folder)[: -self.keep]:
            old = folder / str(number)
            (old / MANIFEST).unlink(missing_ok=True)
            old.fs.rm(old.path, recursive=True)
            (folder / ".claims" / str(number)).unlink(missing_ok=True)
        if _is_local(folder):
            for spool in Path(folder.path).glob(".*.tmp"):
                if time.time() - spool.stat().st_mtime > _ABANDONED:
                    shutil.rmtree(spool, ignore_errors=True)


def _is_local(path: UPath) -> bool:
    return path.protocol in ("", "file", "local")


def _manifest(folder: UPath) -> Deployed | None:
    try:
        found = json.loads((folder / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return deployed_of(found) if isinstance(found, dict) else None


def _claimed(path: UPath, data: bytes) -> bool:
    """Whether this number is ours: the file is created if it is not there, in one request where the store can."""
    try:
        path.fs.pipe_file(path.path, data, mode="create")
    except FileExistsError:
        return False
    return True


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _sync(path: Path) -> None:
    with path.open("rb") as written:
        os.fsync(written.fileno())
