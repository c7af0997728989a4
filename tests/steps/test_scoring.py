"""Batch scoring: the right version, the right rows, one whole result; and everything else refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from upath import UPath

from airflow_mlops.core import tags
from airflow_mlops.core.packages import Package
from airflow_mlops.core.predictions import COLUMNS
from airflow_mlops.core.scoring import Batch, Scored, frame_of
from airflow_mlops.core.signatures import Column
from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.exceptions import ConfigurationError, DigestMismatch, NotEnoughData, PredictionError, SnapshotError
from airflow_mlops.serving.bodies import Reader
from airflow_mlops.serving.values import frame_of as online_frame
from airflow_mlops.steps.packages import fetch, load
from airflow_mlops.steps.scoring import Keep, find_rows, score
from airflow_mlops.steps.scoring.stream import encoding, in_order
from airflow_mlops.store.predictions import read_predictions
from airflow_mlops.store.publish import publish_new
from airflow_mlops.store.snapshots import write_snapshot
from airflow_mlops.testing.shelf import Shelf

SEED = np.random.default_rng(0)
COUNT = 1000
DAY = "2026-11-21T00:00:00+00:00"
BATCH = Batch("models:/m@champion", f"2026-11-20T00:00:00+00:00/{DAY}", DAY)
TAKES = [Column("size", "double", required=False), Column("city", "string", required=False), Column("age", "double")]


def table(count: int = COUNT, seed: int = 1) -> pa.Table:
    random = np.random.default_rng(seed)
    size = random.normal(size=count)
    return pa.table(
        {
            "customer": pa.array(np.arange(count)),
            "age": pa.array(random.integers(18, 90, count)),
            "city": pa.array(random.choice(["Paris", "Rome", "Oslo"], count), mask=random.random(count) < 0.1),
            "size": pa.array(size, mask=random.random(count) < 0.1),
        }
    )


def fitted(seed: int) -> Any:
    rows = table(400, seed).to_pandas()
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    model = make_pipeline(
        make_column_transformer((encoder, ["city"]), remainder="passthrough"),
        HistGradientBoostingClassifier(max_iter=10, random_state=0),
    )
    return model.fit(rows[["size", "city", "age"]], (rows["age"] + 20 * rows["size"].fillna(0) > 50).astype(int))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Two versions: the first was champion until the fifteenth."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for version, day in ((1, 1), (2, 15)):
        shelf.add("m", fitted(version), TAKES, output="long", facts={tags.SENSITIVE: '["city"]'})
        shelf.promote("m", version, datetime(2026, 11, day, tzinfo=UTC))
    return shelf


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.parquet"
    pq.write_table(table(), path, row_group_size=300)
    return path


@pytest.fixture
def run(shelf: Shelf, tmp_path: Path) -> Callable[..., tuple[Scored, UPath, bool]]:
    def run(rows: Any, batch: Batch = BATCH, **how: Any) -> tuple[Scored, UPath, bool]:
        return score(shelf, batch, find_rows(str(rows), UPath), UPath(tmp_path / "log"), **how)

    return run


def read(path: UPath) -> pa.Table:
    return pq.read_table(str(path), partitioning=None)


def expected(version: int, rows: pa.Table) -> Any:
    return fitted(version).predict_proba(rows.to_pandas()[["size", "city", "age"]])[:, 1]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_result_is_what_the_model_says_in_the_order_of_the_rows(
    run: Callable[..., Any], file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setattr("airflow_mlops.steps.scoring.stream.chunk_rows", lambda columns: 128)
    scored, path, new = run(file, keep=Keep(keys=("customer",)), threads=threads)
    assert (scored.rows, scored.version, scored.model, new) == (COUNT, 2, "m", True)
    found = read(path)
    assert tuple(found.schema.names) == (*COLUMNS, "customer")
    assert found["customer"].equals(table()["customer"])
    assert np.abs(found["score"].to_numpy() - expected(2, table())).max() < 1e-12
    assert found["prediction"].to_numpy().tolist() == (found["score"].to_numpy() >= 0.5).astype(int).tolist()
    assert found["id"].to_pylist() == [f"{BATCH.slot}-{row}" for row in range(COUNT)]
    assert {field.name for field in found.schema.field("inputs").type} == {"size", "age"}  # the city is sensitive
    assert pc.unique(found["mode"]).to_pylist() == ["batch"]
    assert path.parent.name == "date=2026-11-21"
    logged = pa.Table.from_batches(read_predictions(UPath(tmp_path / "log"), "m"))
    assert logged.drop_columns("customer").num_rows == COUNT


def test_a_retry_adds_nothing(run: Callable[..., Any], file: Path, tmp_path: Path) -> None:
    first = run(file)
    before = path_facts(tmp_path)
    assert run(file) == (*first[:2], False)
    assert path_facts(tmp_path) == before


def path_facts(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_other_rows_are_another_result_and_the_last_one_counts(
    run: Callable[..., Any], file: Path, tmp_path: Path
) -> None:
    run(file)
    pq.write_table(table(10, seed=9), file)
    scored, _, new = run(file)
    assert (scored.rows, new) == (10, True)
    assert len(list(tmp_path.rglob("batch-*.parquet"))) == 2
    assert sum(batch.num_rows for batch in read_predictions(UPath(tmp_path / "log"), "m")) == 10


def test_what_was_in_production_then(run: Callable[..., Any], file: Path, tmp_path: Path) -> None:
    then = replace(BATCH, at="2026-11-10T00:00:00+00:00", mode="backfill")
    scored, path, _ = run(file, then)
    assert scored.version == 1
    assert np.abs(read(path)["score"].to_numpy() - expected(1, table())).max() < 1e-12
    assert list(read_predictions(UPath(tmp_path / "log"), "m")) == []  # nobody was answered by it
    assert run(file, replace(then, ref="models:/m/2"))[0].version == 2
    with pytest.raises(NotEnoughData, match="had no champion at 2026-10-01"):
        run(file, replace(BATCH, at="2026-10-01T00:00:00+00:00"))


def test_a_message_is_scored_once_whatever_became_of_its_file(run: Callable[..., Any], file: Path) -> None:
    message = replace(BATCH, message_id="7f")
    first = run(file, message)
    pq.write_table(table(10), file)
    later = replace(message, as_of="2026-11-25T00:00:00+00:00", interval="another")
    assert run(file, later) == (*first[:2], False)
    file.unlink()
    assert run(file, later) == (*first[:2], False)


def test_a_snapshot_is_scored_by_its_data_version(run: Callable[..., Any], store: UPath) -> None:
    rows = table()
    draft = Manifest(name="rows", data_version="", rows=0, schema=[], source={}, as_of=DAY)
    snapshot = write_snapshot(store, rows.to_batches(), rows.schema, draft)
    scored, path, _ = run(snapshot.uri)
    assert scored.data_version == snapshot.manifest.data_version
    assert np.abs(read(path)["score"].to_numpy() - expected(2, rows)).max() < 1e-12


def test_files_of_many_shapes_are_rows_too(run: Callable[..., Any], tmp_path: Path) -> None:
    rows = table()
    folders = tmp_path / "lake"
    for city in ("Paris", "Rome", "Oslo"):
        part = folders / f"city={city}" / "part.parquet"
        part.parent.mkdir(parents=True)
        kept = rows.filter(pc.equal(rows["city"], city)).drop_columns("city")
        pq.write_table(kept.set_column(1, "age", kept["age"].cast(pa.int16())), part)
    scored, path, _ = run(folders)
    ordered = rows.filter(pc.is_valid(rows["city"])).sort_by([("city", "ascending"), ("customer", "ascending")])
    assert scored.rows == ordered.num_rows
    assert np.abs(read(path)["score"].to_numpy() - expected(2, ordered)).max() < 1e-12
    coded = rows.set_column(2, "city", rows["city"].dictionary_encode())
    pq.write_table(coded, tmp_path / "coded.parquet")
    assert np.allclose(read(run(tmp_path / "coded.parquet")[1])["score"].to_numpy(), expected(2, rows))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda rows: rows.drop_columns("city"), "has no column city, which version 2 of model m takes; it has cust"),
        (lambda rows: rows.set_column(3, "size", rows["city"]), "column size as string; version 2 of .* takes double"),
        (lambda rows: rows.set_column(2, "city", rows["age"]), "column city as int64; .* takes string"),
        (lambda rows: rows.set_column(3, "size", pc.greater(rows["age"], 50)), "column size as bool"),
        (lambda rows: rows.set_column(1, "age", rows["size"]), r"rows.parquet: \d+ rows have no value in column age"),
        (
            lambda rows: rows.set_column(1, "age", pa.array([*[1.0] * 700, np.nan, *[1.0] * 299])),
            "Row 700 has no value in column age, which version 2 of model m needs",
        ),
    ],
    ids=["missing", "text for a number", "number for text", "truth for a number", "null", "NaN"],
)
def test_rows_that_the_model_does_not_take_are_refused_by_column(
    run: Callable[..., Any], file: Path, tmp_path: Path, change: Callable[[pa.Table], pa.Table], complaint: str
) -> None:
    pq.write_table(change(table()), file)
    with pytest.raises(PredictionError, match=complaint):
        run(file)
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("keep", "complaint"),
    [
        (Keep(keys=("customers",)), "no key column customers; it has customer, age"),
        (Keep(keys={"customer": "id"}), "column of the log is called id: give the key column customer another name"),
        (Keep(keys=("city",)), "key column city is declared sensitive"),
        (Keep(hidden=("ages",)), "takes no column ages"),
        (Keep(hashed=("city",)), "need a key of at least 16 bytes"),
    ],
)
def test_what_cannot_be_kept_is_refused(run: Callable[..., Any], file: Path, keep: Keep, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        run(file, keep=keep)


def test_keys_and_inputs_may_be_hashed_or_left_out(run: Callable[..., Any], file: Path) -> None:
    keep = Keep(keys=("city", "customer"), hashed=("city", "customer"), inputs=False, key=b"0123456789abcdef")
    found = read(run(file, keep=keep)[1])
    assert "inputs" not in found.schema.names
    assert len(pc.unique(found["customer"])) == COUNT
    assert len(pc.unique(found["city"]).drop_null()) == 3
    assert not {"Paris", "Rome", "Oslo"} & set(found["city"].to_pylist())


def test_a_changed_model_is_refused(run: Callable[..., Any], file: Path, shelf: Shelf, tmp_path: Path) -> None:
    changed = Shelf(tmp_path / "other")
    changed.folder.mkdir()
    changed.add("m", fitted(1), TAKES, output="long")
    with (changed.folder / "m-m-1" / "MLmodel").open("a") as text:
        text.write("\n")
    with pytest.raises(DigestMismatch, match="version 1 of model m"):
        score(changed, replace(BATCH, ref="models:/m/1"), find_rows(str(file), UPath), UPath(tmp_path / "log"))


def test_files_that_change_while_they_are_read_are_refused(run: Callable[..., Any], tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    pq.write_table(table(), lake / "a.parquet")
    rows = find_rows(str(lake), UPath)
    batches = rows.batches(["age"])
    next(batches)
    pq.write_table(table(), lake / "b.parquet")
    with pytest.raises(SnapshotError, match="changed while it was read"):
        list(batches)


def test_no_rows_are_a_whole_result(run: Callable[..., Any], file: Path) -> None:
    pq.write_table(table(0), file)
    scored, path, _ = run(file)
    assert (scored.rows, read(path).num_rows) == (0, 0)


@pytest.mark.parametrize("given", [None, 3, "", {"file": "a"}, {"names": []}])
def test_what_names_no_rows_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="names no rows to score"):
        find_rows(given, UPath)


def test_a_regression_has_no_scores(tmp_path: Path, file: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    shelf.folder.mkdir()
    line = LinearRegression().fit(pd.DataFrame({"age": [0.0, 1.0]}), [0.0, 2.0])
    shelf.add("line", line, [Column("age", "double")], task="regression")
    batch = replace(BATCH, ref="models:/line/1")
    _, path, _ = score(shelf, batch, find_rows(str(file), UPath), UPath(tmp_path / "log"))
    found = read(path)
    assert np.allclose(found["prediction"].to_numpy(), 2 * table()["age"].to_numpy())
    assert found["score"].null_count == COUNT


def test_of_two_that_publish_the_first_counts(tmp_path: Path) -> None:
    target = UPath(tmp_path / "there" / "x")
    for text, new in (("first", True), ("second", False)):
        source = tmp_path / text
        source.write_text(text)
        assert publish_new(source, target) is new
    assert target.read_text() == "first"
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["x"]


def test_work_ahead_is_bounded() -> None:
    taken: list[int] = []

    def items() -> Any:
        for number in range(100):
            taken.append(number)
            yield number

    results = in_order(lambda n: n, items(), 2)
    assert next(results) == 0
    assert len(taken) <= 5
    assert list(results) == list(range(1, 100))


@pytest.mark.parametrize(("kind", "repeated"), [(pa.int64(), ["mode", "prediction"]), (pa.float64(), ["mode"])])
def test_numbers_of_a_model_get_no_dictionary(kind: pa.DataType, repeated: list[str]) -> None:
    """They hardly repeat: one would be built for each chunk, and thrown away."""
    names = [("id", pa.string()), ("mode", pa.string()), ("prediction", kind), ("score", pa.float64())]
    assert encoding(pa.schema(names))["use_dictionary"] == repeated


def test_a_server_says_the_same_of_the_same_rows(
    run: Callable[..., Any], file: Path, shelf: Shelf, tmp_path: Path
) -> None:
    """Missing values and unseen categories, from a file and from the body of a request."""
    rows = table().to_pandas()
    rows.loc[::7, "city"] = "Lima"
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), file)
    batch = read(run(file)[1])
    names = [column.name for column in TAKES]
    data = [[None if pd.isna(value) else value for value in row] for row in rows[names].itertuples(index=False)]
    body = json.dumps({"dataframe_split": {"columns": names, "data": data}}).encode()
    files = tmp_path / "model"
    files.mkdir()
    package = fetch(shelf, shelf.registry.version("m", 2), files)
    asked = online_frame(package.columns, Reader(package.columns).read(body).columns)
    online = load(files, package).predict(asked)
    assert online.scores is not None
    assert np.abs(online.scores - batch["score"].to_numpy()).max() <= 1e-9
    assert online.values.tolist() == batch["prediction"].to_pylist()


def test_a_file_and_a_request_make_the_same_frame() -> None:
    columns = (
        Column("size", "double", False), Column("city", "string", False), Column("new", "boolean", False),
        Column("seen", "datetime", False), Column("sold", "boolean"),
    )  # fmt: skip
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    rows = pa.table(
        {
            "size": pa.array([1, None, 3], pa.int32()),
            "city": pa.array(["Rome", None, "Rome"]).dictionary_encode(),
            "new": [True, None, False],
            "seen": pa.array([noon, None, noon], pa.timestamp("ms")),
            "sold": [True, False, True],
        }
    )
    data = [
        [1, "Rome", True, noon.isoformat(), True],
        [None, None, None, None, False],
        [3.0, "Rome", False, "2026-11-21T13:00:00+01:00", True],
    ]
    body = json.dumps({"dataframe_split": {"columns": [column.name for column in columns], "data": data}}).encode()
    package = Package("m", 1, "m-1", "d", "regression", columns, "double")
    (batch,) = rows.to_batches()
    online = online_frame(columns, Reader(columns).read(body).columns)
    pd.testing.assert_frame_equal(frame_of(package, batch), online)
