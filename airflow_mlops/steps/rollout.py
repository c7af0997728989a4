"""Watch a candidate on a server: take it back, or make it champion, as soon as there is reason enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from airflow_mlops.core import tags
from airflow_mlops.core.registry import Registry
from airflow_mlops.core.rollout import RolloutPolicy, RolloutVerdict, Traffic, judge_rollout
from airflow_mlops.exceptions import DeploymentError, ServiceUnavailable


class RolloutServer(Protocol):
    """What is asked of the server that tries a candidate, see :class:`~airflow_mlops.clients.serving.ServingClient`."""

    def version(self) -> dict[str, Any]: ...
    def rollout(self) -> dict[str, Any]: ...
    def deploy(self, version: int) -> dict[str, Any]: ...
    def withdraw(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Rollout:
    """How a trial ended.

    :param looks: how often the server was asked
    :param deployed: whether the candidate is the server's champion now
    :param traffic: what it had counted by then; None where the candidate was gone already
    """

    name: str
    version: int
    verdict: RolloutVerdict
    looks: int
    deployed: bool
    traffic: Traffic | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "verdict": self.verdict.to_json(),
            "decision": self.verdict.decision,
            "reason": self.verdict.summary,
            "traffic": self.traffic.to_json() if self.traffic else None,
        }


@dataclass(frozen=True)
class Look:
    """What one look at the server says.

    :param warm: the counts at the end of the warm-up, for the next look
    """

    verdict: RolloutVerdict
    version: int | None = None
    traffic: Traffic | None = None
    warm: Traffic | None = None


def watch_rollout(
    registry: Registry,
    server: RolloutServer,
    *,
    name: str,
    version: int | None = None,
    policy: RolloutPolicy | None = None,
    poll_interval: float = 1.0,
    patience: float = 3600.0,
    alias: str = "champion",
    sleep: Callable[[float], None] = time.sleep,
) -> Rollout:
    """Look until there is a verdict, and act on it; the verdict goes to the version's tag ``mlops.rollout``.

    An accepted candidate becomes the server's champion if it is the registry's; else it stays what it is until somebody
    promotes it. One that is undecided when the patience is at an end is taken back: nobody knows if it is any good.

    :param version: the candidate's; None for whichever is there
    :param patience: seconds
    :param alias: of the champion in the registry
    :raises DeploymentError: there is no candidate, or the server tries another one
    """
    policy, deadline, looks = policy or RolloutPolicy(), time.monotonic() + patience, 0
    found = Look(RolloutVerdict("wait", "too_few", ""), version)
    while not found.verdict.decided:
        if looks:
            sleep(poll_interval)
        found, looks = _patient(server, name, found, policy, deadline), looks + 1
        if not found.verdict.decided and time.monotonic() > deadline:
            summary = f"Taken back: undecided after {patience:g} s. {found.verdict.summary}"
            found = replace(
                found, verdict=replace(found.verdict, decision="take_back", reason_code="timeout", summary=summary)
            )
    assert found.version is not None  # noqa: S101
    deployed = found.verdict.decision == "accept"
    if deployed and found.traffic is not None:
        deployed = registry.alias(name, alias) == found.version
        if deployed:
            server.deploy(found.version)
    elif found.traffic is not None:
        server.withdraw()
    registry.tag_version(name, found.version, tags.ROLLOUT, found.verdict.summary[:4000])
    return Rollout(name, found.version, found.verdict, looks, deployed, found.traffic)


def look(
    server: RolloutServer, name: str, policy: RolloutPolicy, *, version: int | None = None, warm: Traffic | None = None
) -> Look:
    """Ask the server once and judge."""
    told = server.version()
    champion, trial = told.get("champion") or {}, told.get("candidate")
    if champion and champion.get("name") != name:
        raise DeploymentError(f"The server serves model {champion.get('name')}, not {name}: name its own connection.")
    if trial is None:
        return Look(_gone(told, champion, version, name), version)
    there = int(trial["package"]["version"])
    if version is not None and there != version:
        raise DeploymentError(
            f"The server tries version {there} of model {name}, not {version}: somebody put it there."
        )
    traffic = Traffic.from_json({**server.rollout(), "mode": trial["mode"], "share": _share(trial)})
    if warm is not None and _restarted(traffic, warm):
        warm = None
    if warm is None and traffic.candidate.requests >= policy.warm_up:
        warm = traffic
    return Look(judge_rollout(traffic, policy, warm), there, traffic, warm)


def _patient(server: RolloutServer, name: str, last: Look, policy: RolloutPolicy, deadline: float) -> Look:
    """A look; a server that is away for a moment is asked again, for as long as there is patience."""
    try:
        return look(server, name, policy, version=last.version, warm=last.warm)
    except ServiceUnavailable:
        if time.monotonic() > deadline:
            raise
        return last


def _gone(told: Mapping[str, Any], champion: Mapping[str, Any], version: int | None, name: str) -> RolloutVerdict:
    """Without a candidate: an earlier try of this task ended it, or the server did by itself."""
    if version is None:
        raise DeploymentError(f"The server of model {name} tries no candidate: deploy one as canary or shadow first.")
    if champion and int(champion["version"]) == version:
        return RolloutVerdict("accept", "champion", f"Accepted: version {version} is the champion of the server.")
    error = told.get("last_error") or {}
    why = f"the server took it back: {error.get('reason')}" if str(error.get("version")) == str(version) else (
        "it is not on the server any more."
    )  # fmt: skip
    return RolloutVerdict("take_back", "gone", f"Taken back: {why}")


def _share(trial: Mapping[str, Any]) -> float | None:
    share = float(trial.get("share") or 0.0)
    return share if 0 < share < 1 else None


def _restarted(traffic: Traffic, warm: Traffic) -> bool:
    """Whether the counts began anew."""
    sides = ((traffic.candidate, warm.candidate), (traffic.champion, warm.champion))
    return any(now.requests < then.requests for now, then in sides)
