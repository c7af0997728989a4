"""What the registry's versions and aliases mean to somebody who waits for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_mlops.core.names import check_alias, check_name
from airflow_mlops.core.polling.poll import Poll
from airflow_mlops.core.registry import ModelVersion


@dataclass(frozen=True)
class AwaitedVersion:
    """New versions of a model, whoever registers them.

    :param since: versions above this one are new
    :param tags: which they carry
    """

    model: str
    since: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.model)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "tags": dict(self.tags)}


@dataclass(frozen=True)
class AwaitedAlias:
    """An alias that moves, whoever moves it.

    :param version: the version that it is to point at; None for any
    :param other_than: or any but this one
    """

    model: str
    alias: str = "champion"
    version: int | None = None
    other_than: int | None = None

    def __post_init__(self) -> None:
        check_name(self.model)
        check_alias(self.alias)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def judge_versions(versions: Iterable[ModelVersion], awaited: AwaitedVersion) -> Poll:
    """Which versions are new; those behind one that is still being made wait for it, so that none is passed over.

    >>> made, making = ModelVersion("m", 2, "s"), ModelVersion("m", 3, "s", status="PENDING_REGISTRATION")
    >>> judge_versions([made, making], AwaitedVersion("m", since=1)).found
    {'name': 'm', 'version': 2, 'versions': [2]}
    >>> judge_versions([made, making], AwaitedVersion("m", since=2)).reason
    'Model m has no version after 2 yet; version 3 is being made.'
    """
    new = []
    for version in sorted(versions, key=lambda v: v.version):
        if version.version <= awaited.since or version.superseded:
            continue
        if version.status == "PENDING_REGISTRATION":
            making = f"; version {version.version} is being made"
            break
        if version.status == "READY" and dict(version.tags) | dict(awaited.tags) == dict(version.tags):
            new.append(version.version)
    else:
        making = ""
    if not new:
        return Poll("wait", f"Model {awaited.model} has no version after {awaited.since} yet{making}.")
    found = {"name": awaited.model, "version": new[-1], "versions": new}
    return Poll("done", f"Model {awaited.model} has version {new[-1]}.", found)


def judge_alias(number: int | None, awaited: AwaitedAlias) -> Poll:
    """Whether the alias points where it is waited for.

    >>> judge_alias(3, AwaitedAlias("m", other_than=3)).reason
    'Alias champion of model m points at version 3.'
    >>> judge_alias(4, AwaitedAlias("m", other_than=3)).found
    {'name': 'm', 'alias': 'champion', 'version': 4}
    >>> judge_alias(None, AwaitedAlias("m")).state
    'wait'
    """
    where = "nothing" if number is None else f"version {number}"
    reason = f"Alias {awaited.alias} of model {awaited.model} points at {where}."
    if number is None or number == awaited.other_than or awaited.version not in (None, number):
        return Poll("wait", reason)
    return Poll("done", reason, {"name": awaited.model, "alias": awaited.alias, "version": number})
