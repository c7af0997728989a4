"""What every operator of the pack shares: connection, store, as-of, and what our errors mean to Airflow."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, AirflowTaskTimeout

from airflow_mlops.core.run_types import RunType, run_type_of
from airflow_mlops.core.windows import resolve_as_of
from airflow_mlops.exceptions import ConfigurationError, DataError, GateRefused, NotEnoughData, Outdated, SecurityError
from airflow_mlops.hooks.mlflow import MlflowHook
from airflow_mlops.hooks.store import object_path, store_path
from airflow_mlops.steps.budget import CpuBudget
from airflow_mlops.steps.code import code_version
from airflow_mlops.steps.snapshots import Snapshot, open_snapshot

if TYPE_CHECKING:
    from airflow.sdk import Context
    from upath import UPath

    from airflow_mlops.core.tracking import Mlflow

N = TypeVar("N", int, float)
T = TypeVar("T")


class MlopsOperator(BaseOperator):
    """Runs one step: subclasses implement :meth:`run_step`.

    Too little data, a gate that says no and a deployment that another has overtaken skip the task, wrong data and
    refused access fail it without a retry, and everything else (a server that is away) is left to Airflow's retries.
    The CPU seconds of the step go to XCom ``cpu_seconds``.

    :param mlflow_conn_id: Airflow connection to MLflow
    :param store: where snapshots and reports live; None for ``[mlops] store`` of Airflow's configuration
    """

    template_fields: Sequence[str] = ("mlflow_conn_id", "store")
    ui_color = "#e4f2ef"

    def __init__(self, *, mlflow_conn_id: str = "mlflow_default", store: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mlflow_conn_id = mlflow_conn_id
        self.store = store

    def run_step(self, context: Context) -> Any:
        """Do the work and return what goes to XCom."""
        raise NotImplementedError

    def execute(self, context: Context) -> Any:
        try:
            return self.run_step(context)
        except (NotEnoughData, GateRefused, Outdated) as error:
            raise AirflowSkipException(str(error)) from error
        except (DataError, SecurityError) as error:
            raise AirflowFailException(str(error)) from error
        finally:
            context["ti"].xcom_push(key="cpu_seconds", value=self.budget.report())

    def on_kill(self) -> None:
        """Stop where the code stands: temporary files go, and an MLflow run that is open is closed as killed.

        Airflow only calls this and lets the task go on until it is killed hard. An exit leaves the retries their say.
        """
        if not isinstance(sys.exc_info()[1], AirflowTaskTimeout):
            raise SystemExit(f"Task {self.task_id} was asked to stop.")

    @cached_property
    def budget(self) -> CpuBudget:
        return CpuBudget()

    @cached_property
    def client(self) -> Mlflow:
        return MlflowHook(self.mlflow_conn_id).client

    @cached_property
    def store_path(self) -> UPath:
        return store_path(self.store)


@contextmanager
def may_be_absent(kind: type[DataError], if_absent: str) -> Iterator[None]:
    """Skip the task, where the author of the DAG says so, when what it needs is not there yet."""
    if if_absent not in ("fail", "skip"):
        raise ConfigurationError(f"if_absent is {if_absent!r}: write fail or skip.")
    try:
        yield
    except kind as error:
        if if_absent == "fail":
            raise
        raise AirflowSkipException(str(error)) from error


def snapshot_of(value: str | Mapping[str, Any]) -> Snapshot:
    """The snapshot that an earlier task returned, or one named by its URI."""
    uri = value.get("uri") if isinstance(value, Mapping) else value
    if not isinstance(uri, str) or not uri:
        raise ConfigurationError(
            f"{value!r} is not a snapshot: give the output of an ingest or prepare task, or a URI."
        )
    return open_snapshot(object_path(uri))


def output_of(task: str, read: Callable[[Any], T], value: Any) -> T:
    """What an earlier task returned, read back."""
    try:
        return read(value)
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"{str(value)[:80]} is not the output of the {task} task.") from error


def as_of(context: Context, explicit: str | None = None) -> datetime:
    """The as-of of a run: the operator's own, the trigger form's, else the run's dates."""
    run: Any = context["dag_run"]
    asked = (explicit, (context.get("params") or {}).get("as_of"))
    return resolve_as_of(
        # Nothing, once rendered, is the word None.
        explicit=next((value for value in asked if value not in (None, "", "None")), None),
        data_interval_start=getattr(run, "data_interval_start", None),
        data_interval_end=getattr(run, "data_interval_end", None),
        partition_date=getattr(run, "partition_date", None),
        logical_date=getattr(run, "logical_date", None),
        run_after=getattr(run, "run_after", None),
    )


def number(value: Any, what: str, kind: type[N] = int) -> N:
    """A number that came through a template, and so may be text."""
    try:
        return kind(value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{what} {value!r} is not a number ({kind.__name__}).") from error


def run_type(context: Context) -> RunType:
    """Live, backfill or reprocessed, see :mod:`airflow_mlops.core.run_types`."""
    run: Any = context["dag_run"]
    return run_type_of(run.run_type, run.run_id)


def dag_run_url(context: Context) -> str:
    """The page of the DAG run; Airflow knows that of the task, which begins with it."""
    return str(context["ti"].log_url).partition("/tasks/")[0]


def task_url(context: Context) -> str:
    """The page of the task in its run, the same for every try."""
    return str(context["ti"].log_url).partition("?")[0]


def dag_code_version(operator: BaseOperator, context: Context) -> str:
    """Version of the folder that the DAG file lies in, or of its bundle."""
    bundle = getattr(context["ti"], "bundle_instance", None)
    return code_version(Path(operator.dag.fileloc).parent, getattr(bundle, "version", None))
