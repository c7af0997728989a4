"""Whose work a run is: a live one may change production, one about the past may not."""

from __future__ import annotations

from typing import Literal

RunType = Literal["live", "backfill", "reprocessed"]


def run_type_of(airflow_type: str, run_id: str) -> RunType:
    """What Airflow's type of a run means.

    A backfill that reprocesses a date takes over the run that is there, and relabels it; only the run's id still tells.

    >>> run_type_of("scheduled", "scheduled__2026-11-01"), run_type_of("backfill", "backfill__2026-11-01")
    ('live', 'backfill')
    >>> run_type_of("backfill", "scheduled__2026-11-01")
    'reprocessed'
    """
    if airflow_type != "backfill":
        return "live"
    return "backfill" if run_id.startswith("backfill__") else "reprocessed"


def historical(run_type: str | None) -> bool:
    """Whether a run is about the past: its model is judged, and registered only on request.

    >>> [historical(kind) for kind in ("live", "backfill", "reprocessed")]
    [False, True, True]
    """
    return run_type in ("backfill", "reprocessed")
