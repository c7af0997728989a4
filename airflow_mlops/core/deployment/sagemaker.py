"""What SageMaker is asked for: names that follow from what they name, variants, and how traffic moves over."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from airflow_mlops.core.deployment.target import Deployed, Mode, Standing, Trial, Wanted, deployed_of
from airflow_mlops.exceptions import ConfigurationError

#: Prefix of the container's environment variables that hold the manifest, where the endpoint can be asked for it.
_PREFIX: Final = "MLOPS_"
#: The endpoint answers, or never will; anything else is a change under way.
_AT_REST: Final = {"InService", "Failed", "OutOfService", "UpdateRollbackFailed"}
#: The most that SageMaker lets a canary of its own take before the rest follows.
_HALF: Final = 50


@dataclass(frozen=True)
class Hosting:
    """How versions are hosted at one endpoint.

    :param endpoint: its name
    :param image: of the container that serves a model archive
    :param role: ARN of the role that SageMaker takes
    :param model_data: ``s3://bucket/prefix`` for the archives
    :param environment: further variables of the container
    :param alarms: CloudWatch alarms that take an update back by themselves
    :param first: percent of the instances that get the traffic first, at most 50; None to move it at once
    :param bake: seconds between the first part and the rest, and before the old instances end
    :param limit: seconds that an update may take
    """

    endpoint: str
    image: str
    role: str
    model_data: str
    instance_type: str = "ml.m5.large"
    instances: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    alarms: Sequence[str] = ()
    first: int | None = None
    bake: int = 300
    limit: int = 3600

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", self.endpoint):
            raise ConfigurationError(f"Endpoint {self.endpoint!r}: use up to 63 letters, digits and hyphens.")
        if not self.model_data.startswith("s3://"):
            raise ConfigurationError(f"model_data {self.model_data!r} is no folder of S3: write s3://bucket/prefix.")
        if self.first is not None and not 0 < self.first <= _HALF:
            raise ConfigurationError(f"first {self.first}: SageMaker moves 1 to {_HALF} percent first.")

    def archive(self, deployed: Deployed) -> str:
        """Where the archive of a version lies."""
        return f"{self.model_data.rstrip('/')}/{deployed.name}/{deployed.digest}/model.tar.gz"

    def model(self, deployed: Deployed) -> dict[str, Any]:
        """Arguments of ``create_model``; another image or environment is another model."""
        facts = Wanted(deployed).facts
        container = {
            "Image": self.image,
            "ModelDataUrl": self.archive(deployed),
            "Environment": {**self.environment, **{_PREFIX + key.upper(): value for key, value in facts.items()}},
        }
        body = {"PrimaryContainer": container, "ExecutionRoleArn": self.role}
        return {"ModelName": _name(f"{deployed.name}-{deployed.version}", body), **body}

    def config(self, champion: Deployed, trial: Trial | None = None) -> dict[str, Any]:
        """Arguments of ``create_endpoint_config``; the same versions give the same configuration again."""
        share = trial.share if trial and trial.mode == "canary" else 0.0
        body: dict[str, Any] = {"ProductionVariants": [self._variant("champion", champion, 1 - share)]}
        if trial and trial.mode == "canary":
            body["ProductionVariants"].append(self._variant("candidate", trial.deployed, share))
        elif trial:
            body["ShadowProductionVariants"] = [self._variant("candidate", trial.deployed, trial.share)]
        return {"EndpointConfigName": _name(self.endpoint, body), **body}

    def _variant(self, name: str, deployed: Deployed, weight: float) -> dict[str, Any]:
        return {
            "VariantName": name,
            "ModelName": self.model(deployed)["ModelName"],
            "InitialInstanceCount": self.instances,
            "InstanceType": self.instance_type,
            "InitialVariantWeight": round(weight, 6),
        }

    def update(self) -> dict[str, Any]:
        """``DeploymentConfig`` of an update: blue/green, taken back by itself when an alarm rings.

        >>> Hosting("e", "i", "r", "s3://b", first=10).update()["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
        {'Type': 'CANARY', 'WaitIntervalInSeconds': 300, 'CanarySize': {'Type': 'CAPACITY_PERCENT', 'Value': 10}}
        """
        routing: dict[str, Any] = {
            "Type": "CANARY" if self.first else "ALL_AT_ONCE",
            "WaitIntervalInSeconds": self.bake,
        }
        if self.first:
            routing["CanarySize"] = {"Type": "CAPACITY_PERCENT", "Value": self.first}
        policy = {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": self.bake,
            "MaximumExecutionTimeoutInSeconds": max(self.limit, 600),
        }
        config: dict[str, Any] = {"BlueGreenUpdatePolicy": policy}
        if self.alarms:
            config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in self.alarms]}
        return config


def endpoint_standing(
    endpoint: Mapping[str, Any], config: Mapping[str, Any], environments: Mapping[str, Mapping[str, str]]
) -> Standing:
    """What an endpoint says of itself.

    :param endpoint: answer of ``describe_endpoint``
    :param config: answer of ``describe_endpoint_config``
    :param environments: of each model of the configuration: the variables of its container

    >>> facts = {"MLOPS_NAME": "m", "MLOPS_VERSION": "3", "MLOPS_DIGEST": "d"}
    >>> variants = [{"VariantName": "champion", "ModelName": "m-3", "InitialVariantWeight": 1.0}]
    >>> endpoint_standing({"EndpointStatus": "InService"}, {"ProductionVariants": variants}, {"m-3": facts}).champion
    Deployed(name='m', version=3, digest='d')
    """
    status = endpoint["EndpointStatus"]
    production, shadows = config.get("ProductionVariants", []), config.get("ShadowProductionVariants", [])
    found = {variant["VariantName"]: _deployed(environments.get(variant["ModelName"], {})) for variant in production}
    champion = found.get("champion") if status in ("InService", "Updating", "RollingBack") else None
    trial = _trial(production[1:], "canary", environments) or _trial(shadows, "shadow", environments)
    problem = str(endpoint.get("FailureReason") or "")
    if status in ("Failed", "UpdateRollbackFailed") and not problem:
        problem = f"the endpoint is {status}"
    return Standing(champion, trial, busy=status not in _AT_REST, problem=problem)


def _trial(variants: Sequence[Mapping[str, Any]], mode: Mode, environments: Mapping[str, Any]) -> Trial | None:
    for variant in variants:
        if deployed := _deployed(environments.get(variant["ModelName"], {})):
            return Trial(deployed, mode, float(variant["InitialVariantWeight"]))
    return None


def _deployed(environment: Mapping[str, str]) -> Deployed | None:
    return deployed_of({key.removeprefix(_PREFIX).lower(): value for key, value in environment.items()})


def _name(stem: str, body: Mapping[str, Any]) -> str:
    """A name that says what it is for people, and by a hash all the rest; 63 letters, digits and hyphens at most.

    >>> _name("flight_delays-3", {})
    'flight-delays-3-44136fa355b3'
    """
    clean = re.sub(r"[^a-zA-Z0-9]+", "-", stem).strip("-")[:48].strip("-")
    return f"{clean}-{hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:12]}"
