"""What to do about the difference between what a target holds and what it is to hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from airflow_mlops.core import tags
from airflow_mlops.core.deployment.target import Standing, Wanted
from airflow_mlops.core.promotion import Retraction
from airflow_mlops.core.registry import ModelVersion


@dataclass(frozen=True)
class Decision:
    """What to do, and why in plain words."""

    action: Literal["deploy", "keep", "wait", "refuse", "outdated"]
    reason: str


def decide(
    version: ModelVersion,
    wanted: Wanted,
    standing: Standing,
    *,
    champion: int | None,
    pinned: int | None = None,
    asked: bool = False,
) -> Decision:
    """Whether a version goes to a target, by what the registry and the target say at this moment.

    :param champion: the version that the champion's alias points at now
    :param pinned: the version that a person pinned
    :param asked: somebody asked for this very version, whatever alias and approval say

    >>> from airflow_mlops.core.deployment.target import Deployed
    >>> one = ModelVersion("m", 1, "s", tags={tags.DIGEST: "d", tags.APPROVED: "2026-10-01"})
    >>> wanted = Wanted(Deployed("m", 1, "d"))
    >>> decide(one, wanted, Standing(), champion=1).action
    'deploy'
    >>> decide(one, wanted, Standing(Deployed("m", 1, "d")), champion=1).action
    'keep'
    >>> decide(one, wanted, Standing(), champion=2).reason
    'Version 1 of model m is not its champion, version 2 is: promote it, or roll back to it.'
    """
    subject = f"Version {version.version} of model {version.name}"
    if why := _refused(version, wanted, pinned=pinned, asked=asked):
        return Decision("refuse", f"{subject} {why}")
    if wanted.mode == "champion" and not asked and version.version != champion:
        there = "none is" if champion is None else f"version {champion} is"
        return Decision("outdated", f"{subject} is not its champion, {there}: promote it, or roll back to it.")
    if standing.busy:
        return Decision("wait", "A change is under way.")
    if wanted.held_by(standing):
        return Decision("keep", f"{subject} is there already, as {wanted.mode}.")
    if wanted.mode != "champion" and standing.champion is None:
        return Decision("keep", f"{subject} is not tried as {wanted.mode}: no champion answers that it could stand by.")
    if wanted.mode != "champion" and standing.champion == wanted.deployed:
        return Decision("keep", f"{subject} is not tried as {wanted.mode}: it is the champion there already.")
    return Decision("deploy", f"{subject} takes the place of {standing.champion or 'nothing'}.")


def _refused(version: ModelVersion, wanted: Wanted, *, pinned: int | None, asked: bool) -> str | None:
    if version.superseded:
        other = version.tags[tags.SUPERSEDED_BY]
        return f"is superseded by version {other}, which is the same model: deploy that one."
    if version.status != "READY":
        return f"is {version.status}: wait until it is READY."
    if asked or version.version == pinned:
        return None
    if retraction := Retraction.of(version):
        return f"was retracted ({retraction.reason}): pin it, if it is to serve nevertheless."
    if tags.APPROVED not in version.tags and wanted.mode != "shadow":
        return "was not approved: promote it, or try it as a shadow, which answers nobody."
    return None
