"""Commands that move the champion; each goes to the ledger with who and why."""

from __future__ import annotations

import getpass
import socket
from argparse import Namespace

from airflow_mlops.cli.answers import Answer, paragraph
from airflow_mlops.cli.connections import Connections
from airflow_mlops.cli.projects import find_project
from airflow_mlops.core import ledger
from airflow_mlops.core.gate import GatePolicy
from airflow_mlops.core.projects import Project
from airflow_mlops.steps import promotion
from airflow_mlops.steps.evaluation import EvaluationSpec
from airflow_mlops.steps.weighing import promote_chosen


def actor(arguments: Namespace) -> str:
    """Who runs the command."""
    if arguments.actor:
        return str(arguments.actor)
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def rollback(connections: Connections, arguments: Namespace) -> Answer:
    """Called again it goes back one more, unless the ledger has not moved: then it finishes what was cut off."""
    registry = connections.client.registry
    entries = ledger.history(registry.model_tags(arguments.name))
    deed = f"to {arguments.to} after {entries[-1].tag if entries else 'nothing'}"
    found = promotion.rollback(registry, arguments.name, to=arguments.to, deed=deed, **_said(arguments))
    gone = ", ".join(map(str, found.retracted))
    text = f"{found.name}: went back to version {found.version}; retracted: {gone or 'nothing'}."
    if not found.rolled_back:
        text += f" In production is version {found.champion}, which was approved or pinned since."
    return Answer(paragraph(text), found.to_json(), found.rolled_back)


def pin(connections: Connections, arguments: Namespace) -> Answer:
    """The version stays champion whatever is promoted."""
    found = promotion.pin(connections.client.registry, arguments.name, arguments.version, **_said(arguments))
    text = f"{found.name}: version {found.pinned} is pinned, and {arguments.alias} is version {found.champion}."
    return Answer(paragraph(text), found.to_json(), found.champion == found.pinned)


def unpin(connections: Connections, arguments: Namespace) -> Answer:
    """The newest approved version is champion again."""
    found = promotion.unpin(connections.client.registry, arguments.name, **_said(arguments))
    text = f"{found.name}: nothing is pinned, and {arguments.alias} is version {found.champion}."
    return Answer(paragraph(text), found.to_json())


def promote(connections: Connections, arguments: Namespace) -> Answer:
    """Through the gate, whatever the model; an older as-of is approved, and does not displace a newer one."""
    project = find_project(arguments.project, arguments.dags).project if arguments.project else None
    chosen = arguments.chosen.removeprefix("v") if arguments.chosen[1:].isdecimal() else arguments.chosen
    found = promote_chosen(
        connections.client,
        arguments.name,
        chosen,
        alias=arguments.alias,
        reason=arguments.reason,
        actor=actor(arguments),
        evaluation=_evaluation(project) if project else None,
        policy=GatePolicy.from_json(project.gate) if project else None,
        trusted=project.training.trusted if project else (),
        path_at=connections.path,
    )
    text = f"{found.name}: version {found.version} is {found.alias} now. {found.reason}"
    if not found.promoted:
        text = (
            f"{found.name}: version {found.version} is not {found.alias}; version {found.champion} is. {found.reason}"
        )
    return Answer(paragraph(text), found.to_json(), found.promoted)


def _evaluation(project: Project) -> EvaluationSpec:
    return EvaluationSpec(**project.evaluation.model_dump(), alpha=project.look_alpha)


def _said(arguments: Namespace) -> dict[str, str]:
    return {"alias": arguments.alias, "reason": arguments.reason, "actor": actor(arguments)}
