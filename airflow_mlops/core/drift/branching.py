"""Where a DAG goes on after a drift check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_mlops.core.drift.policy import SEVERITIES
from airflow_mlops.exceptions import ConfigurationError

#: What tasks can be named for, the worst last; ``ok`` is no change that matters.
OUTCOMES = ("insufficient", "ok", *SEVERITIES[1:])


def branch(verdict: str, severity: str, tasks: Mapping[str, str | Sequence[str]]) -> list[str]:
    """The tasks for what was found; a severity without any takes those of the next milder one.

    >>> branch("drift", "large", {"medium": "retrain", "ok": ["go_on"]})
    ['retrain']
    >>> branch("ok", "small", {"medium": "retrain", "ok": ["go_on"]})
    ['go_on']
    >>> branch("insufficient", "none", {"medium": "retrain"})
    []
    """
    unknown = sorted(set(tasks) - set(OUTCOMES))
    if unknown or not tasks:
        raise ConfigurationError(
            f"Drift: tasks are named for {', '.join(OUTCOMES)}, not for {', '.join(unknown) or 'nothing'}."
        )
    found = "insufficient" if verdict == "insufficient" else "ok" if severity == "none" else severity
    if found not in OUTCOMES:
        raise ConfigurationError(f"Drift: {severity!r} is no severity: give the output of a drift check.")
    rank = OUTCOMES.index(found)
    milder = [found] if rank == 0 else reversed(OUTCOMES[1 : rank + 1])
    named = next((tasks[outcome] for outcome in milder if outcome in tasks), [])
    return [named] if isinstance(named, str) else list(named)
