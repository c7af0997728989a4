"""The log of predictions at any path: ``<root>/<model>/date=YYYY-MM-DD/*.parquet``, each part there whole or not.

A server adds parts as it answers; a batch is one part, with its manifest in the file's own metadata. Any tool that
knows Hive's folders can read the tree.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_mlops.core.names import check_name
from airflow_mlops.core.packages import Package
from airflow_mlops.core.predictions import LogFormat
from airflow_mlops.core.scoring import NO_DAY
from airflow_mlops.core.snapshots import as_scalar
from airflow_mlops.core.windows import Bounds
from airflow_mlops.exceptions import SnapshotError
from airflow_mlops.store.publish import publish_file

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from upath import UPath

#: Key of a batch's manifest in the metadata of its file.
MANIFEST: Final = b"mlops.manifest"
#: Temporary folders begin with it, on whatever machine.
SPOOL: Final = "mlops-predictions-"
#: Rows that are decoded at once.
BATCH: Final = 1 << 16


class PredictionWriter:
    """Adds parts to the log of one version.

    :param root: where the logs of all models lie
    :param hidden: inputs to leave out, beside those that were declared sensitive at training
    :param hashed: inputs of which a keyed hash is kept
    :param key: of the hashes
    """

    def __init__(
        self, root: UPath, package: Package, hidden: Iterable[str] = (), hashed: Iterable[str] = (), key: bytes = b""
    ) -> None:
        self.root = root
        self.format = LogFormat.of(package, hidden, hashed)
        self.key = key

    def entries(self, *args: Any, **kwargs: Any) -> pa.RecordBatch:
        """Rows of the log, see :meth:`~airflow_mlops.core.predictions.LogFormat.entries`."""
        return self.format.entries(*args, key=self.key, **kwargs)

    def write(self, rows: pa.Table | pa.RecordBatch) -> list[UPath]:
        """Publish rows of :meth:`entries`, a part for each day; all of a part is there, or nothing."""
        import pyarrow as pa

        table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
        return [self._publish(day, part) for day, part in _by_day(table)]

    def _publish(self, day: str, table: pa.Table) -> UPath:
        import pyarrow.parquet as pq

        target = folder_of(self.root, self.format.package.name) / f"date={day}" / f"part-{uuid.uuid4().hex}.parquet"
        with tempfile.TemporaryDirectory(prefix=SPOOL) as spool:
            part = Path(spool, target.name)
            pq.write_table(table, part, compression="zstd")
            publish_file(part, target)
        return target


def folder_of(root: UPath, model: str) -> UPath:
    """Where a model's log lies."""
    return root / check_name(model)


def read_manifest(path: UPath) -> dict[str, Any] | None:
    """What a batch says of itself; None for what is no batch."""
    with path.open("rb") as file:
        return _manifest(_open(file, path))


def read_predictions(
    root: UPath,
    model: str,
    bounds: Bounds | None = None,
    *,
    modes: Collection[str] = ("online", "batch"),
    columns: Sequence[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Stream the log of a model: by time of the prediction, a batch of rows at a time.

    Versions that take other columns have other ``inputs``. Of the results of one interval the one that was scored last
    counts: another is there where the interval was scored anew, by another version or on corrected data.

    :param bounds: of the time of the prediction; None for all
    :param modes: whose predictions; ``shadow`` and ``backfill`` were nobody's answers
    :param columns: ``prediction``, ``inputs.distance`` and so on; None for all
    """
    wanted = list(columns) if columns is not None else None
    for path in _parts(folder_of(root, model), bounds):
        with path.open("rb") as file:
            yield from _rows(_open(file, path), bounds, modes, wanted)


def _rows(
    file: pq.ParquetFile, bounds: Bounds | None, modes: Collection[str], columns: list[str] | None
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.compute as pc

    asked = None if columns is None else [*dict.fromkeys([*columns, "time", "mode"])]
    for batch in file.iter_batches(BATCH, columns=asked):
        moments = batch.column("time")
        keep = pc.is_in(batch.column("mode"), pa.array(list(modes)))
        if bounds is not None:
            keep = pc.and_(keep, pc.greater_equal(moments, as_scalar(bounds.start, moments.type)))
            keep = pc.and_(keep, pc.less(moments, as_scalar(bounds.end, moments.type)))
        found = batch.filter(keep)
        if found.num_rows:
            names = {name.partition(".")[0] for name in columns} if columns is not None else set(found.schema.names)
            yield found.select([name for name in found.schema.names if name in names])


def _parts(folder: UPath, bounds: Bounds | None) -> list[UPath]:
    """The files that may hold rows of the bounds, by their folders; of the batches of one interval the last."""
    folder.fs.invalidate_cache()
    if not folder.exists():
        return []
    days = [day for day in folder.iterdir() if day.name.startswith("date=") and _within(day.name, bounds)]
    files = sorted((file for day in days for file in day.iterdir() if file.name.endswith(".parquet")), key=str)
    slots: dict[str, list[UPath]] = {}
    for file in files:
        kind, slot, *_ = [*file.name.split("-"), "", ""]
        slots.setdefault(f"{file.parent.name}/{slot}" if kind == "batch" else str(file), []).append(file)
    return [found[0] if len(found) == 1 else max(found, key=_scored_at) for found in slots.values()]


def _scored_at(path: UPath) -> str:
    return str((read_manifest(path) or {}).get("scored_at", ""))


def _within(folder: str, bounds: Bounds | None) -> bool:
    if bounds is None or folder == NO_DAY:
        return True
    day = folder.removeprefix("date=")
    # The end is not within, but the day that it lies in is.
    return f"{bounds.start:%Y-%m-%d}" <= day <= f"{bounds.end:%Y-%m-%d}"


def _by_day(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    import pyarrow.compute as pc

    days = pc.strftime(table["time"], "%Y-%m-%d")
    for day in sorted(pc.unique(days).to_pylist()):
        yield day, table.filter(pc.equal(days, day))


def _open(file: Any, path: UPath) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file, pre_buffer=False)
    except pa.ArrowException as error:
        raise SnapshotError(f"{path} is no part of a log of predictions: it cannot be read as Parquet.") from error


def _manifest(file: pq.ParquetFile) -> dict[str, Any] | None:
    text = (file.metadata.metadata or {}).get(MANIFEST)
    return json.loads(text) if text else None
