"""Late corrections: what a run may see is what a naive replay of the facts gives, whatever was learnt later."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from airflow_mlops.core.slices import Slice, sliced
from airflow_mlops.core.windows import Bounds, TrainingWindow, instant
from airflow_mlops.exceptions import ConfigurationError, DataError, NotEnoughData, SnapshotError
from airflow_mlops.steps.snapshots import Snapshot, ingest
from airflow_mlops.steps.sources import CallableSource, FileSource

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
WINDOW = TrainingWindow(lookback="6d", test="3d", label_delay="1d", knowledge_time="known")
SCHEMA = pa.schema(
    [("id", pa.int64()), ("day", pa.timestamp("us", "UTC")), ("known", pa.timestamp("us", "UTC")), ("x", pa.int64())]
)

#: Key, day of the event, day on which it became known, value; each key once per day of knowledge.
facts = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(0, 20), st.integers(0, 9)),
    max_size=20,
    unique_by=lambda fact: (fact[0], fact[2]),
)


def table(rows: list[tuple[int, int, int, int]]) -> pa.Table:
    made = [{"id": key, "day": START + day * DAY, "known": START + known * DAY, "x": x} for key, day, known, x in rows]
    return pa.Table.from_pylist(made, SCHEMA)


def replay(rows: list[tuple[int, int, int, int]], as_of: dt.datetime, bounds: Bounds) -> set[tuple[int, int, int, int]]:
    """One fact after the other, in the order in which they became known; a later one takes the earlier one's place."""
    state: dict[int, tuple[int, int, int, int]] = {}
    for fact in sorted(rows, key=lambda fact: fact[2]):
        if START + fact[2] * DAY < as_of:
            state[fact[0]] = fact
    return {fact for fact in state.values() if bounds.start <= START + fact[1] * DAY < bounds.end}


def seen(found: pa.Table) -> list[tuple[int, int, int, int]]:
    days = [[(moment - START) // DAY for moment in found[name].to_pylist()] for name in ("day", "known")]
    return list(zip(found["id"].to_pylist(), *days, found["x"].to_pylist(), strict=True))


@given(rows=facts, day=st.integers(0, 25), chunk=st.integers(1, 8))
def test_a_slice_is_what_a_naive_replay_gives(rows: list[tuple[int, int, int, int]], day: int, chunk: int) -> None:
    as_of = START + day * DAY
    bounds = WINDOW.at(as_of).whole
    batches = table(rows).to_batches(max_chunksize=chunk)
    found = pa.Table.from_batches(sliced(batches, Slice(as_of, bounds, ("id",)), "day", "known"), SCHEMA)
    assert seen(found) == [fact for fact in rows if fact in replay(rows, as_of, bounds)]  # in the source's order


def facts_until(store: UPath, rows: list[tuple[int, int, int, int]], as_of: dt.datetime) -> Snapshot | None:
    source = CallableSource(lambda **_: table(rows), ["id", "known"])
    try:
        return ingest(store, name="facts", source=source, as_of=as_of, window=WINDOW, event_time="day", key=["id"])
    except NotEnoughData:
        return None


@settings(max_examples=25, deadline=None)
@given(rows=facts, day=st.integers(5, 20))
def test_a_backfill_sees_the_data_version_that_the_live_run_saw(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int, int]], day: int
) -> None:
    store, as_of = UPath(tmp_path_factory.mktemp("store")), START + day * DAY
    live = facts_until(store, [fact for fact in rows if fact[2] < day], as_of)
    backfill = facts_until(store, rows, as_of)  # by now the source holds what was learnt since, too
    assert (backfill and backfill.manifest) == (live and live.manifest)


def test_a_correction_counts_from_the_as_of_after_it(store: UPath) -> None:
    rows = [(1, 4, 5, 10), (2, 4, 5, 20), (1, 4, 12, 11)]
    values = {}
    for day in (11, 12, 13):
        found = facts_until(store, rows, START + day * DAY)
        assert found is not None
        values[day] = sorted(found.table()["x"].to_pylist())
        assert found.manifest.source["key"] == ["id"]
    assert values == {11: [10, 20], 12: [10, 20], 13: [11, 20]}


@pytest.mark.parametrize("corrected", [0, 19])
def test_a_correction_that_moves_an_event_takes_it_out_of_the_window(
    store: UPath, tmp_path: Any, corrected: int
) -> None:
    pq.write_table(table([(1, 8, 9, 10), (2, 8, 9, 20), (1, corrected, 10, 10)]), tmp_path / "facts.parquet")
    source = FileSource(UPath(tmp_path / "facts.parquet"), "day")
    found = ingest(
        store, name="f", source=source, as_of=START + 12 * DAY, window=WINDOW, event_time="day", key=["id"]
    )  # fmt: skip
    assert seen(found.table()) == [(2, 8, 9, 20)]


@pytest.mark.parametrize(
    ("rows", "key", "error", "words"),
    [
        ([(1, 4, 5, 10), (1, 4, 5, 11)], ["id"], DataError, "1 rows share id and known .*: which of them counts"),
        ([(1, 4, 5, 10)], ["id", "line"], SnapshotError, "no column line; the source has id, day, known, x"),
        ([(None, 4, 5, 10)], ["id"], DataError, "A row has no id, its key"),
    ],
)
def test_a_key_that_cannot_decide_is_refused(
    store: UPath, rows: list[Any], key: list[str], error: type[Exception], words: str
) -> None:
    source = CallableSource(lambda **_: table(rows), ["id", "known", "x"])
    with pytest.raises(error, match=words):
        ingest(store, name="f", source=source, as_of=START + 8 * DAY, window=WINDOW, event_time="day", key=key)


def test_a_key_without_a_time_of_knowledge_is_refused(store: UPath) -> None:
    window = TrainingWindow(lookback="6d", test="3d")
    source = CallableSource(lambda **_: table([]), ["id"])
    with pytest.raises(ConfigurationError, match="name knowledge_time in its window"):
        ingest(
            store, name="f", source=source, as_of=instant("2026-01-09"), window=window, event_time="day", key=["id"]
        )  # fmt: skip
