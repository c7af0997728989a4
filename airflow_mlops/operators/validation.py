"""Validation: an expectation suite over a snapshot."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlops.core.validation import Suite
from airflow_mlops.core.validation.quarantine import SHARE
from airflow_mlops.hooks.store import object_path
from airflow_mlops.operators.base import MlopsOperator, number, snapshot_of
from airflow_mlops.operators.training import fair_threads
from airflow_mlops.steps.schema import load_schema
from airflow_mlops.steps.validation import load_suite, validate

if TYPE_CHECKING:
    from airflow.sdk import Context
    from upath import UPath


class ValidateDataOperator(MlopsOperator):
    """Check a snapshot against a Great Expectations suite; blocking failures fail the task, warnings do not.

    Returns the snapshot's own output, so that the next task can take it from here (where rows were quarantined: that of
    the snapshot of the rest), with the verdict: ``success``, ``blocked``, ``warnings``, ``summary``, the ``outcomes``
    without any value of a row, ``quarantined`` and ``quarantine_uri``, and ``report_uri`` and ``result_uri``, the page
    and the full result in the store. All is written before a failing check fails the task.

    :param snapshot: output of an earlier task, or the URI of a snapshot
    :param suite: JSON or YAML file of a suite (a relative path starts at the DAG file), or the suite as a mapping
    :param min_rows: fewer rows than this block, whatever the suite says
    :param parameters: values for the suite's ``{"$PARAMETER": name}``
    :param sensitive: columns of which no value may be shown, not even in the store's report
    :param data_docs: publish Great Expectations' own page too, which loads scripts and styles from the network
    :param engine: ``pandas`` loads the columns that the suite needs, ``sql`` no table, ``spark`` is for clusters;
        ``auto`` is pandas or SQL by the size; the verdict is the same
    :param max_quarantined: largest share of the rows that checks of severity quarantine may split off; more block
    :param freshness: True, or arguments of ``FreshnessPolicy``: block, or warn, if the newest event lies further before
        the as-of than is usual for earlier snapshots of this name; ``max_lag`` needs none
    :param volume: True, or arguments of ``VolumePolicy``: the same for the number of rows
    :param schema: JSON file of a schema, as ``InferSchemaOperator`` writes it: columns and types must be these
    """

    template_fields: Sequence[str] = (
        *MlopsOperator.template_fields, "snapshot", "suite", "min_rows", "parameters", "sensitive", "data_docs",
        "engine", "max_quarantined", "freshness", "volume", "schema",
    )  # fmt: skip
    template_fields_renderers: ClassVar[dict[str, str]] = {"parameters": "json", "freshness": "json", "volume": "json"}

    def __init__(
        self,
        *,
        snapshot: str | Mapping[str, Any],
        suite: str | Mapping[str, Any],
        min_rows: int = 1,
        parameters: Mapping[str, Any] | None = None,
        sensitive: Sequence[str] | None = None,
        data_docs: bool = False,
        engine: str = "auto",
        max_quarantined: float = SHARE,
        freshness: bool | Mapping[str, Any] | None = None,
        volume: bool | Mapping[str, Any] | None = None,
        schema: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
        self.suite = suite
        self.min_rows = min_rows
        self.parameters = parameters
        self.sensitive = sensitive
        self.data_docs = data_docs
        self.engine = engine
        self.max_quarantined = max_quarantined
        self.freshness = freshness
        self.volume = volume
        self.schema = schema

    def run_step(self, context: Context) -> dict[str, Any]:
        snapshot = snapshot_of(self.snapshot)
        report = validate(
            store=self.store_path,
            snapshot=snapshot,
            suite=self._suite(),
            min_rows=number(self.min_rows, "min_rows"),
            parameters=self.parameters,
            sensitive=self.sensitive or (),
            data_docs=str(self.data_docs) == "True",  # text, once rendered
            engine=self.engine,
            threads=fair_threads(),
            max_quarantined=number(self.max_quarantined, "max_quarantined", float),
            freshness=self.freshness,
            volume=self.volume,
            schema=load_schema(self._file(self.schema)) if self.schema else None,
            budget=self.budget,
        )
        self.log.info("%s %s", report.summary, report.report_uri)
        going_on = snapshot_of(report.snapshot_uri) if report.quarantine_uri else snapshot
        output = {**going_on.to_json(), **report.to_json()}
        if report.blocked:
            context["ti"].xcom_push(key="return_value", value=output)
            report.ensure_passed()
        return output

    def _suite(self) -> Suite:
        if isinstance(self.suite, Mapping):
            return Suite.parse(self.suite)
        return load_suite(self._file(self.suite))

    def _file(self, path: str) -> UPath:
        relative = "://" not in path and not os.path.isabs(path)
        return object_path(os.path.join(self.dag.folder, path) if relative else path)
