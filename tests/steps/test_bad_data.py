"""Bad data stops before anything is fitted, with an error that Airflow does not try again and a message that helps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core.schema import Schema
from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.core.validation import Suite
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import DataError, MlopsError, NotEnoughData, SnapshotError, TrainingError
from airflow_mlops.steps.snapshots import Snapshot, ingest, prepare
from airflow_mlops.steps.sources import CallableSource, FileSource
from airflow_mlops.steps.training import train
from airflow_mlops.steps.validation import validate

ROWS = 60
AS_OF = instant("2026-06-01")
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
GOOD = pa.table(
    {
        "id": range(ROWS),
        "day": pa.array([START + dt.timedelta(days=i) for i in range(ROWS)], pa.timestamp("us", "UTC")),
        "x": np.random.default_rng(0).normal(size=ROWS),
        "y": [i % 2 for i in range(ROWS)],
    }
)
CSV = "id,day,x,y\n" + "".join(f"{i},2026-01-{i % 28 + 1:02}T00:00:00,{i / 7},{i % 2}\n" for i in range(ROWS))


def whole() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(GOOD, sink)
    return sink.getvalue().to_pybytes()


WHOLE = whole()


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def with_column(name: str, values: object) -> pa.Table:
    return GOOD.set_column(GOOD.column_names.index(name), name, values)


TWICE = pa.Table.from_arrays([*GOOD.columns, GOOD["x"]], [*GOOD.column_names, "x"])
LATER = with_column("day", pa.array([instant("2027-01-01")] * ROWS, pa.timestamp("us", "UTC")))
#: Files of a source, the error, and words of its message.
SOURCES: dict[str, tuple[dict[str, bytes], type[MlopsError], str]] = {
    "nothing there": ({}, SnapshotError, "No file matches"),
    "an empty Parquet file": ({"a.parquet": b""}, SnapshotError, r"a\.parquet cannot be read"),
    "an empty CSV file": ({"a.csv": b""}, SnapshotError, r"a\.csv is empty"),
    "a header alone": ({"a.csv": b"id,day,x,y\n"}, NotEnoughData, "0 rows, 1 are needed"),
    "no rows": ({"a.parquet": parquet(GOOD.slice(0, 0))}, NotEnoughData, "0 rows, 1 are needed"),
    "no columns": ({"a.parquet": parquet(pa.table({}))}, SnapshotError, "has no columns"),
    "no Parquet at all": ({"a.parquet": b"PAR1" + b"x" * 200 + b"PARX"}, SnapshotError, r"a\.parquet cannot be read"),
    "the magic alone": ({"a.parquet": b"PAR1"}, SnapshotError, r"a\.parquet cannot be read"),
    **{
        f"Parquet cut at {share:.0%}": (
            {"a.parquet": WHOLE[: int(len(WHOLE) * share)]},
            SnapshotError,
            r"a\.parquet cannot be read",
        )
        for share in (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 0.999)
    },
    "a line too short": ({"a.csv": f"{CSV}1,2\n".encode()}, SnapshotError, "line 62: 2 cells where the header has 4"),
    "a quote that is never closed": ({"a.csv": f'{CSV}"1,2\n'.encode()}, SnapshotError, r"a\.csv, line 62"),
    "NUL bytes": ({"a.csv": f"{CSV}1,\0,3,4\n".encode()}, SnapshotError, "line 62: a NUL byte"),
    "text of another encoding": ({"a.csv": "id,day\n1,naïve\n".encode("latin-1")}, SnapshotError, "no UTF-8"),
    "mixed types": (
        {"a.csv": CSV.encode(), "b.csv": f"{CSV}1,2026-01-01T00:00:00,many,1\n".encode()},
        SnapshotError,
        r"b\.csv, line 62: column x holds what is no double",
    ),
    "a name twice in a CSV": ({"a.csv": b"id,day,x,x\n1,2026-01-01,3,4\n"}, SnapshotError, "one column named x"),
    "a name twice in a Parquet": ({"a.parquet": parquet(TWICE)}, SnapshotError, "one column named x"),
    "a column added": (
        {"a.parquet": WHOLE, "b.parquet": parquet(GOOD.append_column("z", GOOD["x"]))},
        SnapshotError,
        r"b\.parquet differs from the first file: z was missing, is double",
    ),
    "a column dropped": (
        {"a.parquet": WHOLE, "b.parquet": parquet(GOOD.drop_columns(["x"]))},
        SnapshotError,
        "x was double, is missing",
    ),
    "a column renamed": (
        {"a.parquet": WHOLE, "b.parquet": parquet(GOOD.rename_columns(["id", "day", "X", "y"]))},
        SnapshotError,
        "x was double, is missing, X was missing, is double",
    ),
    "columns reordered": (
        {"a.parquet": WHOLE, "b.parquet": parquet(GOOD.select(["day", "id", "x", "y"]))},
        SnapshotError,
        "differs from the first file: their order",
    ),
    "a column retyped": (
        {"a.parquet": WHOLE, "b.parquet": parquet(with_column("x", GOOD["x"].cast(pa.float32())))},
        SnapshotError,
        "x was double, is float",
    ),
    "the future alone": ({"a.parquet": parquet(LATER)}, NotEnoughData, "0 rows, 1 are needed"),
    "no time at all": (
        {"a.parquet": parquet(with_column("day", pa.nulls(ROWS, pa.timestamp("us"))))},
        NotEnoughData,
        "0 rows, 1 are needed",
    ),
    "a time that is text": (
        {"a.parquet": parquet(with_column("day", GOOD["day"].cast(pa.string())))},
        SnapshotError,
        "A time column of type string cannot be compared",
    ),
    "no column of the time": (
        {"a.parquet": parquet(GOOD.drop_columns(["day"]))},
        SnapshotError,
        "has no column day; it has id, x, y",
    ),
}


@pytest.mark.parametrize("case", SOURCES)
def test_a_bad_source_is_told_and_leaves_nothing_behind(store: UPath, tmp_path: Path, case: str) -> None:
    files, error, words = SOURCES[case]
    folder = tmp_path / "source"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with pytest.raises(error, match=words) as caught:
        ingest(store, name="rows", source=FileSource(UPath(folder), "day"), as_of=AS_OF, event_time="day")
    assert isinstance(caught.value, DataError)  # Airflow skips it or fails it, and does not try it again
    assert not Path(store.path).exists()


def snapshot(store: UPath, table: pa.Table) -> Snapshot:
    return ingest(store, name="rows", source=CallableSource(lambda **_: table, ["id"]), as_of=AS_OF, event_time="day")


PREPARED: dict[str, tuple[Callable[[pa.Table], object], type[MlopsError], str]] = {
    "no rows": (lambda rows: rows.slice(0, 0), DataError, "returned no rows"),
    "no table": (lambda rows: [1, 2], DataError, "returned list"),
    "no time": (lambda rows: rows.drop_columns(["day"]), DataError, "dropped the time of the rows: keep day"),
    "a name twice": (lambda rows: TWICE, SnapshotError, "more than one column named x"),
}


@pytest.mark.parametrize("case", PREPARED)
def test_a_bad_preparation_is_told_and_leaves_nothing_behind(store: UPath, case: str) -> None:
    function, error, words = PREPARED[case]
    with pytest.raises(error, match=words):
        prepare(store, name="tidy", function=function, inputs={"rows": snapshot(store, GOOD)})
    assert not (store / "snapshots" / "tidy").exists()


SUITE = Suite.parse(
    {
        "name": "rows",
        "expectations": [
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "x"}},
            {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "min_value": -9, "max_value": 9}},
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": "day", "max_value": "2026-03-31T00:00:00+00:00"},
            },
        ],
    }
)
SCHEMA = Schema.of([{"name": field.name, "type": str(field.type)} for field in GOOD.schema])
NAN = float("nan")
CHECKED: dict[str, tuple[pa.Table, int, str]] = {
    "a column that is all NaN": (with_column("x", [[NAN] * ROWS]), 1, "x"),
    "a column that is all null": (with_column("x", pa.nulls(ROWS, pa.float64())), 1, "x"),
    "an infinity": (with_column("x", [[float("inf"), *[0.0] * (ROWS - 1)]]), 1, "x"),
    "a number that is far too large": (with_column("x", [[1e308, *[0.0] * (ROWS - 1)]]), 1, "x"),
    "days of the future": (
        with_column("day", pa.array([instant("2026-05-01")] * ROWS, pa.timestamp("us", "UTC"))),
        1,
        "day",
    ),
    "a column dropped": (GOOD.drop_columns(["y"]), 1, "y"),
    "a column retyped": (with_column("y", GOOD["y"].cast(pa.string())), 1, "y"),
    "five thousand columns for one": (
        pa.table({"id": GOOD["id"], "day": GOOD["day"], **{f"x{i}": GOOD["x"] for i in range(5000)}}),
        1,
        "x",
    ),
    "too few rows": (GOOD.slice(0, 10), 50, "rows"),
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.integration if "thousand" in case else ()) for case in CHECKED]
)
def test_bad_rows_do_not_pass_the_suite(store: UPath, case: str) -> None:
    table, least, column = CHECKED[case]
    suite = SUITE if "x" in table.column_names else Suite.parse({"name": "rows", "expectations": [DAYS]})
    report = validate(store=store, snapshot=snapshot(store, table), suite=suite, min_rows=least, schema=SCHEMA)
    blocking = [outcome for outcome in report.failures if outcome.severity == "critical"]
    assert blocking, report
    assert column == "rows" or any(outcome.column == column for outcome in blocking)


DAYS = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "day"}}
FITTED: dict[str, tuple[pa.Table, dict[str, object], type[MlopsError], str]] = {
    "labels that are NaN": (with_column("y", [[NAN, *[1.0, 0.0] * 29, 1.0]]), {}, TrainingError, "target y holds NaN"),
    "labels that are infinite": (
        with_column("y", [[float("inf"), *[1.0, 0.0] * 29, 1.0]]),
        {},
        TrainingError,
        "target y holds NaN or infinity",
    ),
    "no label at all": (with_column("y", pa.nulls(ROWS, pa.int64())), {}, NotEnoughData, "no row .* has a label in y"),
    "one class": (with_column("y", [[1] * ROWS]), {}, TrainingError, "target y has one class"),
    "a class of one row": (with_column("y", [[0, *[1] * (ROWS - 1)]]), {}, TrainingError, "cannot be split"),
    "the target among the features": (GOOD, {"features": ["x", "y"]}, TrainingError, "target y is among the features"),
    "no column of the target": (GOOD.drop_columns(["y"]), {}, TrainingError, "no column y; the snapshot has id"),
    "an infinite feature": (
        with_column("x", [[float("inf"), 0.0] * (ROWS // 2)]),
        {},
        TrainingError,
        "the fit failed",
    ),
    "a feature that is all NaN": (with_column("x", [[NAN] * ROWS]), {}, TrainingError, "the fit failed"),
    "a feature that is text": (
        with_column("x", [[f"word {i}" for i in range(ROWS)]]),
        {},
        TrainingError,
        "the fit failed: could not convert string to float: '…'",
    ),
}


@pytest.mark.parametrize("case", FITTED)
def test_rows_that_cannot_be_learnt_from_log_no_model(
    store: UPath, client: MlflowClient, model_name: str, case: str
) -> None:
    table, spec, error, words = FITTED[case]
    how = TrainingSpec(model_name, "sklearn.linear_model.LogisticRegression", target="y", **{"features": ["x"], **spec})  # type: ignore[arg-type]
    with pytest.raises(error, match=words) as caught:
        train(client, snapshot=snapshot(store, table), spec=how)
    assert isinstance(caught.value, DataError)
    experiment = client.tracking.experiment_id(model_name)
    assert client.tracking.models(experiment, {}) == []
    assert client.tracking.open_runs(experiment, {}) == []
