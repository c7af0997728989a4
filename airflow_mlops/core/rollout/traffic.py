"""What the server counted on either side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from airflow_mlops.exceptions import DeploymentError

Mode = Literal["canary", "shadow"]


@dataclass(frozen=True)
class Side:
    """Counts of one model since the candidate came.

    :param errors: requests that it failed; what a client did wrong is none
    :param slow: answers that took longer than 95 of 100 of the champion's do
    :param labelled: answers whose truth is known by now
    :param wrong: of these, how many were wrong
    """

    requests: int = 0
    errors: int = 0
    slow: int = 0
    labelled: int = 0
    wrong: int = 0

    def __post_init__(self) -> None:
        for name, of in (("errors", "requests"), ("slow", "requests"), ("wrong", "labelled")):
            part, whole = getattr(self, name), getattr(self, of)
            if not all(isinstance(n, int) and not isinstance(n, bool) for n in (part, whole)) or not 0 <= part <= whole:
                raise DeploymentError(f"The counts of the rollout make no sense: {part!r} {name} of {whole!r} {of}.")

    def __sub__(self, earlier: Side) -> Side:
        return Side(**{f.name: getattr(self, f.name) - getattr(earlier, f.name) for f in fields(self)})


@dataclass(frozen=True)
class Traffic:
    """Counts of both sides.

    :param share: of the requests that go to a canary
    :param only_candidate: requests that the candidate alone got wrong, or was further off with, of those that both
        answered and whose truth is known; likewise ``only_champion``
    """

    champion: Side = field(default_factory=Side)
    candidate: Side = field(default_factory=Side)
    mode: Mode = "canary"
    share: float | None = None
    only_candidate: int = 0
    only_champion: int = 0

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise DeploymentError(f"A rollout is a canary or a shadow, not {self.mode!r}.")
        if self.share is not None and not 0 < self.share < 1 and self.mode == "canary":
            raise DeploymentError(f"A canary's share is between 0 and 1, not {self.share!r}.")

    @property
    def chance(self) -> float:
        """How likely something that befalls both models alike befalls the candidate; the greater of plan and fact."""
        both = self.champion.requests + self.candidate.requests
        fact = self.candidate.requests / both if both else 0.5
        plan = (self.share or 0.0) if self.mode == "canary" else 0.0
        return min(max(plan, fact, 0.001), 0.999)

    def since(self, earlier: Traffic) -> Traffic:
        """What came after an earlier look."""
        return replace(self, champion=self.champion - earlier.champion, candidate=self.candidate - earlier.candidate)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Traffic:
        """Read what a server answers; what it says beyond that is left alone.

        >>> told = {"champion": {"requests": 90, "errors": 1, "slow": 4}, "candidate": {"requests": 9}, "since": "..."}
        >>> Traffic.from_json(told).candidate
        Side(requests=9, errors=0, slow=0, labelled=0, wrong=0)
        """
        known = {f.name for f in fields(cls)}
        try:
            sides = {name: _side(data[name]) for name in ("champion", "candidate")}
            return cls(**{**{name: value for name, value in data.items() if name in known}, **sides})
        except (KeyError, TypeError, AttributeError) as error:
            raise DeploymentError(f"This is not the answer of a server that tries a candidate: {error}.") from error


def _side(data: Mapping[str, Any]) -> Side:
    known = {f.name for f in fields(Side)}
    return Side(**{name: value for name, value in data.items() if name in known})
