"""Profiles of files and snapshots: the same whatever the files, the parts and the threads, and refused where broken."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import tags
from airflow_mlops.core.profiles import Profile, Profiler, fit_plan
from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.exceptions import ConfigurationError, NoVersion, ProfileError, SnapshotError
from airflow_mlops.steps import scan
from airflow_mlops.steps.baselines import baseline_of
from airflow_mlops.steps.profiles import (
    load_profile,
    merge_profiles,
    plan_snapshot,
    profile_files,
    profile_snapshot,
    profile_table,
    save_profile,
)
from airflow_mlops.steps.registry import register
from airflow_mlops.steps.snapshots import ingest
from airflow_mlops.steps.sources import DeltaSource
from airflow_mlops.steps.training import train
from airflow_mlops.store.snapshots import Snapshot, write_snapshot

ROWS = 20_000


@pytest.fixture(scope="module")
def table() -> pa.Table:
    r = np.random.default_rng(11)
    start = np.datetime64("2026-01-01T00:00:00", "us")
    return pa.table({
        "x": pa.array(r.lognormal(0, 1, ROWS), mask=r.random(ROWS) < 0.1),
        "count": r.poisson(60, ROWS),
        "few": r.integers(0, 5, ROWS),
        "t": start + r.integers(0, 10**12, ROWS).astype("timedelta64[us]"),
        "word": pa.array([f"word {i}" for i in r.zipf(1.5, ROWS) % 500]),
        "id": pa.array([f"{i:x}" for i in r.integers(0, 2**60, ROWS)]),
        "flag": pa.array(r.random(ROWS) < 0.2),
        "secret": pa.array([f"SECRET-{i}" for i in range(ROWS)]),
        "list": pa.array([[i, 1] for i in range(ROWS)]),
    })  # fmt: skip


@pytest.fixture
def snapshot(store: UPath) -> Callable[[pa.Table], Snapshot]:
    def make(table: pa.Table) -> Snapshot:
        draft = Manifest("rows", "", 0, [], {}, "2026-03-01T00:00:00+00:00")
        return write_snapshot(store, table.to_batches(), table.schema, draft)

    return make


def written(folder: Path, table: pa.Table, sizes: list[int], **how: object) -> list[Path]:
    """The table in files of these numbers of rows."""
    paths, start = [], 0
    for i, size in enumerate(sizes):
        paths.append(folder / f"{i}.parquet")
        pq.write_table(table.slice(start, size), paths[-1], **how)
        start += size
    return paths


def test_seven_uneven_files_in_any_order_are_one_pass(tmp_path: Path, table: pa.Table) -> None:
    paths = written(tmp_path, table, [1, 9_000, 0, 17, 3_982, 4_000, 3_000], row_group_size=1500)
    whole = profile_table(table, sensitive=["secret"], as_of=datetime(2026, 3, 1, tzinfo=UTC))
    plan = whole.plan
    same = {"as_of": "2026-03-01T00:00:00+00:00"}
    assert profile_files(paths, plan, **same) == whole  # type: ignore[arg-type]
    assert profile_files(reversed(paths), plan, threads=3, **same) == whole  # type: ignore[arg-type]
    parts = [profile_files([path], plan, threads=1, **same) for path in paths]  # type: ignore[arg-type]
    assert merge_profiles(parts[::-1]) == whole
    profiler = Profiler(plan, datetime(2026, 3, 1, tzinfo=UTC))
    for batch in table.to_batches(max_chunksize=777):
        profiler.update(batch)
    assert profiler.profile() == whole


def test_a_file_is_opened_once_and_not_for_each_column(
    tmp_path: Path, table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = written(tmp_path, table, [5000] * 4)
    plan, opened = fit_plan(table.to_batches()), list[str]()
    real = pq.ParquetFile

    def opening(path: str, **how: Any) -> pq.ParquetFile:
        opened.append(path)
        return real(path, **how)

    monkeypatch.setattr(pq, "ParquetFile", opening)
    whole = profile_files(paths, plan, threads=1)
    assert sorted(opened) == sorted(map(str, paths))
    monkeypatch.setattr(scan, "_OPEN", 2)
    assert profile_files(paths, plan, threads=1) == whole


def test_how_a_file_is_written_changes_nothing(tmp_path: Path, table: pa.Table) -> None:
    plain = written(tmp_path, table, [ROWS], use_dictionary=False, compression="zstd")
    (tmp_path / "other").mkdir()
    small = written(tmp_path / "other", table, [ROWS], row_group_size=100, dictionary_pagesize_limit=500)
    one, two = profile_files(plain), profile_files(small)
    assert one.plan == two.plan == fit_plan(table.to_batches())
    assert one == two == profile_table(table)


def test_a_sensitive_column_leaves_rows_and_nulls_alone(table: pa.Table) -> None:
    found = profile_table(table, sensitive=["secret", "x", "flag", "absent"])
    assert "SECRET" not in json.dumps(found.to_json())
    for name in ("secret", "x", "flag"):
        assert found.column(name).plan.to_json().keys() == {"name", "type", "kind"}
        assert set(found.column(name).to_json()) == {"name", "rows", "nulls"}
    assert found.column("x").nulls == table["x"].null_count > 0
    assert (found.column("list").kind, found.column("list").rows) == ("opaque", ROWS)


def test_an_identifier_is_hash_buckets_a_sketch_and_its_lengths(table: pa.Table) -> None:
    found = profile_table(table.select(["id", "word"]))
    ids, lengths = found.column("id"), found.column("id.length")
    assert (ids.counts, ids.rest, sum(ids.buckets), len(ids.buckets)) == ((), ROWS, ROWS, 4096)
    assert ids.distinct == pytest.approx(ROWS, rel=0.15)
    assert ids.singletons == pytest.approx(ROWS, rel=0.15)
    assert (lengths.values, lengths.maximum) == (ROWS, 15)
    words = found.column("word")
    seen = table["word"].value_counts().to_pylist()
    assert dict(zip(words.plan.keys, words.counts, strict=True)) == {one["values"]: one["counts"] for one in seen}
    assert (words.rest, words.distinct, words.singletons) == (0, len(seen), sum(one["counts"] == 1 for one in seen))


def test_edges_are_of_equal_mass_with_tails_and_atoms(table: pa.Table) -> None:
    found = profile_table(pa.table({"x": np.random.default_rng(3).normal(0, 1, 200_000), "same": [0.5] * 200_000}))
    shares = np.array(found.column("x").counts) / 200_000
    assert len(shares) == 262
    assert np.median(shares) == pytest.approx(1 / 256, rel=1e-3)
    assert sorted(shares)[:2] == pytest.approx([0.0001, 0.0001])
    assert found.column("same").counts == (0, 200_000, 0)
    assert found.column("same").plan.atoms == (False, True, False)


def test_a_long_file_is_planned_from_a_sample_of_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rising = pa.table({"x": np.arange(ROWS) / ROWS, "word": [f"{i // 10:04d}" for i in range(ROWS)]})
    monkeypatch.setattr(scan, "SAMPLE", 2048)
    monkeypatch.setattr(scan, "_RUN", 64)
    paths = written(tmp_path, rising, [ROWS], row_group_size=500)
    for found in (profile_files(paths), profile_table(rising)):
        assert found.column("x").counts[0] < ROWS / 8  # the first rows alone would leave all others in the last bin
        assert found.column("x").counts[-1] < ROWS / 8
        assert len(found.column("word").plan.keys) == ROWS // 10
        assert found.column("word").rest == 0
    assert profile_files(paths).digest == profile_files(paths).digest


@pytest.mark.parametrize("of", [2, 3, 7, 40])
def test_parts_of_a_snapshot_merge_to_its_profile(
    snapshot: Callable[[pa.Table], Snapshot], table: pa.Table, of: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_mlops.store.snapshots.writing.ROW_GROUP", 700)
    monkeypatch.setattr("airflow_mlops.store.snapshots.writing.FILE_ROWS", 2800)
    made = snapshot(table)
    whole = profile_snapshot(made, columns=["x", "word", "t"])
    assert whole.as_of == "2026-03-01T00:00:00+00:00"
    assert whole.plan == plan_snapshot(made, columns=["x", "word", "t"])
    parts = [profile_snapshot(made, whole.plan, part=(i, of)) for i in range(1, of + 1)]
    assert merge_profiles(parts) == whole
    assert max(part.rows for part in parts) < ROWS / of + 700


def test_parts_of_a_pinned_table_merge_to_its_profile(store: UPath, tmp_path: Path, table: pa.Table) -> None:
    for half in (table.slice(0, 7000), table.slice(7000)):
        write_deltalake(str(tmp_path / "delta"), half.select(["x", "word"]), mode="append")
    made = ingest(store, name="rows", source=DeltaSource(UPath(tmp_path / "delta")), as_of=datetime.now(UTC))
    assert made.manifest.pinned
    whole = profile_snapshot(made)
    assert whole.rows == ROWS
    assert merge_profiles([profile_snapshot(made, whole.plan, part=(i, 2)) for i in (2, 1)]) == whole


def test_parts_need_a_plan_and_must_be_there(snapshot: Callable[[pa.Table], Snapshot], table: pa.Table) -> None:
    made = snapshot(table.select(["x"]))
    with pytest.raises(ConfigurationError, match="need one plan"):
        profile_snapshot(made, part=(1, 2))
    with pytest.raises(ConfigurationError, match=r"Part 3/2 .* count from 1 to 2"):
        profile_snapshot(made, plan_snapshot(made), part=(3, 2))
    with pytest.raises(ProfileError, match="no profile to merge"):
        merge_profiles([])


def test_a_changed_snapshot_is_refused(snapshot: Callable[[pa.Table], Snapshot], table: pa.Table) -> None:
    made = snapshot(table.select(["x"]))
    path = Path(made.path.path, made.manifest.files[0].name)
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(SnapshotError, match="is not what its manifest says"):
        profile_snapshot(made)


def test_broken_files_are_named(tmp_path: Path, table: pa.Table) -> None:
    path = written(tmp_path, table.select(["x", "word"]), [ROWS])[0]
    plan = profile_files([path]).plan
    whole = path.read_bytes()
    for broken in (b"", whole[: len(whole) // 2], whole[:4] + bytes(40) + whole[44:]):
        path.write_bytes(broken)
        with pytest.raises(ProfileError, match=r"0\.parquet cannot be read as Parquet"):
            profile_files([path], plan)
    with pytest.raises(ProfileError, match=r"absent\.parquet cannot be read"):
        profile_files([tmp_path / "absent.parquet"])
    with pytest.raises(ProfileError, match="no Parquet file"):
        profile_files([])


def test_rows_that_do_not_fit_the_plan_are_refused(table: pa.Table) -> None:
    plan = profile_table(table.select(["x", "word", "flag", "t"])).plan
    with pytest.raises(ProfileError, match="no column word, which the plan counts"):
        profile_table(table.drop_columns(["word"]), plan)
    for name, values, found in (
        ("x", table["word"], "string"), ("word", table["x"], "double"), ("flag", table["few"], "int64"),
        ("t", table["count"], "int64"), ("t", table["t"].cast(pa.timestamp("us", "UTC")), "timestamp"),
    ):  # fmt: skip
        changed = table.set_column(table.schema.get_field_index(name), name, values)
        with pytest.raises(ProfileError, match=f"Column {name} is {found}.*its plan was made of"):
            profile_table(changed, plan)
    empty = table.set_column(0, "x", pa.nulls(ROWS))
    assert profile_table(empty, plan).column("x").nulls == ROWS


def test_profiles_are_kept_and_read_back(store: UPath, table: pa.Table) -> None:
    found = profile_table(table)
    uri = save_profile(store, found, "rows")
    assert uri == str(store / "profiles" / "rows" / f"{found.digest}.json")
    assert load_profile(UPath(uri)) == found
    with pytest.raises(ProfileError, match="There is no profile at"):
        load_profile(store / "absent.json")
    told = json.loads(UPath(uri).read_text())
    told["plan"]["columns"][0]["edges"][0] -= 1
    (store / "changed.json").write_text(json.dumps(told))
    with pytest.raises(ProfileError, match="plan of this profile was changed"):
        load_profile(store / "changed.json")
    for broken in ("{", "[]", "{}", json.dumps({**told, "columns": []}), json.dumps({**told, "plan": {}})):
        (store / "broken.json").write_text(broken)
        with pytest.raises(ProfileError):
            load_profile(store / "broken.json")


def test_a_scan_imports_only_what_reads_and_counts(tmp_path: Path, table: pa.Table) -> None:
    """What an Airflow task pays before the first row."""
    written(tmp_path, table.select(["x", "count", "few", "word", "flag"]), [ROWS])
    program = "import sys; from airflow_mlops.steps.profiles import profile_files;"
    program += f"profile_files([{str(tmp_path / '0.parquet')!r}]); print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(answer.stdout.split())
    assert "pyarrow.parquet" in loaded
    assert not loaded & {"pandas", "scipy", "airflow", "pyarrow.compute", "pyarrow.dataset", "mlflow", "upath", "httpx"}


def test_a_trained_model_has_its_baseline(
    client: MlflowClient, snapshot: Callable[[pa.Table], Snapshot], model_name: str, tmp_path: Path
) -> None:
    x = np.linspace(-1, 1, 400)
    rows = pa.table({"id": np.arange(400), "x": x, "secret": x * 3, "y": (x > 0).astype(int)})
    spec = TrainingSpec(model_name, "sklearn.linear_model.LogisticRegression", target="y", features=["x", "secret"])
    model = train(client, snapshot=snapshot(rows), spec=spec, sensitive=["secret"])
    version, _ = register(client, model)
    client.registry.set_alias(model_name, "champion", version.version)
    found = baseline_of(client, model_name)
    assert found == baseline_of(client, model_name, version.version)
    assert found.digest == model.facts[tags.BASELINE]
    assert found.rows == int(model.facts[tags.TRAIN_ROWS]) == 300
    assert [(column.name, column.kind) for column in found.columns] == [
        ("x", "numeric"), ("secret", "withheld"), ("y", "categorical"),
    ]  # fmt: skip
    assert json.loads(model.facts[tags.SENSITIVE]) == ["secret"]
    with pytest.raises(NoVersion, match="had no challenger: promote a version first"):
        baseline_of(client, model_name, "challenger")


def test_profiles_of_no_rows(table: pa.Table) -> None:
    found = profile_table(table)
    nothing = profile_table(table.slice(0, 0), found.plan)
    assert nothing == Profile.empty(found.plan)
    assert nothing.merge(found) == found
    assert profile_table(table.slice(0, 0)).rows == 0
