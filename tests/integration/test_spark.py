"""What Spark counts and checks is what one process does: integer for integer, verdict for verdict."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from airflow_mlops.core.profiles import Profile
from airflow_mlops.core.validation import Suite
from airflow_mlops.steps.profiles import profile_files
from airflow_mlops.steps.snapshots import ingest
from airflow_mlops.steps.sources import CallableSource
from airflow_mlops.steps.spark import SparkScan, profile_frame, spark_session
from airflow_mlops.steps.validation import validate

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.integration

ROWS = 20_000
AS_OF = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    """Two threads in a process of our own, heard on this machine alone."""
    session = spark_session()
    yield session
    session.stop()


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """Every kind of column, with what makes counting hard in each."""
    random = np.random.default_rng(5)
    x = random.standard_cauchy(ROWS)
    x[:5] = [np.nan, np.inf, -np.inf, -0.0, 5e-324]
    words = np.array(["a", "é", "e\u0301", "", "ß" * 40, "the rare one"])
    moments = [AS_OF - timedelta(seconds=int(s)) for s in random.integers(0, 10**7, ROWS)]
    return pa.table(
        {
            "x": pa.array(x, mask=random.random(ROWS) < 0.1),
            "small": pa.array(random.normal(size=ROWS).astype("f4")),
            "zeros": random.lognormal(size=ROWS) * (random.random(ROWS) < 0.3),
            "few": pa.array(random.poisson(3, ROWS), mask=random.random(ROWS) < 0.01),
            "huge": pa.array(2**53 + random.integers(-3, 3, ROWS)),
            "money": pa.array([Decimal(int(c)) / 100 for c in random.integers(0, 10**6, ROWS)], pa.decimal128(18, 2)),
            "word": pa.array(words[random.choice(6, ROWS, p=[0.5, 0.2, 0.1, 0.1, 0.09, 0.01])]),
            "id": pa.array([f"id {n}" for n in range(ROWS)]),
            "there": pa.array(random.random(ROWS) < 0.5, mask=random.random(ROWS) < 0.1),
            "at": pa.array(moments, pa.timestamp("us", "UTC")),
            "day": pa.array([moment.date() for moment in moments]),
            "nothing": pa.array([None] * ROWS, pa.float64()),
            "a `column`.": pa.array(range(ROWS), pa.int32()),
            "secret": pa.array(random.choice(["yes", "no"], ROWS)),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def parts(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Seven uneven files; one of them has no rows."""
    folder = tmp_path_factory.mktemp("parts")
    cuts = [0, 1, 17, 17, 9_000, 9_002, 19_999, ROWS]
    for number, (begin, end) in enumerate(pairwise(cuts)):
        pq.write_table(table.slice(begin, end - begin), folder / f"{number}.parquet")
    return sorted(folder.glob("*.parquet"))


@pytest.fixture(scope="module")
def whole(parts: list[Path]) -> Profile:
    return profile_files(parts, sensitive=["secret"], as_of=AS_OF)


def test_it_listens_to_this_machine_alone(spark: SparkSession) -> None:
    settings = spark.sparkContext.getConf()
    assert settings.get("spark.driver.host") == settings.get("spark.driver.bindAddress") == "127.0.0.1"
    assert spark.sparkContext.uiWebUrl is None


def test_partitions_add_up_to_what_one_process_counts(spark: SparkSession, parts: list[Path], whole: Profile) -> None:
    assert len(parts) == 7
    frame = spark.read.parquet(*map(str, parts))
    for cut in (frame, frame.repartition(7), frame.repartition(2, "word"), frame.coalesce(1)):
        found = profile_frame(cut, whole.plan, as_of=AS_OF)
        assert found == whole
        assert found.digest == whole.digest


def test_a_reference_is_planned_from_its_sample_and_all_its_keys(
    spark: SparkSession, parts: list[Path], whole: Profile
) -> None:
    frame = spark.read.parquet(*map(str, parts))
    plan = SparkScan(frame).fit(sensitive=["secret"], as_of=AS_OF)
    assert plan == whole.plan  # so few rows are all of the sample


def test_verdicts_are_those_of_pandas(spark: SparkSession, parts: list[Path], tmp_path: Path) -> None:
    def rows(**_: object) -> pa.Table:
        return pa.concat_tables([pq.read_table(part) for part in parts])

    store = UPath(tmp_path) / "store"
    snapshot = ingest(store, name="rows", source=CallableSource(rows, ["a `column`."]), as_of=AS_OF)
    checks: list[tuple[str, dict[str, object]]] = [
        ("expect_column_values_to_not_be_null", {"column": "x"}),
        ("expect_column_values_to_not_be_null", {"column": "x", "mostly": 0.85}),
        ("expect_column_values_to_be_between", {"column": "zeros", "min_value": 0, "max_value": 3}),
        ("expect_column_values_to_be_in_set", {"column": "word", "value_set": ["a", "é"]}),
        ("expect_column_values_to_be_in_set", {"column": "few", "value_set": list(range(30))}),
        ("expect_column_value_lengths_to_be_between", {"column": "word", "max_value": 39}),
        ("expect_column_values_to_be_unique", {"column": "id"}),
        ("expect_column_values_to_be_unique", {"column": "few"}),
        ("expect_column_values_to_match_regex", {"column": "id", "regex": r"^id \d+$"}),
        ("expect_column_mean_to_be_between", {"column": "zeros", "min_value": 0.1, "max_value": 0.2}),
        ("expect_column_median_to_be_between", {"column": "few", "min_value": 3, "max_value": 3}),
        ("expect_column_max_to_be_between", {"column": "few", "max_value": 5}),
        ("expect_column_distinct_values_to_be_in_set", {"column": "word", "value_set": ["a"]}),
        ("expect_table_row_count_to_equal", {"value": ROWS}),
        ("expect_column_to_exist", {"column": "there"}),
    ]
    suite = Suite.parse(
        {"name": "rows", "expectations": [{"type": type_, "kwargs": kwargs} for type_, kwargs in checks]}
    )
    told = {
        engine: validate(store=store, snapshot=snapshot, suite=suite, engine=engine).outcomes
        for engine in ("pandas", "spark")
    }
    seen = {
        engine: [(one.type, one.status, one.unexpected_count) for one in outcomes] for engine, outcomes in told.items()
    }
    assert seen["spark"] == seen["pandas"]
    assert len({status for _, status, _ in seen["spark"]}) == 2  # some hold, some do not


def test_no_rows_are_a_profile_too(spark: SparkSession, parts: list[Path], whole: Profile) -> None:
    none = spark.read.parquet(*map(str, parts)).where("false")
    assert profile_frame(none, whole.plan, as_of=AS_OF) == Profile.empty(whole.plan, whole.as_of)


def test_a_snapshot_of_a_frame_has_the_data_version_of_its_rows(
    spark: SparkSession, parts: list[Path], tmp_path: Path
) -> None:
    columns = ["x", "few", "word", "at", "a `column`."]

    def frame(**_: object) -> object:
        return (
            spark.read.parquet(*map(str, parts)).select(*[f"`{c.replace('`', '``')}`" for c in columns]).repartition(5)
        )

    def rows(**_: object) -> pa.Table:
        return pa.concat_tables([pq.read_table(part, columns=columns) for part in parts])

    ours, theirs = (
        ingest(UPath(tmp_path) / "store", name=name, source=CallableSource(source, ["a `column`."]), as_of=AS_OF)
        for name, source in (("ours", frame), ("theirs", rows))
    )
    assert ours.manifest.rows == ROWS
    assert ours.manifest.data_version == theirs.manifest.data_version
