"""What both sides of a rollout did since the candidate came."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

#: The champion's latest latencies, whose 95th percentile says what is slow; looked at again after so many.
_KEPT, _EVERY, _FEWEST = 500, 25, 20
_QUANTILE: Final = 0.95


@dataclass
class Count:
    """One side."""

    requests: int = 0
    errors: int = 0
    slow: int = 0

    def to_json(self) -> dict[str, int]:
        return {"requests": self.requests, "errors": self.errors, "slow": self.slow}


@dataclass
class Rollout:
    """Counts of both sides, from the candidate's first request on; ``slow`` is above the champion's running p95.

    :param copied: requests whose copy the shadow answered, of which ``differ`` gave another answer
    :param dropped: requests that were not copied because too many waited
    """

    champion: Count = field(default_factory=Count)
    candidate: Count = field(default_factory=Count)
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    copied: int = 0
    differ: int = 0
    dropped: int = 0
    _latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _slow: float = float("inf")

    def add(self, *, candidate: bool, milliseconds: float, error: bool = False) -> None:
        """Count a request of one side."""
        side = self.candidate if candidate else self.champion
        side.requests += 1
        side.errors += error
        side.slow += milliseconds > self._slow
        if not candidate:
            self._latencies.append(milliseconds)
            count = len(self._latencies)
            if count >= _FEWEST and (side.requests % _EVERY == 0 or self._slow == float("inf")):
                self._slow = sorted(self._latencies)[int(_QUANTILE * count)]

    def to_json(self) -> dict[str, Any]:
        return {
            "champion": self.champion.to_json(),
            "candidate": self.candidate.to_json(),
            "since": self.since.isoformat(),
            "copied": self.copied,
            "differ": self.differ,
            "dropped": self.dropped,
        }
