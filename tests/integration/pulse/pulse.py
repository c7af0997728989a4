"""Rows that depend on their hour alone, so that every as-of sees the same past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

FIRST = datetime(2025, 1, 1, tzinfo=UTC)


def beats(*, start: datetime, end: datetime, as_of: datetime) -> pa.Table:
    hours = range(max(0, (start - FIRST) // timedelta(hours=1)), (min(end, as_of) - FIRST) // timedelta(hours=1))
    signal, noise = (np.random.default_rng(seed).normal(size=30_000)[hours.start : hours.stop] for seed in (0, 1))
    return pa.table(
        {"at": [FIRST + timedelta(hours=hour) for hour in hours], "signal": signal, "noise": noise, "hour": list(hours)}
    )


def prepare(beats: pa.Table) -> pa.Table:
    chance = np.random.default_rng(2).normal(size=30_000)[beats["hour"].to_numpy()]
    high = (beats["signal"].to_numpy() + chance > 0).astype(int)
    days = [moment.date() for moment in beats["at"].to_pylist()]
    return beats.append_column("high", pa.array(high)).append_column("day", pa.array(days))
