"""The outcome of one look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal


@dataclass(frozen=True)
class Poll:
    """The outcome of one look.

    :param reason: in plain words, for a log or an error
    :param found: what the task returns: plain values
    """

    state: Literal["wait", "done", "failed", "timeout"]
    reason: str
    found: Mapping[str, Any] | None = None

    def by(self, deadline: float, now: float) -> Poll:
        """The same, unless the wait has lasted too long; times are seconds of the epoch.

        >>> Poll("wait", "It runs.").by(deadline=60, now=61).reason
        'Timed out. It runs.'
        """
        if self.state != "wait" or now < deadline:
            return self
        return replace(self, state="timeout", reason=f"Timed out. {self.reason}")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Poll:
        return cls(**data)
