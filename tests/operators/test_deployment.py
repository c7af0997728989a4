"""Deployment as a task: a real version from training to a folder, late and doubled events, and the way back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from airflow_mlops.clients.folder import FolderTarget
from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import tags
from airflow_mlops.core.deployment import Standing
from airflow_mlops.hooks.deployment import find_target
from airflow_mlops.operators.deployment import DeployModelOperator, PlanDeploymentOperator, told_by
from airflow_mlops.operators.promotion import RollbackModelOperator
from airflow_mlops.steps.promotion import promote
from airflow_mlops.testing.invariants import check_invariants


@pytest.fixture
def target(tmp_path: Path) -> str:
    return (tmp_path / "serving").as_uri()


@pytest.fixture
def deploy(dag: DAG, target: str, model_name: str, execute: Callable[..., Any]) -> Callable[..., Any]:
    def deploy(run: Any = None, kind: Any = DeployModelOperator, **changes: Any) -> Any:
        arguments = {"model": f"models:/{model_name}@champion", "target": target, **changes}
        return execute(kind(task_id=f"t{len(dag.tasks)}", dag=dag, **arguments), run)

    return deploy


def promoted_again(client: MlflowClient, name: str, as_of: str) -> int:
    """Another version of the same files."""
    first = client.registry.version(name, 1)
    facts = {**first.tags, tags.KEY: as_of, tags.AS_OF: as_of}
    facts.pop(tags.APPROVED)
    number = client.registry.create_version(name, first.source, first.run_id, facts).version
    promote(client.registry, name=name, version=number, reason="better", actor="test")
    return number


def test_from_training_to_a_folder_and_back(
    chain: Callable[..., Any], deploy: Callable[..., Any], execute: Callable[..., Any], dag: DAG,
    client: MlflowClient, model_name: str, target: str,
) -> None:  # fmt: skip
    chain()
    first = deploy()
    assert (first["version"], first["changed"], first["previous"], first["holds"]) == (1, True, None, True)
    registered = client.registry.version(model_name, 1)
    assert first["digest"] == registered.tags[tags.DIGEST]
    assert not deploy()["changed"]
    with pytest.raises(AirflowSkipException, match=r"Version 1 .* is there already, as champion"):
        deploy(kind=PlanDeploymentOperator)

    newer = promoted_again(client, model_name, "2026-05-01T00:00:00+00:00")
    promoted_again(client, model_name, "2026-04-15T00:00:00+00:00")  # comes late, is older
    assert deploy(kind=PlanDeploymentOperator)["version"] == newer
    assert deploy(model=f"models:/{model_name}/{newer}")["previous"] == 1
    with pytest.raises(AirflowSkipException, match=f"version {newer} is: promote it, or roll back to it"):
        deploy(model=f"models:/{model_name}/3")

    execute(RollbackModelOperator(task_id="back", dag=dag, model=model_name, reason="wrong", to="1"))
    back = deploy()
    assert (back["version"], back["previous"]) == (1, newer)
    with pytest.raises(AirflowFailException, match=r"was retracted \(wrong\)"):
        deploy(model=f"models:/{model_name}/{newer}")
    forced = deploy(model=f"models:/{model_name}/{newer}", force="True")
    assert forced["version"] == newer
    assert deploy()["version"] == 1
    folder = find_target(target)
    assert isinstance(folder, FolderTarget)
    assert folder.standing(model_name).champion
    check_invariants(client, model_name)


def test_files_that_somebody_changed_are_not_deployed(
    chain: Callable[..., Any], deploy: Callable[..., Any], client: MlflowClient, model_name: str, target: str
) -> None:
    chain()
    version = client.registry.version(model_name, 1)
    client.registry.tag_version(model_name, 1, tags.DIGEST, "0" * 64)
    with pytest.raises(AirflowFailException, match="are not those that were registered"):
        deploy()
    assert find_target(target).standing(model_name) == Standing()
    client.registry.tag_version(model_name, 1, tags.DIGEST, version.tags[tags.DIGEST])
    assert deploy()["changed"]


def test_a_backfill_deploys_nothing(
    chain: Callable[..., Any], deploy: Callable[..., Any], dag_run: Any, model_name: str, target: str
) -> None:
    chain()
    for kind in (DeployModelOperator, PlanDeploymentOperator):
        with pytest.raises(AirflowSkipException, match="a backfill deploys nothing"):
            deploy(dag_run("backfill"), kind)
    assert find_target(target).standing(model_name) == Standing()


def test_a_target_whose_connection_is_not_there_is_a_mistake_unless_said_otherwise(deploy: Callable[..., Any]) -> None:
    for kind in (DeployModelOperator, PlanDeploymentOperator):
        with pytest.raises(AirflowFailException, match="There is no Airflow connection nowhere"):
            deploy(kind=kind, target="serving://nowhere")
        with pytest.raises(AirflowSkipException, match=r"There is no Airflow connection nowhere"):
            deploy(kind=kind, target={"uri": "serving://nowhere"}, if_absent="skip")
        with pytest.raises(AirflowFailException, match="write fail or skip"):
            deploy(kind=kind, if_absent="whatever")


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("", "names no place"),
        ({"keep": 3}, "names no place"),
        ('{"uri": ', "is no JSON"),
        ({"uri": "/models", "kept": 3}, "unexpected keyword argument 'kept'"),
        ({"uri": "sagemaker://e", "image": "i"}, "docs/deployment.md"),
        ("mlflow-deployments:nothing-of-the-kind", "could not list its deployments"),
        ("/models/{x", "no Airflow connection|NotFound|had no champion"),
    ],
)
def test_a_target_that_is_none(deploy: Callable[..., Any], target: Any, complaint: str) -> None:
    with pytest.raises(AirflowFailException, match=complaint):
        deploy(target=target)


def test_events_are_told_once_each_whatever_they_came_through(model_name: str) -> None:
    event = SimpleNamespace(extra={"name": model_name, "champion": 2})
    late = SimpleNamespace(extra={"name": model_name, "champion": 1})
    told = told_by({"triggering_asset_events": {"asset": [event, late], "alias": [event]}}, model_name)  # type: ignore[typeddict-item]
    assert (told.versions, told.count) == ((2, 1), 2)
    assert told_by({}, model_name).count == 0  # type: ignore[typeddict-item]


def test_a_busy_target_is_left_to_the_triggerer(
    chain: Callable[..., Any], deploy: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, model_name: str
) -> None:
    chain()
    standing = FolderTarget.standing
    monkeypatch.setattr(FolderTarget, "standing", lambda self, name: Standing(busy=True))
    with pytest.raises(TaskDeferred) as deferred:
        deploy(deferrable=True, patience="60")
    path, kwargs = deferred.value.trigger.serialize()
    assert path == "airflow_mlops.triggers.deployment.EndpointTrigger"
    assert kwargs["awaited"] == {"model": model_name, "at_rest": True}
    assert json.dumps(kwargs)
    monkeypatch.setattr(FolderTarget, "standing", standing)
    assert deploy(deferrable=True)["changed"]
