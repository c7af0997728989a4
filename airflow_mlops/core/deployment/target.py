"""A place that models are deployed to, as far as a deployment needs to know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from airflow_mlops.exceptions import ConfigurationError, DeploymentError

#: A champion answers, a canary answers a share of the requests, a shadow answers nobody.
Mode = Literal["champion", "canary", "shadow"]


@dataclass(frozen=True)
class Deployed:
    """A version as a target holds it, told by the target and not by whoever sent it there."""

    name: str
    version: int
    digest: str

    def __str__(self) -> str:
        return f"version {self.version} of model {self.name}"


@dataclass(frozen=True)
class Trial:
    """A version on trial beside the champion.

    :param share: of the requests that it sees
    """

    deployed: Deployed
    mode: Mode
    share: float


@dataclass(frozen=True)
class Standing:
    """What a target holds now.

    :param champion: the version that answers; None where none does, or one that is not ours
    :param busy: a change is under way: look again later
    :param problem: why the last change did not come about, where the target says so
    """

    champion: Deployed | None = None
    trial: Trial | None = None
    busy: bool = False
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Wanted:
    """What a target is to hold.

    >>> three = Deployed("m", 3, "d")
    >>> Wanted(three).held_by(Standing(three)), Wanted(three, "canary", 0.1).held_by(Standing(three))
    (True, False)
    """

    deployed: Deployed
    mode: Mode = "champion"
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ConfigurationError(f"Mode {self.mode!r} is unknown: write {', '.join(get_args(Mode))}.")
        if not 0 < self.share <= 1 or (self.mode == "canary" and self.share == 1):
            raise ConfigurationError(
                f"A {self.mode} with a share of {self.share}: write a part of the requests, as 0.1."
            )

    def held_by(self, standing: Standing) -> bool:
        if self.mode == "champion":
            return standing.champion == self.deployed
        trial = standing.trial
        if trial is None or (trial.deployed, trial.mode) != (self.deployed, self.mode):
            return False
        return self.mode == "shadow" or abs(trial.share - self.share) < 1e-6

    @property
    def facts(self) -> dict[str, str]:
        """The manifest as plain text, for targets that keep no more than that."""
        return {"name": self.deployed.name, "version": str(self.deployed.version), "digest": self.deployed.digest}


class Target(Protocol):
    """A server, a folder or a service that can hold one model."""

    @property
    def address(self) -> str:
        """Where it is, for people; no secret in it."""

    @property
    def modes(self) -> frozenset[Mode]:
        """What it can hold a version as."""

    @property
    def takes_files(self) -> bool:
        """Whether it is sent the model's files, or looks the version up in the registry itself."""

    def standing(self, name: str) -> Standing:
        """What it holds of a model.

        :raises ServiceUnavailable: it does not answer
        """

    def put(self, wanted: Wanted, files: Path | None) -> None:
        """Begin to hold a version; done on return, or told by ``standing`` as busy. Repeating it adds nothing.

        :param files: the verified files of the model, if it takes them
        :raises DeploymentError: it refused; what it held before it still holds
        """

    def withdraw(self, name: str) -> None:
        """Take the version on trial back; nothing happens where there is none."""

    def close(self) -> None:
        """Let go of its connections."""


def deployed_of(facts: Mapping[str, Any] | None) -> Deployed | None:
    """Read a manifest back; None where there is none of ours.

    >>> deployed_of({"name": "m", "version": "3", "digest": "d", "more": 1})
    Deployed(name='m', version=3, digest='d')
    """
    try:
        return Deployed(str((facts or {})["name"]), int((facts or {})["version"]), str((facts or {})["digest"]))
    except (KeyError, TypeError, ValueError):
        return None


def check_mode(target: Target, mode: Mode) -> None:
    """Refuse what a target cannot do.

    :raises DeploymentError: it cannot
    """
    if mode not in target.modes:
        known = ", ".join(sorted(target.modes))
        raise DeploymentError(f"{target.address} cannot hold a {mode}: it knows {known}.")
