"""The log of predictions: one row each, the same columns whether a server answered or a batch was scored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_mlops.core.packages import Package
from airflow_mlops.exceptions import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

#: Who asked: a client, a schedule, nobody (a candidate on a copy of the traffic), or a backfill about the past.
Mode = Literal["online", "batch", "shadow", "backfill"]
#: The columns of every log, in this order; what comes after them is the caller's own.
COLUMNS: Final = ("id", "time", "model", "version", "mode", "inputs", "prediction", "score", "latency_ms")
#: Bytes of a key that is no guess.
MIN_KEY: Final = 16

#: Arrow's name for each of MLflow's types.
_ARROW_TYPES: Final = {
    "boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64",
    "string": "string", "datetime": "timestamp[us]",
}  # fmt: skip


def arrow_type(mlflow: str) -> pa.DataType:
    """The type that a column of MLflow's type has in Arrow.

    >>> arrow_type("double"), arrow_type("datetime")
    (DataType(double), TimestampType(timestamp[us]))
    """
    from airflow_mlops.core.snapshots import read_type

    return read_type(_ARROW_TYPES.get(mlflow, "string"))


@dataclass(frozen=True)
class LogFormat:
    """What the log of a version keeps of a row.

    :param kept: inputs that are logged as they are
    :param hashed: inputs of which only a keyed hash is logged: equal values stay equal, and nobody reads them
    """

    package: Package
    kept: tuple[str, ...]
    hashed: tuple[str, ...] = ()

    @classmethod
    def of(cls, package: Package, hidden: Iterable[str] = (), hashed: Iterable[str] = ()) -> LogFormat:
        """The format for a version; what was declared sensitive when it was trained is left out, unless it is hashed.

        :param hidden: further columns to leave out
        :raises ConfigurationError: the model takes no column of that name
        """
        hidden, hashed = tuple(hidden), tuple(hashed)
        if unknown := [name for name in (*hidden, *hashed) if name not in package.column_names]:
            raise ConfigurationError(
                f"Log of predictions: {str(package)[:1].upper()}{str(package)[1:]} takes no column "
                f"{', '.join(unknown)}; it takes {', '.join(package.column_names)}."
            )
        out = {*hidden, *hashed, *package.sensitive}
        return cls(package, tuple(name for name in package.column_names if name not in out), hashed)

    @property
    def schema(self) -> pa.Schema:
        """Columns and types of a part; without any input to keep there is no column of inputs."""
        import pyarrow as pa

        types = {column.name: arrow_type(column.type) for column in self.package.columns}
        inputs = [pa.field(name, types[name]) for name in self.kept]
        inputs += [pa.field(name, pa.string()) for name in self.hashed]
        fields = {
            "id": pa.string(),
            "time": pa.timestamp("us", "UTC"),
            "model": pa.string(),
            "version": pa.int32(),
            "mode": pa.string(),
            "inputs": pa.struct(inputs),
            "prediction": arrow_type(self.package.output),
            "score": pa.float64(),
            "latency_ms": pa.float32(),
        }
        return pa.schema([(name, type_) for name, type_ in fields.items() if inputs or name != "inputs"])

    def entries(
        self,
        rows: pd.DataFrame | pa.RecordBatch,
        values: np.ndarray,
        scores: np.ndarray | None,
        *,
        ids: Sequence[str] | pa.Array,
        time: datetime | Sequence[datetime] | pa.Array,
        mode: Mode,
        latency_ms: float | Sequence[float] | None = None,
        key: bytes = b"",
    ) -> pa.RecordBatch:
        """Rows of the log.

        :param rows: what was asked, with the package's columns
        :param time: of each row, or of all
        :param latency_ms: of each row, or of all; None where nobody waited
        :param key: of the hashes, at least :data:`MIN_KEY` bytes
        """
        import pyarrow as pa

        batch = rows if isinstance(rows, pa.RecordBatch) else pa.RecordBatch.from_pandas(rows, preserve_index=False)
        schema, count = self.schema, batch.num_rows
        columns: dict[str, Any] = {
            "id": ids,
            "time": time,
            "model": self.package.name,
            "version": self.package.version,
            "mode": mode,
            "prediction": values,
            "score": scores,
            "latency_ms": latency_ms,
        }
        arrays = {name: _array(column, schema.field(name).type, count) for name, column in columns.items()}
        if "inputs" in schema.names:
            arrays["inputs"] = self._inputs(batch, schema.field("inputs").type, key)
        return pa.RecordBatch.from_arrays([arrays[name] for name in schema.names], schema=schema)

    def _inputs(self, batch: pa.RecordBatch, type_: pa.StructType, key: bytes) -> pa.Array:
        import pyarrow as pa

        parts = [cast(batch.column(name), type_.field(name).type) for name in self.kept]
        parts += [keyed_hash(batch.column(name), key) for name in self.hashed]
        return pa.StructArray.from_arrays(parts, fields=list(type_))


def cast(values: pa.Array, type_: pa.DataType) -> pa.Array:
    """Values as the log's type; a number that does not fit becomes the nearest one."""
    return values if values.type.equals(type_) else values.cast(type_, safe=False)


def keyed_hash(values: pa.Array, key: bytes) -> pa.Array:
    """A keyed hash of each value, as 32 hexadecimal characters; nulls stay nulls.

    >>> import pyarrow as pa
    >>> found = keyed_hash(pa.array(["Ada", None, "Ada"]), b"sixteen bytes or more")
    >>> found[0] == found[2], found[1].as_py(), len(found[0].as_py())
    (True, None, 32)
    """
    import pyarrow as pa

    if len(key) < MIN_KEY:
        raise ConfigurationError(
            f"Hashed columns need a key of at least {MIN_KEY} bytes: without it anybody can guess."
        )
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    known = [
        None if value is None else hashlib.blake2b(str(value).encode(), key=key[:64], digest_size=16).hexdigest()
        for value in values.dictionary.to_pylist()
    ]
    return pa.array(known, pa.string()).take(values.indices)


def inputs_of(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The inputs of some rows of the log, as the columns of a table."""
    import pyarrow as pa

    if "inputs" not in batch.schema.names:
        return pa.RecordBatch.from_arrays([], names=[])
    return pa.RecordBatch.from_struct_array(batch.column("inputs"))


def _array(column: Any, type_: pa.DataType, count: int) -> pa.Array:
    """A column: given for each row, or one value for all."""
    import pyarrow as pa

    if column is None:
        return pa.nulls(count, type_)
    if isinstance(column, pa.Array):
        return cast(column, type_)
    if isinstance(column, str | int | float | datetime):
        return pa.repeat(pa.scalar(column, type_), count)
    return pa.array(column, type_, from_pandas=True)
