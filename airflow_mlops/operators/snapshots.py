"""Snapshots: ingest a source, prepare a training table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.windows import window_of
from airflow_mlops.hooks.store import object_path, sql_engine
from airflow_mlops.operators.base import MlopsOperator, as_of, dag_code_version, number, snapshot_of
from airflow_mlops.steps.snapshots import Snapshot, ingest, prepare
from airflow_mlops.steps.sources import Source, build_source

if TYPE_CHECKING:
    from airflow.sdk import Context


class IngestSnapshotOperator(MlopsOperator):
    """Copy what a run may see of a source into an immutable, content-addressed snapshot.

    Returns ``uri``, ``name``, ``data_version``, ``rows``, ``as_of`` and ``windows``. The same rows again give the same
    URI and write nothing; fewer than ``min_rows`` skip the task.

    :param name: what the data is, such as ``flights``
    :param source: ``{"files": path}`` (Parquet, CSV or JSON lines; a file, folder or glob; with ``format``, ``types``,
        ``columns`` and ``prune``, see docs/snapshots.md), ``{"sql": query, "conn_id": …, "order_by": [columns]}``
        (the query may use ``:start``, ``:end`` and ``:as_of``), or ``{"callable": import path, "kwargs": {…},
        "order_by": [columns]}`` (called with ``start``, ``end`` and ``as_of``), ``{"delta": path}`` or ``{"iceberg":
        table, "catalog": name}`` (the version in force at the as-of is pinned, nothing is copied)
    :param event_time: column with the time of each row; rows at or after the as-of are left out
    :param window: arguments of :class:`~airflow_mlops.core.windows.TrainingWindow`, or ``{"since": instant}`` for the
        rows from then to the as-of; None for all rows
    :param key: columns that name what a row is about: of the rows of one key the one that became known last, by the
        window's ``knowledge_time``, counts; None where no row is ever corrected
    :param as_of: the instant the run is about; None for the run's own
    :param min_rows: fewer rows than this skip the task with a reason
    """

    template_fields: Sequence[str] = (
        *MlopsOperator.template_fields, "name", "source", "event_time", "window", "key", "as_of", "min_rows",
    )  # fmt: skip
    template_fields_renderers = {"source": "json", "window": "json"}

    def __init__(
        self,
        *,
        name: str,
        source: Mapping[str, Any],
        event_time: str | None = None,
        window: Mapping[str, Any] | None = None,
        key: Sequence[str] | None = None,
        as_of: str | None = None,
        min_rows: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.source = source
        self.event_time = event_time
        self.window = window
        self.key = key
        self.as_of = as_of
        self.min_rows = min_rows

    def run_step(self, context: Context) -> dict[str, Any]:
        snapshot = ingest(
            self.store_path,
            name=self.name,
            source=source_of(self.source, self.event_time),
            as_of=as_of(context, self.as_of),
            window=window_of(self.window) if self.window else None,
            event_time=self.event_time,
            key=self.key or (),
            min_rows=number(self.min_rows, "min_rows"),
        )
        return told(self, snapshot)


class PrepareDataOperator(MlopsOperator):
    """Make a snapshot from snapshots with a function: Arrow tables in, an Arrow table or DataFrame out.

    For joins and cleaning, row by row. What is fitted (encoders, imputers, scalers) belongs inside the model's
    pipeline. The manifest names the parents and the code version.

    :param name: what the result is, such as ``flight_delays``
    :param function: import path of the function, or the function
    :param inputs: the function's argument for each snapshot: the output of an earlier task, or a URI
    :param arguments: further keyword arguments
    :param order_by: columns that put the rows in order; None to keep the function's order
    """

    # Not ``function``: Airflow would call it to render it.
    template_fields: Sequence[str] = (*MlopsOperator.template_fields, "name", "inputs", "arguments", "order_by")
    template_fields_renderers = {"inputs": "json"}

    def __init__(
        self,
        *,
        name: str,
        function: str | Callable[..., Any],
        inputs: Mapping[str, Any],
        arguments: Mapping[str, Any] | None = None,
        order_by: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.function = function
        self.inputs = inputs
        self.arguments = arguments
        self.order_by = order_by

    def run_step(self, context: Context) -> dict[str, Any]:
        snapshot = prepare(
            self.store_path,
            name=self.name,
            function=self.function,
            inputs={argument: snapshot_of(value) for argument, value in self.inputs.items()},
            kwargs=self.arguments,
            order_by=self.order_by,
            code_version=dag_code_version(self, context),
        )
        return told(self, snapshot)


def told(operator: MlopsOperator, snapshot: Snapshot) -> dict[str, Any]:
    """What the next task needs to know, and a line for whoever reads the log."""
    facts = snapshot.manifest
    operator.log.info("%s: %s rows, data version %s, %s", facts.name, facts.rows, facts.data_version[:12], snapshot.uri)
    return snapshot.to_json()


def source_of(spec: Mapping[str, Any], event_time: str | None = None) -> Source:
    """The source that a plain dict describes, with Airflow's paths and connections."""
    return build_source(spec, event_time, path_of=object_path, engine_of=sql_engine)
