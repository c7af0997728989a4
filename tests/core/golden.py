"""Small columns of every type; what their data versions are stands in ``golden.json``."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa

from airflow_mlops.core.snapshots import DataVersion

MOMENT = dt.datetime(2026, 3, 29, 1, 30, 15, 250_000)
NAN, INFINITY = float("nan"), float("inf")

COLUMNS: dict[str, pa.Array] = {
    **{str(t): pa.array([0, 1, None, 127], t) for t in (pa.int8(), pa.int16(), pa.int32(), pa.int64())},
    **{str(t): pa.array([0, 1, None, 255], t) for t in (pa.uint8(), pa.uint16(), pa.uint32())},
    "uint64": pa.array([0, None, 2**64 - 1], pa.uint64()),
    "int64 extremes": pa.array([-(2**63), None, 2**63 - 1], pa.int64()),
    "float": pa.array([0.0, -0.0, 1.5, None, NAN, INFINITY, -INFINITY], pa.float32()),
    "double": pa.array([0.0, -0.0, 0.1, None, NAN, INFINITY, -INFINITY, 5e-324], pa.float64()),
    "bool": pa.array([True, False, None]),
    "string": pa.array(["", "a", None, "é", "日本", "a\nb", "👩🏽‍🔬"]),
    "binary": pa.array([b"", b"\x00\xff", None]),
    "date32": pa.array([MOMENT.date(), None, dt.date(1900, 1, 1)], pa.date32()),
    "date64": pa.array([MOMENT.date(), None], pa.date64()),
    **{
        str(t): pa.array([MOMENT.replace(microsecond=0), None, dt.datetime(1900, 1, 1)], t)
        for t in (pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns"))
    },
    "timestamp[us, tz=UTC]": pa.array([MOMENT, None], pa.timestamp("us", "UTC")),
    "timestamp[us, tz=Europe/Paris]": pa.array([MOMENT, None], pa.timestamp("us", "Europe/Paris")),
    "time32[s]": pa.array([dt.time(1, 2, 3), None], pa.time32("s")),
    "time64[us]": pa.array([dt.time(1, 2, 3, 4), None], pa.time64("us")),
    "duration[us]": pa.array([dt.timedelta(days=1, microseconds=1), None], pa.duration("us")),
    "decimal128(9, 2)": pa.array([Decimal("1.20"), None, Decimal("-3.40")], pa.decimal128(9, 2)),
    "list<int64>": pa.array([[1, 2], None, [], [None]], pa.list_(pa.int64())),
    "list<string>": pa.array([["a", None], None, []], pa.list_(pa.string())),
    "struct": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": None}]),
    "list<struct>": pa.array([[{"a": 1.5}], None, [{"a": None}]]),
    "null": pa.nulls(3),
    "empty": pa.array([], pa.int64()),
}


def version(table: pa.Table, rows: int | None = None) -> str:
    """The data version of a table that comes in batches of some rows."""
    hashed = DataVersion(table.schema)
    for batch in table.to_batches(max_chunksize=rows):
        hashed.update(batch)
    return hashed.hexdigest()
