"""A snapshot weighed against those of earlier as-ofs in its store, whatever was written when."""

from __future__ import annotations

import random
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from airflow_mlops.core.windows import TrainingWindow, instant
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.steps.history import newest_event, weigh_against_history
from airflow_mlops.steps.snapshots import Snapshot, ingest
from airflow_mlops.steps.sources import CallableSource

FIRST = instant("2026-11-01")


def events(start: datetime, end: datetime, per_day: int = 24, until: str | None = None, **_: Any) -> pa.Table:
    """One event an hour, or so."""
    end = min(end, instant(until)) if until else end
    step = timedelta(days=1) / per_day
    moments = [start + step * i for i in range(int((end - start) / step))]
    return pa.table({"at": pa.array(moments, pa.timestamp("us", "UTC")), "x": list(range(len(moments)))})


def snapshot(store: UPath, day: int, lookback: str = "2d", **source: Any) -> Snapshot:
    return ingest(
        store,
        name="events",
        source=CallableSource(events, ["at"], source),
        as_of=FIRST + timedelta(days=day),
        window=TrainingWindow(lookback=lookback, test="1d"),
        event_time="at",
    )


def messages(store: UPath, of: Snapshot) -> dict[str, tuple[str, str]]:
    found = weigh_against_history(store, of, freshness=True, volume=True)
    return {outcome.type: (outcome.status, outcome.message) for outcome in found}


def test_a_feed_that_stopped_is_stale_and_thin(store: UPath) -> None:
    days = list(range(8))
    random.Random(3).shuffle(days)
    for day in days:
        snapshot(store, day)
    assert messages(store, snapshot(store, 8)) == {
        "volume": ("passed", "72 rows, 58 to 90 are usual (8 earlier snapshots)"),
        "freshness": ("passed", "the newest event is 1.0 hours old, up to 2.0 are usual (8 earlier snapshots)"),
    }
    dead = messages(store, snapshot(store, 8, until="2026-11-07"))
    assert [status for status, _ in dead.values()] == ["failed", "failed"]
    assert dead["freshness"][1].startswith("the newest event is 49.0 hours old")


def test_later_snapshots_are_not_seen(store: UPath) -> None:
    early = snapshot(store, 3)
    before = messages(store, early)
    assert all("not judged: 0 earlier snapshots" in message for _, message in before.values())
    for day in range(3, 14):
        snapshot(store, day, per_day=1)
    assert messages(store, early) == before


def test_a_longer_window_is_no_growth(store: UPath) -> None:
    for day in range(8):
        snapshot(store, day)
    longer = snapshot(store, 8, lookback="6d")
    assert longer.manifest.rows == 168
    assert messages(store, longer)["volume"] == ("passed", "168 rows, 135 to 210 are usual (8 earlier snapshots)")


def test_what_was_broken_since_says_nothing(store: UPath) -> None:
    snapshots = [snapshot(store, day) for day in range(8)]
    (snapshots[0].path / "manifest.json").write_text("{")
    shutil.rmtree(Path(str(snapshots[1].path)))
    for file in snapshots[2].manifest.files:
        (snapshots[2].path / file.name).unlink()
    found = messages(store, snapshot(store, 8))
    assert "6 earlier snapshots" in found["volume"][1]
    assert "5 earlier snapshots, 6 are needed" in found["freshness"][1]


@pytest.mark.parametrize(
    "type_", [pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("ms", "Europe/Paris"), pa.date32()]
)
def test_the_newest_event_of_any_type_of_time(store: UPath, type_: pa.DataType) -> None:
    def dated(**_: Any) -> pa.Table:
        moments = [FIRST + timedelta(days=day) for day in (1, 0, 3)]
        zoned = moments if getattr(type_, "tz", None) else [moment.replace(tzinfo=None) for moment in moments]
        return pa.table({"at": pa.array([m.date() for m in moments] if type_ == pa.date32() else zoned, type_)})

    made = ingest(store, name="d", source=CallableSource(dated, ["at"]), as_of=instant("2027-01-01"), event_time="at")
    assert newest_event(made, "at") == FIRST + timedelta(days=3)


def test_the_newest_event_of_files_without_statistics(store: UPath) -> None:
    made = snapshot(store, 3)
    (file,) = made.manifest.files
    table = made.table()
    pq.write_table(table, Path(str(made.path)) / file.name, write_statistics=False, row_group_size=10)
    assert newest_event(made, "at") == FIRST + timedelta(days=2, hours=23)


def test_data_without_a_time_cannot_be_stale(store: UPath) -> None:
    made = ingest(store, name="t", source=CallableSource(plain, ["x"]), as_of=FIRST)
    assert weigh_against_history(store, made) == ()
    (volume,) = weigh_against_history(store, made, volume={"at_least": 2})
    assert volume.message == "3 rows, not judged: 0 earlier snapshots, 2 are needed"
    with pytest.raises(ConfigurationError, match="names no event_time"):
        weigh_against_history(store, made, freshness={"max_lag": "1d"})


def plain(**_: Any) -> pa.Table:
    return pa.table({"x": [1, 2, 3]})
