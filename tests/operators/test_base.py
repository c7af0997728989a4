"""What every operator promises: templates, serialisation, mapping, and what an error means to Airflow."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.serialization.serialized_objects import DagSerialization

import airflow_mlops.decorators
import airflow_mlops.operators
from airflow_mlops import exceptions
from airflow_mlops.exceptions import MlopsError, NotEnoughData, RegistryError
from airflow_mlops.operators.base import MlopsOperator, as_of, run_type
from airflow_mlops.operators.snapshots import IngestSnapshotOperator
from airflow_mlops.operators.training import TrainModelOperator

NEEDED = {
    "IngestSnapshotOperator": {"name": "n", "source": {}},
    "PrepareDataOperator": {"name": "n", "function": "a.b", "inputs": {}},
    "ValidateDataOperator": {"snapshot": "s", "suite": "f"},
    "TrainModelOperator": {"snapshot": "s", "model": "m", "estimator": "a.b"},
    "EvaluateModelOperator": {"model": {}},
    "ModelGateOperator": {"evaluation": {}},
    "RegisterModelOperator": {"model": {}, "verdict": {}},
    "PromoteModelOperator": {"version": {}},
    "RollbackModelOperator": {"model": "m", "reason": "r"},
    "ReproduceModelOperator": {"model": "m"},
    "BacktestOperator": {"model": "m"},
    "ProfileDataOperator": {"snapshot": "s"},
    "MergeProfilesOperator": {"profiles": []},
    "DriftCheckOperator": {"baseline": {"model": "m"}, "current": "s"},
    "InferSchemaOperator": {"snapshot": "s", "name": "n"},
    "CollectGarbageOperator": {},
    "BatchScoreOperator": {"model": "models:/m@champion", "rows": "s"},
    "SmokeTestModelOperator": {"model": "m", "version": 1},
    "CanaryAnalysisOperator": {"model": "m"},
    "PlanDeploymentOperator": {"model": "models:/m@champion", "target": "/models"},
    "DeployModelOperator": {"model": "models:/m@champion", "target": "/models"},
}


def function(*arguments: Any, **named: Any) -> None: ...


def operators() -> list[Any]:
    found = set()
    for package in (airflow_mlops.operators, airflow_mlops.decorators):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            members = vars(importlib.import_module(module.name)).values()
            found |= {m for m in members if inspect.isclass(m) and issubclass(m, MlopsOperator)}
    return sorted(found - {MlopsOperator}, key=lambda kind: str(kind.__name__))


def make(kind: Any, **changes: Any) -> Any:
    name = kind.__name__
    needed = NEEDED.get(name, {"python_callable": function})
    if name.startswith("PrepareDataDecorated"):
        needed = {**needed, "name": "n"}
    elif name.startswith("TrainModelDecorated"):
        needed = {**needed, "snapshot": "s", "model": "m"}
    return kind(**{"task_id": name, **needed, **changes})


class Raises(MlopsOperator):
    """Works a little, then raises."""

    def __init__(self, *, error: Exception | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error = error

    def run_step(self, context: Any) -> Any:
        with self.budget("work"):
            sum(range(1000))
        if self.error:
            raise self.error
        return {"done": True}


def test_every_operator_is_looked_at() -> None:
    names = {kind.__name__ for kind in operators()}
    assert names == {*NEEDED, "PrepareDataDecoratedOperator", "TrainModelDecoratedOperator"}


@pytest.mark.parametrize("kind", operators())
def test_every_template_field_is_an_argument_and_renders(kind: Any, dag: DAG) -> None:
    arguments = {name for base in kind.__mro__ for name in inspect.signature(base.__init__).parameters}
    assert set(kind.template_fields) <= arguments
    assert {"mlflow_conn_id", "store"} <= set(kind.template_fields)
    templates: dict[str, Any] = {name: "{{ params.x }}-" + name for name in kind.template_fields}
    if "op_args" in templates:
        templates |= {"op_args": ["{{ params.x }}"], "op_kwargs": {"a": "{{ params.x }}"}}
    task = make(kind, **templates)
    task.render_template_fields({"params": {"x": "rendered"}})
    for name in kind.template_fields:
        wanted = {"op_args": ["rendered"], "op_kwargs": {"a": "rendered"}}.get(name, f"rendered-{name}")
        assert getattr(task, name) == wanted


@pytest.mark.parametrize("kind", operators())
def test_what_an_upstream_task_returns_reaches_every_argument_that_steers_the_step(kind: Any, dag: DAG) -> None:
    """A task's output in an argument that is no template field would arrive unresolved."""
    steering = {name for name, p in inspect.signature(kind.__init__).parameters.items() if p.kind is p.KEYWORD_ONLY}
    # What removes data, and how a task waits, is written in the DAG file, never computed by a task.
    fixed = {"function", "python_callable", "delete", "orphans", "deferrable"}
    assert steering - fixed <= set(kind.template_fields)


def test_a_dag_of_all_operators_survives_serialisation() -> None:
    with DAG("all", schedule=None) as dag:
        for kind in operators():
            make(kind)
        IngestSnapshotOperator.partial(task_id="mapped_ingest", source={"files": "a"}).expand(name=["a", "b"])
        TrainModelOperator.partial(task_id="mapped_train", snapshot="s", model="m", estimator="a.b").expand(
            parameters=[{"C": 1}, {"C": 2}]
        )
    again = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert set(again.task_ids) == set(dag.task_ids)
    links = {link.name for link in again.get_task("RegisterModelOperator").operator_extra_links}
    assert links == {"MLflow run", "MLflow model version"}


def test_mapped_tasks_run_each_with_its_own_arguments(
    execute: Callable[..., Any], make_tasks: Callable[..., Any], parquet: Any, store: Any, model_name: str
) -> None:
    source = {"files": str(parquet)}
    with DAG("mapped", schedule=None):
        ingest = IngestSnapshotOperator.partial(task_id="ingest", store=str(store), source=source).expand(
            name=["one", "two"]
        )
        train = TrainModelOperator.partial(
            task_id="train",
            store=str(store),
            model=model_name,
            estimator="sklearn.linear_model.LogisticRegression",
            target="y",
            exclude=["day"],
        ).expand_kwargs([{"snapshot": "{{ params.uri }}", "parameters": {"C": c}} for c in (0.1, 1.0)])
    found = [execute(ingest.unmap({"name": name}), params={"as_of": "2026-05-01"}) for name in ("one", "two")]
    assert [(each["name"], each["rows"]) for each in found] == [("one", 1200), ("two", 1200)]
    assert found[0]["data_version"] == found[1]["data_version"]
    models = [
        execute(train.unmap({"snapshot": "{{ params.uri }}", "parameters": {"C": c}}), params={"uri": found[0]["uri"]})
        for c in (0.1, 1.0)
    ]
    assert len({model["model_id"] for model in models}) == 2


def leaves(kind: type[MlopsError]) -> list[type[MlopsError]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in leaves(child))]


@pytest.mark.parametrize("kind", leaves(MlopsError))
def test_an_error_means_to_airflow_what_the_tree_says(
    kind: type[MlopsError], execute: Callable[..., Any], ti: Any, dag: DAG
) -> None:
    assert kind.__module__ == exceptions.__name__
    expected: type[Exception] = kind
    if issubclass(kind, NotEnoughData | exceptions.GateRefused | exceptions.Outdated):
        expected = AirflowSkipException
    elif issubclass(kind, exceptions.DataError | exceptions.SecurityError):
        expected = AirflowFailException
    error = kind("the server said so") if kind is not RegistryError else RegistryError("the server said so", code="X")
    with pytest.raises(expected, match="the server said so") as caught:
        execute(Raises(task_id="raises", error=error))
    assert type(caught.value) is expected
    assert set(ti.pushed["cpu_seconds"]) == {"work", "total"}


def test_an_error_that_is_not_ours_is_left_to_airflows_retries(execute: Callable[..., Any], ti: Any, dag: DAG) -> None:
    with pytest.raises(ZeroDivisionError):
        execute(Raises(task_id="raises", error=ZeroDivisionError()))
    assert ti.pushed["cpu_seconds"]["total"] > 0


def test_a_task_that_works_tells_its_cpu_seconds_too(execute: Callable[..., Any], ti: Any, dag: DAG) -> None:
    assert execute(Raises(task_id="raises")) == {"done": True}
    assert ti.pushed["cpu_seconds"]["work"] >= 0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("backfill", "backfill"), ("scheduled", "live"), ("manual", "live"), ("asset_triggered", "live"),
        ("operator_triggered", "live"), ("asset_materialization", "live"),
    ],
)  # fmt: skip
def test_only_a_backfill_is_a_backfill(kind: str, expected: str, dag_run: Any) -> None:
    from airflow.utils.types import DagRunType

    for spelled in (kind, DagRunType(kind)):
        assert run_type({"dag_run": dag_run(run_type=spelled)}) == expected  # type: ignore[typeddict-item]


def test_the_run_of_airflows_own_task_api_has_what_the_as_of_needs() -> None:
    """The dates that the operators read are fields of the DagRun that a worker gets."""
    from airflow.sdk.api.datamodels._generated import DagRun

    run = DagRun.model_construct(partition_date=datetime(2026, 4, 1, tzinfo=UTC), run_type="scheduled")
    wanted = {"data_interval_start", "data_interval_end", "partition_date", "logical_date", "run_after", "run_type"}
    assert wanted <= set(DagRun.model_fields)
    assert as_of({"dag_run": run, "params": {}}) == datetime(2026, 4, 1, tzinfo=UTC)  # type: ignore[typeddict-item]


def test_operators_take_airflows_own_arguments() -> None:
    with DAG("own", schedule=None):
        task = IngestSnapshotOperator(task_id="a", name="n", source={}, retries=3, pool="gpu")
    assert isinstance(task, BaseOperator)
    assert (task.retries, task.pool) == (3, "gpu")


def test_a_missing_connection_is_named_and_not_retried(chain: Callable[..., Any]) -> None:
    with pytest.raises(AirflowFailException, match=r"no Airflow connection elsewhere: .*AIRFLOW_CONN_ELSEWHERE"):
        chain("train", train={"mlflow_conn_id": "elsewhere"})
