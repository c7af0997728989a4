"""Drift that lasts: k of the last n windows, for those who wait for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from airflow_mlops.core.drift.policy import SEVERITIES, Severity
from airflow_mlops.core.names import check_name
from airflow_mlops.core.polling.poll import Poll
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import ConfigurationError


@dataclass(frozen=True)
class DriftWindow:
    """What the check of one window said, in short."""

    as_of: str
    verdict: str
    severity: Severity
    summary: str
    report_uri: str = ""
    url: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DriftWindow:
        return cls(**{name: data[name] for name in cls.__dataclass_fields__ if name in data})


@dataclass(frozen=True)
class AwaitedDrift:
    """Which drift is waited for: ``k`` of the last ``n`` windows of a check, each of this severity or a worse one.

    :param name: of the check
    :param since: windows up to this as-of are over and done with; empty for none
    """

    name: str
    k: int = 2
    n: int = 3
    severity: Severity = "medium"
    since: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "drift check")
        for key in ("k", "n"):  # text, once rendered
            if not str(getattr(self, key)).isdigit():
                raise ConfigurationError(f"Drift: {key} {getattr(self, key)!r} is not a whole number.")
            object.__setattr__(self, key, int(getattr(self, key)))
        if not 1 <= self.k <= self.n:
            raise ConfigurationError(f"Drift: k {self.k} of n {self.n} windows cannot be waited for: 1 <= k <= n.")
        if self.severity not in SEVERITIES[1:]:
            raise ConfigurationError(f"Drift: severity {self.severity!r} is not one of {', '.join(SEVERITIES[1:])}.")
        if self.since:
            instant(self.since, "since")

    def after(self, windows: Sequence[DriftWindow]) -> list[DriftWindow]:
        """The windows that count, the oldest first; those that could not tell do not."""
        start = instant(self.since) if self.since else None
        found = [w for w in windows if w.verdict != "insufficient" and (not start or instant(w.as_of) > start)]
        return sorted(found, key=lambda window: instant(window.as_of))[-self.n :]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def judge_drift(windows: Sequence[DriftWindow], awaited: AwaitedDrift) -> Poll:
    """What the windows that were checked so far mean to somebody who waits for drift.

    Chance alarms once in a hundred tables; in two of three windows, three times in ten thousand.

    >>> seen = [DriftWindow(f"2026-0{i}-01", "drift", "large", "Drift: temp rose") for i in (6, 7)]
    >>> judge_drift(seen, AwaitedDrift("flights")).reason
    'flights drifted in 2 of the last 2 windows, last at 2026-07-01: Drift: temp rose'
    >>> judge_drift(seen[:1], AwaitedDrift("flights")).reason
    'flights: 1 of the last 1 windows has drifted (medium or more); waiting for 2 of 3.'
    """
    last = awaited.after(windows)
    least = SEVERITIES.index(awaited.severity)
    drifted = [window for window in last if SEVERITIES.index(window.severity) >= least]
    if len(drifted) < awaited.k:
        return Poll(
            "wait",
            f"{awaited.name}: {len(drifted)} of the last {len(last)} windows {'has' if len(drifted) == 1 else 'have'} "
            f"drifted ({awaited.severity} or more); waiting for {awaited.k} of {awaited.n}.",
        )
    newest = drifted[-1]
    found = {
        "name": awaited.name,
        **newest.to_json(),
        "windows": [window.as_of for window in drifted],
        "checked": [window.as_of for window in last],
    }
    what = f"{awaited.name} drifted in {len(drifted)} of the last {len(last)} windows, last at {newest.as_of}"
    return Poll("done", f"{what}: {newest.summary}", found)
