"""SageMaker, as moto and a fake that changes endpoints as AWS says it does."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops.clients.digests import digest_of
from airflow_mlops.clients.sagemaker import SageMakerTarget
from airflow_mlops.core.deployment import Deployed, Standing, Trial, Wanted
from airflow_mlops.core.deployment.sagemaker import Hosting
from airflow_mlops.exceptions import AccessDenied, ConfigurationError, DeploymentError, ServiceUnavailable

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}


def refused(call: str, message: str, code: str = "ValidationException") -> Exception:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": code, "Message": message}}, call)


@dataclass
class Behaving:
    """A client of moto's SageMaker, but for what moto leaves out: names are taken once, and updates take time.

    ``end`` ends the update that is under way: it succeeds, or an alarm takes it back.
    """

    client: Any
    updates: list[dict[str, Any]] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)
    _made: set[str] = field(default_factory=set)
    _shadows: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def _once(self, call: str, name: str, arguments: dict[str, Any]) -> Any:
        if name in self._made:
            raise refused(call, f"Cannot create already existing {call.removeprefix('create_')} {name!r}.")
        self._made.add(name)
        return getattr(self.client, call)(**arguments)

    def create_model(self, **arguments: Any) -> Any:
        return self._once("create_model", arguments["ModelName"], arguments)

    def create_endpoint_config(self, **arguments: Any) -> Any:
        name = arguments["EndpointConfigName"]
        self._shadows[name] = arguments.get("ShadowProductionVariants", [])
        return self._once("create_endpoint_config", name, arguments)

    def describe_endpoint_config(self, **arguments: Any) -> Any:
        """Moto forgets the shadows."""
        found = self.client.describe_endpoint_config(**arguments)
        return {**found, "ShadowProductionVariants": self._shadows.get(arguments["EndpointConfigName"], [])}

    def create_endpoint(self, **arguments: Any) -> Any:
        self.told = {}
        return self._once("create_endpoint", arguments["EndpointName"], arguments)

    def delete_endpoint(self, **arguments: Any) -> Any:
        self._made.discard(arguments["EndpointName"])
        return self.client.delete_endpoint(**arguments)

    def update_endpoint(self, **arguments: Any) -> Any:
        if self.describe_endpoint(EndpointName=arguments["EndpointName"])["EndpointStatus"] != "InService":
            raise refused("UpdateEndpoint", "Cannot update in-progress endpoint.")
        self.updates.append(arguments)
        self.told = {**self.told, "EndpointStatus": "Updating", "FailureReason": None}

    def describe_endpoint(self, **arguments: Any) -> Any:
        return {**self.client.describe_endpoint(**arguments), **self.told}

    def end(self, alarm: str = "") -> None:
        self.told["EndpointStatus"] = "InService"
        if alarm:
            self.told["FailureReason"] = alarm
        else:
            self.told["EndpointConfigName"] = self.updates[-1]["EndpointConfigName"]


@pytest.fixture
def sagemaker(moto: str) -> Behaving:
    import boto3
    import httpx

    httpx.post(f"{moto}/moto-api/reset", trust_env=False)
    return Behaving(boto3.client("sagemaker", endpoint_url=moto, **KEYS))


@pytest.fixture
def s3(moto: str, sagemaker: Behaving) -> Any:
    import boto3

    client = boto3.client("s3", endpoint_url=moto, **KEYS)
    client.create_bucket(Bucket="models")
    return client


HOSTING = Hosting("flights", "image:1", "arn:aws:iam::123456789012:role/x", "s3://models/all", alarms=("errors",))


@pytest.fixture
def target(sagemaker: Behaving, s3: Any) -> SageMakerTarget:
    return SageMakerTarget(sagemaker, s3, HOSTING)


@pytest.fixture
def files(tmp_path: Path) -> dict[int, tuple[Wanted, Path]]:
    found = {}
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "MLmodel").write_text(f"version {number}")
        found[number] = Wanted(Deployed("m", number, digest_of(folder))), folder
    return found


def test_the_first_the_next_and_back_again(
    target: SageMakerTarget, sagemaker: Behaving, s3: Any, files: dict[int, tuple[Wanted, Path]]
) -> None:
    one, two = files[1][0], files[2][0]
    assert target.standing("m") == Standing()
    target.put(*files[1])
    assert target.standing("m") == Standing(one.deployed)
    target.put(*files[2])
    assert target.standing("m") == Standing(one.deployed, busy=True)
    sagemaker.end()
    assert target.standing("m") == Standing(two.deployed)
    target.put(*files[1])
    sagemaker.end()
    assert target.standing("m") == Standing(one.deployed)
    forth, back = sagemaker.updates
    assert back["EndpointConfigName"] != forth["EndpointConfigName"]
    assert back["EndpointConfigName"] == HOSTING.config(one.deployed)["EndpointConfigName"]
    assert forth["DeploymentConfig"]["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": "errors"}]}

    archive = s3.get_object(Bucket="models", Key=f"all/m/{one.deployed.digest}/model.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        assert opened.extractfile("./MLmodel").read() == b"version 1"  # type: ignore[union-attr]


def test_an_alarm_takes_the_update_back(
    target: SageMakerTarget, sagemaker: Behaving, files: dict[int, tuple[Wanted, Path]]
) -> None:
    target.put(*files[1])
    target.put(*files[2])
    sagemaker.end("The alarm errors rang.")
    assert target.standing("m") == Standing(files[1][0].deployed, problem="The alarm errors rang.")


def test_a_lost_reply_repeated_adds_nothing(
    target: SageMakerTarget, sagemaker: Behaving, files: dict[int, tuple[Wanted, Path]]
) -> None:
    for call in ("create_model", "create_endpoint_config"):
        getattr(sagemaker, call)(**getattr(HOSTING, call.removeprefix("create_").removeprefix("endpoint_"))(
            files[1][0].deployed
        ))  # fmt: skip
    target.put(*files[1])
    assert len(sagemaker.list_models()["Models"]) == 1
    assert target.standing("m") == Standing(files[1][0].deployed)


def test_two_changes_at_once_are_one_after_the_other(
    target: SageMakerTarget, sagemaker: Behaving, files: dict[int, tuple[Wanted, Path]]
) -> None:
    target.put(*files[1])
    target.put(*files[2])
    with pytest.raises(ServiceUnavailable, match="in-progress"):
        target.put(*files[1])


@pytest.mark.parametrize("mode", ["canary", "shadow"])
def test_a_trial_beside_the_champion_and_its_end(
    target: SageMakerTarget, sagemaker: Behaving, files: dict[int, tuple[Wanted, Path]], mode: Any
) -> None:
    one, two = files[1][0].deployed, files[2][0].deployed
    trial = Wanted(two, mode, 0.2)
    with pytest.raises(DeploymentError, match="no champion"):
        target.put(trial, files[2][1])
    target.put(*files[1])
    target.put(trial, files[2][1])
    sagemaker.end()
    assert target.standing("m") == Standing(one, Trial(two, mode, 0.2))
    assert trial.held_by(target.standing("m"))
    assert "DeploymentConfig" not in sagemaker.updates[0]
    target.withdraw("m")
    sagemaker.end()
    assert target.standing("m") == Standing(one)
    target.withdraw("m")
    assert len(sagemaker.updates) == 2


def test_an_endpoint_that_never_came_up_is_made_anew(
    target: SageMakerTarget, sagemaker: Behaving, files: dict[int, tuple[Wanted, Path]]
) -> None:
    target.put(*files[1])
    sagemaker.told = {"EndpointStatus": "Failed", "FailureReason": "no such image"}
    assert target.standing("m") == Standing(problem="no such image")
    target.put(*files[2])
    assert target.standing("m") == Standing(files[2][0].deployed)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("AccessDeniedException", "not you", AccessDenied),
        ("ThrottlingException", "slowly", ServiceUnavailable),
        ("ResourceLimitExceeded", "no more instances", DeploymentError),
    ],
)
def test_what_aws_says_keeps_its_meaning(
    target: SageMakerTarget, sagemaker: Behaving, monkeypatch: pytest.MonkeyPatch, code: str, message: str, kind: Any
) -> None:
    def say(**_: Any) -> None:
        raise refused("DescribeEndpoint", message, code)

    monkeypatch.setattr(sagemaker.client, "describe_endpoint", say)
    with pytest.raises(kind, match=f"at sagemaker://flights: {message}"):
        target.standing("m")


def test_nobody_at_home(s3: Any) -> None:
    import boto3
    from botocore.config import Config

    config = Config(retries={"max_attempts": 0}, connect_timeout=1)
    away = boto3.client("sagemaker", endpoint_url="http://127.0.0.1:9", config=config, **KEYS)
    with pytest.raises(ServiceUnavailable, match="could not describe the endpoint"):
        SageMakerTarget(away, s3, HOSTING).standing("m")


def test_the_hook_makes_it_of_an_aws_connection(
    moto: str, sagemaker: Behaving, s3: Any, monkeypatch: pytest.MonkeyPatch, files: dict[int, tuple[Wanted, Path]]
) -> None:
    import json

    from airflow_mlops.hooks.deployment import find_target

    extra = {"endpoint_url": moto, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_T", json.dumps(connection))
    options = {"image": "i", "role": HOSTING.role, "model_data": "s3://models/all", "aws_conn_id": "aws_t"}
    target = find_target({"uri": "sagemaker://flights", **options})
    target.put(*files[1])
    assert target.standing("m") == Standing(files[1][0].deployed)
    with pytest.raises(ConfigurationError, match="first 90"):
        find_target({"uri": "sagemaker://flights", **options, "first": 90})
