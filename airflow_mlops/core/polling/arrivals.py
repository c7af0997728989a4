"""What somebody waits for who waits for new data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from airflow_mlops.core.polling.files import AwaitedFiles
from airflow_mlops.core.polling.rows import AwaitedRows
from airflow_mlops.core.snapshots import digest
from airflow_mlops.exceptions import ConfigurationError


@dataclass(frozen=True)
class AwaitedData:
    """New files below a path, or new rows of a query; arguments of ``NewDataSensor``.

    >>> AwaitedData({"files": "s3://b/flights"}, min_partitions=2).files
    AwaitedFiles(where='s3://b/flights', min_files=1, min_partitions=2, marker=None, settle=10.0)
    >>> AwaitedData({"files": "s3://b/flights"}, min_rows=2)
    Traceback (most recent call last):
    ...
    airflow_mlops.exceptions.ConfigurationError: min_rows belongs to a sql source: files are not opened.
    """

    source: Mapping[str, Any]
    since: Any = None
    marker: str | None = None
    settle: float | None = None
    min_files: int | None = None
    min_partitions: int | None = None
    min_rows: int | None = None

    def __post_init__(self) -> None:
        if set(self.source) not in ({"files"}, {"sql", "conn_id", "column"}):
            raise ConfigurationError(
                f'The source of new data is {{"files": path}} or {{"sql": query, "conn_id": …, "column": …}}; '
                f"this one has {', '.join(sorted(self.source)) or 'nothing'}."
            )
        if "files" in self.source and self.min_rows is not None:
            raise ConfigurationError("min_rows belongs to a sql source: files are not opened.")
        of_files = {name: getattr(self, name) for name in ("marker", "settle", "min_files", "min_partitions")}
        given = [name for name, value in of_files.items() if value is not None]
        if "sql" in self.source and given:
            raise ConfigurationError(f"{', '.join(given)} belongs to a files source: of a query say min_rows.")
        _ = self.files if "files" in self.source else self.rows

    @property
    def files(self) -> AwaitedFiles:
        return AwaitedFiles(
            where=str(self.source["files"]),
            min_files=int(self.min_files or 1),
            min_partitions=int(self.min_partitions or 1),
            marker=self.marker or None,
            settle=10.0 if self.settle is None else float(self.settle),
        )

    @property
    def rows(self) -> AwaitedRows:
        return AwaitedRows(str(self.source["conn_id"]), str(self.source["column"]), int(self.min_rows or 1))

    def after(self, watermark: Any) -> AwaitedData:
        """The same from a later watermark on."""
        return replace(self, since=watermark)

    @property
    def digest(self) -> str:
        """Another one for anything else that is waited for."""
        return digest(self.to_json())[:16]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
