"""The log of predictions: what is kept of a row, and a tree that holds whole parts or none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from airflow_mlops.core import tags
from airflow_mlops.core.packages import Package
from airflow_mlops.core.predictions import COLUMNS, LogFormat, inputs_of
from airflow_mlops.core.signatures import Column
from airflow_mlops.core.windows import Bounds
from airflow_mlops.exceptions import ConfigurationError, SnapshotError
from airflow_mlops.store.predictions import PredictionWriter, read_predictions

KEY = b"a secret of twenty-nine bytes"
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)
TAKES = (Column("age", "double", required=False), Column("name", "string"), Column("city", "string", required=False))
ROWS = pd.DataFrame({"age": [30.0, np.nan], "name": ["Ada", "Grace"], "city": ["Paris", None]})


def package(version: int = 3, sensitive: str = '["name"]') -> Package:
    return Package("m", version, "m-1", "d", "classification", TAKES, "string", {tags.SENSITIVE: sensitive})


def entries(writer: PredictionWriter, time: datetime = MIDNIGHT, mode: str = "online") -> pa.RecordBatch:
    return writer.entries(
        ROWS, np.array(["yes", "no"]), np.array([0.9, 0.2]), ids=["a", "b"], time=time, mode=mode, latency_ms=1.5
    )


@pytest.fixture
def root(tmp_path: Path) -> UPath:
    return UPath(tmp_path)


def test_a_row_of_the_log(root: UPath) -> None:
    writer = PredictionWriter(root, package())
    batch = entries(writer)
    assert tuple(batch.schema.names) == COLUMNS
    assert batch.schema.equals(writer.format.schema)
    assert batch.to_pylist()[1] == {
        "id": "b", "time": MIDNIGHT, "model": "m", "version": 3, "mode": "online",
        "inputs": {"age": None, "city": None}, "prediction": "no", "score": 0.2, "latency_ms": 1.5,
    }  # fmt: skip


def test_sensitive_values_are_left_out_or_hashed(root: UPath) -> None:
    assert inputs_of(entries(PredictionWriter(root, package(), hidden=["city"]))).schema.names == ["age"]
    hashed = inputs_of(entries(PredictionWriter(root, package(), hashed=["name"], key=KEY)))
    assert hashed.schema.names == ["age", "city", "name"]
    assert len(set(hashed["name"].to_pylist())) == 2
    assert not {"Ada", "Grace"} & set(hashed["name"].to_pylist())
    other = inputs_of(entries(PredictionWriter(root, package(), hashed=["name"], key=KEY[::-1])))
    assert other["name"] != hashed["name"]
    nothing = PredictionWriter(root, package(), hidden=["age", "name", "city"])
    assert "inputs" not in entries(nothing).schema.names
    assert nothing.write(entries(nothing))


def test_what_cannot_be_kept_is_refused(root: UPath) -> None:
    with pytest.raises(ConfigurationError, match="takes no column nmae; it takes age, name, city"):
        PredictionWriter(root, package(), hidden=["nmae"])
    with pytest.raises(ConfigurationError, match="key of at least 16 bytes"):
        entries(PredictionWriter(root, package(), hashed=["name"], key=b"short"))


def test_parts_lie_by_model_and_day_and_are_read_back(root: UPath) -> None:
    writer = PredictionWriter(root, package())
    late = entries(writer, MIDNIGHT - timedelta(seconds=1))
    parts = writer.write(pa.Table.from_batches([late, entries(writer)]))
    days = [part.parent.name for part in parts]
    assert days == ["date=2026-11-20", "date=2026-11-21"]
    assert {part.parent.parent for part in parts} == {root / "m"}
    assert sum(batch.num_rows for batch in read_predictions(root, "m")) == 4
    found = list(read_predictions(root, "m", Bounds(MIDNIGHT, MIDNIGHT + timedelta(days=1))))
    assert pa.Table.from_batches(found).equals(pa.Table.from_batches([entries(writer)]))
    assert list(read_predictions(root, "m", Bounds(MIDNIGHT - timedelta(days=9), MIDNIGHT - timedelta(days=1)))) == []
    assert list(read_predictions(root, "nobody")) == []


def test_shadows_are_nobodys_answers(root: UPath) -> None:
    writer = PredictionWriter(root, package())
    writer.write(entries(writer, mode="shadow"))
    assert list(read_predictions(root, "m")) == []
    (batch,) = read_predictions(root, "m", modes=["shadow"], columns=["prediction", "inputs.age"])
    assert batch.schema.names == ["prediction", "inputs"]
    assert batch["inputs"].to_pylist() == [{"age": 30.0}, {"age": None}]


def test_versions_with_other_columns_share_a_log(root: UPath) -> None:
    old, new = PredictionWriter(root, package(1)), PredictionWriter(root, package(2), hidden=["city"])
    old.write(entries(old))
    new.write(entries(new))
    found = {batch["version"][0].as_py(): inputs_of(batch).schema.names for batch in read_predictions(root, "m")}
    assert found == {1: ["age", "city"], 2: ["age"]}
    assert LogFormat.of(package(1)).schema != new.format.schema


def test_a_broken_part_is_named(root: UPath) -> None:
    writer = PredictionWriter(root, package())
    (part,) = writer.write(entries(writer))
    part.write_bytes(b"no parquet")
    with pytest.raises(SnapshotError, match=part.name):
        list(read_predictions(root, "m"))


def test_any_tool_that_knows_hives_folders_reads_it(root: UPath) -> None:
    writer = PredictionWriter(root, package())
    writer.write(entries(writer))
    table = pq.read_table(str(root / "m"), partitioning="hive")
    assert [str(day) for day in table["date"].to_pylist()] == ["2026-11-21"] * 2
