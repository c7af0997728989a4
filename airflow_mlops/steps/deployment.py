"""Bring a version to a target, see that it is there, and look the alias up again until nothing is left to do."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from airflow_mlops.core import tags
from airflow_mlops.core.deployment import Decision, Deployed, Mode, Standing, Target, Wanted, decide
from airflow_mlops.core.deployment.target import check_mode
from airflow_mlops.core.packages import ModelRef
from airflow_mlops.core.pins import pinned
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.core.tracking import Mlflow
from airflow_mlops.exceptions import (
    ConfigurationError,
    DeploymentError,
    DigestMismatch,
    Outdated,
    ServiceUnavailable,
    UntrustedModel,
)
from airflow_mlops.steps.packages import fetch, find_version

#: Versions sent before giving up; each one more means that the alias moved, or somebody else deployed meanwhile.
_ROUNDS = 5
#: Seconds between two looks at a target that is busy.
_PAUSE = 2.0


@dataclass(frozen=True)
class Deployment:
    """How a deployment ended.

    :param target: its address
    :param changed: whether anything was sent; what is there already is left alone
    :param holds: whether the target holds what was asked of it; False for a trial that has no champion to stand by
    :param previous: the version that answered before
    :param settled: False if the target still works on it, and this deployment did not wait
    """

    name: str
    version: int
    digest: str
    mode: Mode
    share: float
    target: str
    changed: bool
    holds: bool
    previous: int | None
    reason: str
    settled: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Request:
    """What is to be deployed, as it was asked for.

    :param asked: this very version is meant, whatever alias and approval say
    :param alias: the alias of the champion
    """

    ref: ModelRef
    mode: Mode = "champion"
    share: float = 0.1
    asked: bool = False
    alias: str = "champion"

    def __post_init__(self) -> None:
        if self.asked and self.ref.version is None:
            raise ConfigurationError(f"{self.ref} moves: to deploy against the registry's word, name a version number.")


def deploy(
    client: Mlflow, target: Target, request: Request, *, patience: float = 1800, wait: bool = True
) -> Deployment:
    """Deploy what a reference means now; safe to repeat, and by many at once.

    After each deployment the alias is read again, and the target asked what it holds: whoever is the last to look
    leaves there what the alias says, in whatever order deployments began.

    :param patience: seconds to wait for a target that is busy
    :param wait: False to return as soon as the target has begun; a repetition goes on from there
    :raises DeploymentError: the version may not serve, or the target refused it
    :raises Outdated: it was named by number, and the alias has moved on
    :raises DigestMismatch: the target holds other bytes than were registered
    """
    check_mode(target, request.mode)
    name, before, sent = request.ref.name, target.standing(request.ref.name).champion, list[Wanted]()
    previous = before.version if before else None
    for _ in range(_ROUNDS + 1):
        version, wanted = _wanted(client, request)
        standing = _settled(target, name, patience) if wait else target.standing(name)
        decision = _decide(client, request, version, wanted, standing)
        if decision.action == "outdated" and sent:
            request = replace(request, ref=ModelRef(name, alias=request.alias))  # ours came late: make up for it
            continue
        _check_allowed(decision)
        if sent and sent[-1] == wanted and decision.action == "deploy":
            _check_kept(target, wanted, standing)
        if decision.action in ("keep", "wait") or len(sent) == _ROUNDS:
            break
        _put(client, target, version, wanted)
        sent.append(wanted)
    if decision.action == "deploy":
        raise ServiceUnavailable(f"{target.address} kept changing while model {name} was deployed: try again.")
    reason = f"{str(sent[-1].deployed).capitalize()} is there, as {request.mode}." if sent else decision.reason
    return Deployment(
        **{**asdict(wanted.deployed), "mode": wanted.mode, "share": wanted.share},
        target=target.address,
        changed=bool(sent),
        holds=wanted.held_by(standing),
        previous=previous,
        reason=reason,
        settled=decision.action == "keep",
    )


def plan(client: Mlflow, target: Target, request: Request) -> tuple[Deployed, Decision]:
    """What a deployment would do now, without doing it.

    :raises DeploymentError: it would refuse
    """
    check_mode(target, request.mode)
    version, wanted = _wanted(client, request)
    decision = _decide(client, request, version, wanted, target.standing(version.name))
    _check_allowed(decision)
    return wanted.deployed, decision


def _wanted(client: Mlflow, request: Request) -> tuple[ModelVersion, Wanted]:
    version = find_version(client.registry, request.ref)
    return version, Wanted(_deployed(version), request.mode, 1.0 if request.mode == "champion" else request.share)


def _check_allowed(decision: Decision) -> None:
    if decision.action == "refuse":
        raise DeploymentError(decision.reason)
    if decision.action == "outdated":
        raise Outdated(decision.reason)


def _decide(client: Mlflow, request: Request, version: ModelVersion, wanted: Wanted, standing: Standing) -> Decision:
    registry, name = client.registry, request.ref.name
    pin = pinned(registry.model_tags(name))
    # Found by that very alias, the version is what it points at; asked again, it might have moved in between.
    by_alias = request.ref.alias == request.alias
    champion = version.version if by_alias else registry.alias(name, request.alias)
    return decide(version, wanted, standing, champion=champion, pinned=pin, asked=request.asked)


def _deployed(version: ModelVersion) -> Deployed:
    digest = version.tags.get(tags.DIGEST)
    if not digest:
        raise UntrustedModel(
            f"Version {version.version} of model {version.name} has no digest: it was not registered by this package, "
            "and cannot be told from one that somebody changed. Train and register it here."
        )
    return Deployed(version.name, version.version, digest)


def _settled(target: Target, name: str, patience: float) -> Standing:
    """What the target holds once it is at rest."""
    deadline = time.monotonic() + patience
    while (standing := target.standing(name)).busy:
        if time.monotonic() > deadline:
            raise ServiceUnavailable(f"{target.address} is still busy after {patience:.0f} s: a retry waits on.")
        time.sleep(_PAUSE)
    return standing


def _put(client: Mlflow, target: Target, version: ModelVersion, wanted: Wanted) -> None:
    try:
        with _files(client, target, version) as files:
            target.put(wanted, files)
    except (DeploymentError, UntrustedModel, DigestMismatch) as error:
        # Whoever looks at the version sees why it does not serve.
        client.registry.tag_version(version.name, version.version, tags.REFUSED, str(error)[:1000])
        raise
    except ServiceUnavailable:
        standing = target.standing(wanted.deployed.name)
        if not standing.busy and not wanted.held_by(standing):
            raise  # else it arrived, and only the reply was lost


@contextmanager
def _files(client: Mlflow, target: Target, version: ModelVersion) -> Iterator[Path | None]:
    """The verified files of a version, for as long as they are sent."""
    if not target.takes_files:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="mlops-deploy-") as private:
        folder = Path(private)
        fetch(client, version, folder)
        yield folder


def _check_kept(target: Target, wanted: Wanted, standing: Standing) -> None:
    """What was sent last is not what is there: say why, unless somebody else may have deployed since."""
    if standing.problem:
        raise DeploymentError(f"{target.address} did not keep {wanted.deployed}: {standing.problem}")
    trial = standing.trial.deployed if standing.trial else None
    there = standing.champion if wanted.mode == "champion" else trial
    if there and there.version == wanted.deployed.version and there.digest != wanted.deployed.digest:
        raise DigestMismatch(f"{target.address} holds other bytes as {there} than were registered: do not use them.")
