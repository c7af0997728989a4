from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from upath import UPath

from airflow_mlops.core.windows import TrainingWindow, instant
from airflow_mlops.exceptions import ConfigurationError, DataError, NotEnoughData, ServiceUnavailable, SnapshotError
from airflow_mlops.steps.snapshots import Snapshot, ingest, prepare
from airflow_mlops.steps.sources import CallableSource, FileSource, SqlSource

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
DAYS = 100
AS_OF = instant("2026-03-01")
WINDOW = TrainingWindow(lookback="20d", test="10d", label_delay="5d")
TABLE = pa.table(
    {
        "day": pa.array([START + dt.timedelta(days=i) for i in range(DAYS)], pa.timestamp("us", "UTC")),
        "known": pa.array(
            [START + dt.timedelta(days=i + 3 * (i % 7 == 0) * 30) for i in range(DAYS)], pa.timestamp("us", "UTC")
        ),
        "id": list(range(DAYS)),
        "x": [i / 7 for i in range(DAYS)],
    }
)


def from_files(store: UPath, path: UPath, **more: Any) -> Snapshot:
    return ingest(
        store, name="days", source=FileSource(path, "day"), as_of=AS_OF, window=WINDOW, event_time="day", **more
    )


def parquet(folder: Path) -> UPath:
    pq.write_table(TABLE, folder / "days.parquet")
    return UPath(folder / "days.parquet")


def test_parquet_csv_hive_folders_and_globs_give_the_same_days(store: UPath, tmp_path: Path) -> None:
    one = parquet(tmp_path)
    (tmp_path / "csv").mkdir()
    pyarrow.csv.write_csv(TABLE, tmp_path / "csv" / "days.csv")
    pq.write_to_dataset(
        TABLE.append_column("month", pa.array([str(i // 30) for i in range(DAYS)])), tmp_path / "hive", ["month"]
    )
    expected = list(range(24, 54))  # as-of day 59, less 5 of delay, 10 of test and 20 of training
    for path in (one, UPath(tmp_path / "csv"), UPath(tmp_path / "hive"), UPath(f"{tmp_path}/*.parquet")):
        assert from_files(store, path).table(["id"])["id"].to_pylist() == expected


def test_the_manifest_says_where_the_rows_came_from(store: UPath, tmp_path: Path) -> None:
    manifest = from_files(store, parquet(tmp_path)).manifest
    assert manifest.source == {"files": str(tmp_path / "days.parquet")}
    assert manifest.as_of == "2026-03-01T00:00:00+00:00"
    assert manifest.bounds == WINDOW.at(AS_OF)
    assert manifest.code_version is None
    assert [column["name"] for column in manifest.schema] == ["day", "known", "id", "x"]


def test_no_row_is_seen_before_it_was_known(store: UPath, tmp_path: Path) -> None:
    window = TrainingWindow(lookback="20d", test="10d", label_delay="5d", knowledge_time="known")
    snapshot = ingest(
        store, name="d", source=FileSource(parquet(tmp_path), "day"), as_of=AS_OF, window=window, event_time="day"
    )
    assert set(range(24, 54)) - set(snapshot.table(["id"])["id"].to_pylist()) == {28, 35, 42, 49}
    later = ingest(
        store, name="d", source=FileSource(parquet(tmp_path), "day"), as_of=instant("2027-01-01"),
        window=TrainingWindow(start="2026-01-01", test="100d", label_delay="200d", knowledge_time="known"),
        event_time="day",
    )  # fmt: skip
    assert later.manifest.rows == DAYS


def test_without_a_window_rows_at_or_after_the_as_of_stay_invisible(store: UPath, tmp_path: Path) -> None:
    snapshot = ingest(store, name="d", source=FileSource(parquet(tmp_path)), as_of=AS_OF, event_time="day")
    assert snapshot.table(["id"])["id"].to_pylist() == list(range(59))


def test_too_few_rows_skip_and_publish_nothing(store: UPath, tmp_path: Path) -> None:
    with pytest.raises(NotEnoughData, match="30 rows, 31 are needed"):
        from_files(store, parquet(tmp_path), min_rows=31)
    assert not Path(store.path).exists()


def engine(tmp_path: Path) -> sa.Engine:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/days.db")
    with engine.begin() as connection:
        connection.execute(sa.text("create table days (id integer, x real, name text)"))
        rows = [{"id": i, "x": i / 7, "name": None if i < 3 else f"n{i}"} for i in reversed(range(DAYS))]
        connection.execute(sa.text("insert into days values (:id, :x, :name)"), rows)
    return engine


def test_sql_rows_come_in_the_named_order(store: UPath, tmp_path: Path) -> None:
    source = SqlSource(engine(tmp_path), "select * from days where id < 50;", ["id"], "warehouse")
    snapshot = ingest(store, name="sql", source=source, as_of=AS_OF)
    assert snapshot.table(["id"])["id"].to_pylist() == list(range(50))
    assert snapshot.manifest.source["connection"] == "warehouse"


def test_sql_may_use_the_window(store: UPath, tmp_path: Path) -> None:
    source = SqlSource(engine(tmp_path), "select id from days where :as_of > '2026-02-28'", ["id"])
    assert ingest(store, name="sql", source=source, as_of=AS_OF).manifest.rows == DAYS


def test_sql_without_an_order_is_refused(store: UPath, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="order_by"):
        ingest(store, name="sql", source=SqlSource(engine(tmp_path), "select 1 as a", []), as_of=AS_OF)


def test_sql_rows_that_tie_are_refused(store: UPath, tmp_path: Path) -> None:
    source = SqlSource(engine(tmp_path), "select id / 2 as half, id from days", ["half"])
    with pytest.raises(DataError, match="share their order_by"):
        ingest(store, name="sql", source=source, as_of=AS_OF)


def test_a_callable_gets_the_window_and_its_order_is_made(store: UPath) -> None:
    seen = {}

    def read(*, start: dt.datetime, end: dt.datetime, as_of: dt.datetime, factor: int) -> Any:
        seen.update(start=start, end=end, as_of=as_of, factor=factor)
        return TABLE.take(list(reversed(range(DAYS)))).to_pandas()

    source = CallableSource(read, ["id"], {"factor": 2})
    snapshot = ingest(store, name="c", source=source, as_of=AS_OF, window=WINDOW, event_time="day")
    whole = WINDOW.at(AS_OF).whole
    assert seen == {"start": whole.start, "end": whole.end, "as_of": AS_OF, "factor": 2}
    assert snapshot.table(["id"])["id"].to_pylist() == list(range(24, 54))  # whatever the callable returned


@pytest.mark.parametrize(
    ("returned", "order_by", "error", "words"),
    [
        (TABLE, [], ConfigurationError, "order_by"),
        (TABLE, ["nope"], ConfigurationError, "nope"),
        (pa.table({"id": [1, 1]}), ["id"], DataError, "2 rows|1 rows"),
        (42, ["id"], DataError, "returned int"),
        (None, ["id"], DataError, "returned NoneType"),
    ],
)
def test_a_callable_that_cannot_be_a_source_is_told_why(
    store: UPath, returned: Any, order_by: list[str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ingest(store, name="c", source=CallableSource(lambda **_: returned, order_by), as_of=AS_OF)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all", None])
def test_empty_broken_and_missing_files_name_the_source(store: UPath, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SnapshotError, match=r"broken\.parquet"):
        from_files(store, UPath(path))


@pytest.mark.parametrize("keep", [4, 20, 400, 1500, -9, -1])
def test_truncated_parquet_is_an_error_and_never_a_snapshot(store: UPath, tmp_path: Path, keep: int) -> None:
    path = parquet(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SnapshotError):
        from_files(store, path)
    assert not Path(store.path).exists()


def test_a_missing_time_column_is_named(store: UPath, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="nope"):
        ingest(
            store, name="d", source=FileSource(parquet(tmp_path), "nope"), as_of=AS_OF, window=WINDOW, event_time="nope"
        )


class TestPrepare:
    def test_the_manifest_names_parents_code_and_window(self, store: UPath, tmp_path: Path) -> None:
        parent = from_files(store, parquet(tmp_path))
        child = prepare(
            store,
            name="features",
            function=with_double,
            inputs={"days": parent},
            kwargs={"by": 2},
            code_version="git:1",
        )
        assert child.manifest.parents == [parent.uri]
        assert child.manifest.source["prepare"].endswith("with_double")
        assert (child.manifest.source["inputs"], child.manifest.source["order_by"]) == (["days"], None)
        assert (child.manifest.as_of, child.manifest.windows) == (parent.manifest.as_of, parent.manifest.windows)
        assert child.table(["double"])["double"].to_pylist() == [2 * i for i in range(24, 54)]

    def test_inputs_of_two_as_ofs_are_refused(self, store: UPath, tmp_path: Path) -> None:
        one = from_files(store, parquet(tmp_path))
        other = ingest(store, name="o", source=FileSource(parquet(tmp_path)), as_of=instant("2026-03-02"))
        with pytest.raises(ConfigurationError, match="different as-ofs"):
            prepare(store, name="f", function=lambda a, b: a, inputs={"a": one, "b": other})

    def test_no_rows_and_no_table_are_errors(self, store: UPath, tmp_path: Path) -> None:
        one = from_files(store, parquet(tmp_path))
        with pytest.raises(DataError, match="no rows"):
            prepare(store, name="f", function=lambda a: a.slice(0, 0), inputs={"a": one})
        with pytest.raises(DataError, match="returned str"):
            prepare(store, name="f", function=lambda a: "a", inputs={"a": one})
        with pytest.raises(ConfigurationError, match="at least one"):
            prepare(store, name="f", function=with_double, inputs={})

    @pytest.mark.parametrize("path", ["nope", "no.such.module.function", "json.no_such_function"])
    def test_a_function_that_is_not_there_is_named(self, store: UPath, tmp_path: Path, path: str) -> None:
        with pytest.raises(ConfigurationError, match=path):
            prepare(store, name="f", function=path, inputs={"a": from_files(store, parquet(tmp_path))})


def with_double(days: pa.Table, by: int) -> pa.Table:
    return days.append_column("double", pa.array([by * i for i in days["id"].to_pylist()]))


def test_the_same_instant_in_another_zone_shows_no_row_more(store: UPath) -> None:
    naive = pa.table(
        {"at": [dt.datetime(2026, 1, 1) + dt.timedelta(hours=i) for i in range(48)], "id": list(range(48))}
    )
    spelled = [instant("2026-01-01T10:00:00+00:00"), dt.datetime.fromisoformat("2026-01-01T19:00:00+09:00")]
    found = [
        ingest(store, name="n", source=CallableSource(lambda **_: naive, ["id"]), as_of=as_of, event_time="at")
        for as_of in spelled
    ]
    assert found[0].uri == found[1].uri
    assert found[0].manifest.rows == 10


def test_prepare_keeps_the_time_of_the_rows_and_nothing_after_the_as_of(store: UPath, tmp_path: Path) -> None:
    parent = from_files(store, parquet(tmp_path))
    with pytest.raises(ConfigurationError, match="dropped the time of the rows: keep day"):
        prepare(store, name="f", function=lambda a: a.drop_columns(["day"]), inputs={"a": parent})
    later = prepare(store, name="f", function=lambda a: TABLE, inputs={"a": parent})
    assert later.manifest.rows == 59


def test_prepare_refuses_inputs_of_two_windows(store: UPath, tmp_path: Path) -> None:
    one = from_files(store, parquet(tmp_path))
    other = ingest(
        store,
        name="o",
        source=FileSource(parquet(tmp_path), "day"),
        as_of=AS_OF,
        window=TrainingWindow(lookback="10d", test="10d"),
        event_time="day",
    )
    with pytest.raises(ConfigurationError, match="windows"):
        prepare(store, name="f", function=lambda a, b: a, inputs={"a": one, "b": other})


def test_an_empty_answer_of_a_database_is_too_little_and_a_wrong_query_is_told(store: UPath, tmp_path: Path) -> None:
    nothing = SqlSource(engine(tmp_path), "select * from days where id < 0", ["id"])
    with pytest.raises(NotEnoughData):
        ingest(store, name="sql", source=nothing, as_of=AS_OF, window=WINDOW, event_time="at")
    wrong = SqlSource(sa.create_engine("sqlite://"), "select nope(", ["id"], "warehouse")
    with pytest.raises((ConfigurationError, ServiceUnavailable), match="warehouse"):
        ingest(store, name="sql", source=wrong, as_of=AS_OF)


def test_a_value_that_cannot_be_read_is_not_quoted(store: UPath, tmp_path: Path) -> None:
    lines = ["id,ssn", *(f"{i},{i}" for i in range(200_000)), "7,078-05-1120"]
    (tmp_path / "people.csv").write_text("\n".join(lines))
    with pytest.raises(SnapshotError, match=r"people\.csv, line 200002: column ssn holds what is no int64") as caught:
        ingest(store, name="p", source=FileSource(UPath(tmp_path / "people.csv")), as_of=AS_OF)
    assert "078-05" not in str(caught.value)
    assert caught.value.__cause__ is None
