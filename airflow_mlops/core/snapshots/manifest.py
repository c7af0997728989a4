"""What a snapshot says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from airflow_mlops.core.snapshots.version import digest
from airflow_mlops.core.windows import Windows
from airflow_mlops.exceptions import SnapshotError


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a snapshot."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Everything about a snapshot but its rows. ``id`` is the digest of the rest, the data version included.

    :param name: what the data is, such as ``flights``
    :param data_version: content hash of the rows, 64 hexadecimal characters
    :param rows: number of rows
    :param schema: ``{"name", "type", "nullable"}`` per column, Arrow's names of types
    :param source: where the rows came from, without secrets
    :param as_of: ISO instant that the snapshot is about
    :param windows: the train, validation and test bounds, or None for data without a time
    :param parents: URIs of the snapshots that this one was made from
    :param code_version: version of the code that made it; None for rows copied as they are
    :param pinned: the version of a Delta or Iceberg table whose rows these are; then there are no files
    """

    name: str
    data_version: str
    rows: int
    schema: list[dict[str, Any]]
    source: Mapping[str, Any]
    as_of: str
    windows: Mapping[str, Any] | None = None
    event_time: str | None = None
    knowledge_time: str | None = None
    parents: list[str] = field(default_factory=list)
    code_version: str | None = None
    files: list[DataFile] = field(default_factory=list)
    id: str = ""
    pinned: Mapping[str, Any] | None = None

    def sealed(self) -> Manifest:
        """The same with its id; the files are left out of it, their bytes depend on the Parquet library."""
        left_out = ("id", "files") if self.pinned else ("id", "files", "pinned")
        facts = {key: value for key, value in asdict(self).items() if key not in left_out}
        return replace(self, id=digest(facts))

    @property
    def bounds(self) -> Windows | None:
        """The windows as values."""
        return Windows.from_json(self.windows) if self.windows else None

    def to_json(self) -> dict[str, Any]:
        facts = asdict(self)
        return facts if self.pinned else {key: value for key, value in facts.items() if key != "pinned"}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Manifest:
        try:
            manifest = cls(**{**data, "files": [DataFile(**file) for file in data["files"]]})
        except (KeyError, TypeError) as error:
            raise SnapshotError(f"This is not a snapshot's manifest: {error}.") from error
        if any("/" in str(file.name) or "\\" in str(file.name) for file in manifest.files):
            raise SnapshotError("This manifest names files that do not lie beside it.")
        if manifest.sealed().id != manifest.id:
            raise SnapshotError(f"The manifest of snapshot {manifest.id[:12]} was changed after it was written.")
        return manifest
