"""A batch to score: its rows as the model takes them, where its result lies, and what the result says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_mlops.core import tags
from airflow_mlops.core.packages import Package
from airflow_mlops.core.predictions import COLUMNS, Mode
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.core.signatures import Column
from airflow_mlops.core.snapshots import digest
from airflow_mlops.exceptions import ConfigurationError, PredictionError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Folder of what has no day.
NO_DAY: Final = "date=__HIVE_DEFAULT_PARTITION__"
#: Values of a chunk, and the most rows: what a chunk takes does not grow with the width of the table.
_CELLS, _ROWS = 1 << 22, 1 << 16


@dataclass(frozen=True)
class Batch:
    """Which rows are scored for whom. The same batch has the same place, however often and wherever it is scored.

    :param ref: the model as it was asked for, by alias or version
    :param interval: what the rows are about: a data interval, or a name of the caller's own
    :param as_of: the instant of the run, that of all its predictions
    :param at: when the version was in production, if not now
    :param message_id: of the queue message that asks: whatever was scored for it counts, and nothing is added
    :param named: whether the interval is a name, which says nothing of the day
    """

    ref: str
    interval: str
    as_of: str
    at: str | None = None
    mode: Mode = "batch"
    message_id: str | None = None
    named: bool = False

    @property
    def slot(self) -> str:
        """One for all results of this batch.

        >>> day = Batch("models:/m@champion", "2026-11-20/2026-11-21", "2026-11-21")
        >>> day.slot == Batch("models:/m@champion", "2026-11-20/2026-11-21", "2026-11-22").slot
        True
        """
        about = ["message", self.message_id] if self.message_id else ["interval", self.interval]
        return digest([self.ref, self.at, *about])[:16]

    @property
    def folder(self) -> str:
        """The day of the as-of; what has a name of its own may be asked for again on another day."""
        return NO_DAY if self.named or self.message_id else f"date={self.as_of[:10]}"

    def file(self, version: ModelVersion | None = None, data_version: str = "", form: Sequence[Any] = ()) -> str:
        """Name of the result: another one for another version, other rows or other columns, unless a message asks.

        :param form: what else makes the result another one
        """
        if self.message_id:
            return f"batch-{self.slot}.parquet"
        facts = [version.version, version.tags.get(tags.DIGEST)] if version else []
        return f"batch-{self.slot}-{digest([*facts, data_version, *form])[:16]}.parquet"


@dataclass(frozen=True)
class Scored:
    """The manifest of a result, in the file's own metadata.

    :param digest: of the model's files
    :param ref: the model as it was asked for
    :param scored_at: when, by the clock of whoever did it
    """

    model: str
    version: int
    digest: str
    ref: str
    rows: int
    data_version: str
    source: str
    as_of: str
    interval: str
    at: str | None
    mode: str
    message_id: str | None
    keys: tuple[str, ...]
    scored_at: str

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "keys": list(self.keys)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Scored:
        return cls(**{**data, "keys": tuple(data["keys"])})


def chunk_rows(columns: int) -> int:
    """Rows that are scored at a time.

    >>> chunk_rows(17), chunk_rows(1000)
    (65536, 4194)
    """
    return max(1024, min(_ROWS, _CELLS // max(1, columns)))


def check_columns(package: Package, schema: pa.Schema, where: str) -> None:
    """Refuse rows before they are read that the model does not take.

    :param where: what the rows are, for the message
    :raises PredictionError: a column is missing, or of a type that is not the model's
    """
    if absent := [name for name in package.column_names if name not in schema.names]:
        raise PredictionError(
            f"{where} has no column {', '.join(absent)}, which {package} takes; it has {', '.join(schema.names)}."
        )
    for column in package.columns:
        type_ = schema.field(column.name).type
        if not _fits(type_, column.type):
            raise PredictionError(
                f"{where} has column {column.name} as {type_}; {package} takes {column.type}: convert it where the "
                "rows are prepared."
            )


def check_keys(package: Package, schema: pa.Schema, keys: Mapping[str, str], hashed: Sequence[str], where: str) -> None:
    """Refuse columns that cannot be passed through.

    :param keys: what each is called in the result
    :raises ConfigurationError: there is no such column, it is called like one of the log, or may not be read
    """
    for name, result in keys.items():
        if name not in schema.names:
            raise ConfigurationError(f"{where} has no key column {name}; it has {', '.join(schema.names)}.")
        if result in (*COLUMNS, "date"):
            raise ConfigurationError(
                f"A column of the log is called {result}: give the key column {name} another name, such as "
                f"{{{name}: {name}_of_row}}."
            )
        if name in package.sensitive and name not in hashed:
            raise ConfigurationError(f"The key column {name} is declared sensitive: name it under hashed, or leave it.")


def frame_of(package: Package, rows: pa.RecordBatch, first: int = 0) -> pd.DataFrame:
    """Rows of a checked schema as the model takes them: the same as a server makes of a request.

    :param first: number of the first row, for the message
    :raises PredictionError: a value is missing that the model needs
    """
    import pyarrow as pa

    arrays = []
    for column in package.columns:
        values = as_taken(rows.column(column.name), column.type)
        if column.required:
            _check_values(values, column, package, first)
        arrays.append(values)
    frame: pd.DataFrame = pa.Table.from_arrays(arrays, package.column_names).to_pandas()
    # Names that are plain objects: to take columns by names in Arrow costs a tenth of a small prediction.
    frame.columns = frame.columns.astype(object)
    return frame


def as_taken(values: pa.Array, mlflow: str) -> pa.Array:
    """Values of a column as what a model takes: numbers as doubles, instants in UTC."""
    import pyarrow as pa

    if mlflow == "datetime":
        wanted = pa.timestamp("us", "UTC")
    else:
        wanted = {"boolean": pa.bool_(), "string": pa.string()}.get(mlflow, pa.float64())
    if values.type.equals(wanted):
        return values
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("us"))
    return values.cast(wanted, safe=False)


def _check_values(values: pa.Array, column: Column, package: Package, first: int) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if values.null_count == 0 and not pa.types.is_floating(values.type):
        return
    absent = pc.is_null(values, nan_is_null=True)
    row = pc.index(absent, pa.scalar(True)).as_py()
    if row >= 0:
        raise PredictionError(
            f"Row {first + row} has no value in column {column.name}, which {package} needs: it never was missing in "
            "training. Fill it where the rows are prepared."
        )


def _fits(type_: pa.DataType, mlflow: str) -> bool:
    import pyarrow as pa

    kind = pa.types
    if kind.is_null(type_):
        return True
    if kind.is_dictionary(type_):
        return _fits(type_.value_type, mlflow)
    if mlflow == "string":
        return bool(kind.is_string(type_) or kind.is_large_string(type_) or kind.is_string_view(type_))
    if mlflow == "boolean":
        return bool(kind.is_boolean(type_))
    if mlflow == "datetime":
        return bool(kind.is_timestamp(type_) or kind.is_date(type_))
    return bool(kind.is_integer(type_) or kind.is_floating(type_) or kind.is_decimal(type_))
