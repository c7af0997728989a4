"""What a target holds, to somebody who waits for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from airflow_mlops.core.deployment import Standing
from airflow_mlops.core.names import check_alias, check_name
from airflow_mlops.core.packages import ModelRef
from airflow_mlops.core.polling.poll import Poll


@dataclass(frozen=True)
class AwaitedEndpoint:
    """What is to answer at a target.

    :param model: any version of this model
    :param version: or this one
    :param alias: or the one that this alias points at
    :param at_rest: or whatever there is, once no change is under way
    """

    model: str
    version: int | None = None
    alias: str | None = None
    at_rest: bool = False

    def __post_init__(self) -> None:
        check_name(self.model)
        if self.alias is not None:
            check_alias(self.alias)

    @classmethod
    def of(cls, model: str) -> AwaitedEndpoint:
        """By a name, or MLflow's URI of a version.

        >>> AwaitedEndpoint.of("models:/m@champion")
        AwaitedEndpoint(model='m', version=None, alias='champion', at_rest=False)
        """
        if not model.startswith("models:/"):
            return cls(model)
        ref = ModelRef.parse(model)
        return cls(ref.name, ref.version, ref.alias)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def judge_endpoint(standing: Standing, wanted: int | None, awaited: AwaitedEndpoint, address: str) -> Poll:
    """Whether what is waited for answers.

    :param wanted: the version that is meant; None for any

    >>> from airflow_mlops.core.deployment import Deployed
    >>> judge_endpoint(Standing(Deployed("m", 2, "d")), 3, AwaitedEndpoint("m", alias="champion"), "s3://x").reason
    's3://x serves version 2 of model m, not version 3.'
    """
    serves = f"{address} serves {standing.champion or 'no version of model ' + awaited.model}"
    found: dict[str, Any] = {"name": awaited.model, "target": address, "version": None, "digest": None}
    if standing.champion:
        found |= {"version": standing.champion.version, "digest": standing.champion.digest}
    if standing.busy:
        return Poll("wait", f"{serves}, and a change is under way.")
    if awaited.at_rest:
        return Poll("done", f"{serves}.", found)
    if standing.champion is None or (awaited.alias and wanted is None):
        return Poll("wait", f"{serves}.")
    if wanted not in (None, standing.champion.version):
        return Poll("wait", f"{serves}, not version {wanted}.")
    return Poll("done", f"{serves}.", found)
