"""Reproduction: a model once more from its record, or a new candidate of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.gate import GatePolicy
from airflow_mlops.core.reproduction import Overrides
from airflow_mlops.core.training import RunFacts
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.hooks.store import object_path
from airflow_mlops.links import MlflowModelVersionLink, MlflowRunLink
from airflow_mlops.operators.base import MlopsOperator, dag_code_version, dag_run_url, number, run_type
from airflow_mlops.operators.snapshots import source_of
from airflow_mlops.operators.training import fair_threads
from airflow_mlops.steps.evaluation import EvaluationSpec
from airflow_mlops.steps.reproduction import Candidate, Record, Sources, find_record, reproduce, rerun

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.reproduction import Reproduction


class ReproduceModelOperator(MlopsOperator):
    """Train a model again from its record and compare, or make a new candidate of it with parts overridden.

    Without overrides the result is a :class:`~airflow_mlops.core.reproduction.Reproduction` as a dict: the same rows,
    parameters, seed and threads, metrics and predictions beside those of then. No second model is logged; the verdict
    is tagged on the version. With overrides it is a candidate whose parent is the recorded model: trained, evaluated
    and judged, and not registered.

    The task is green whatever the verdict. The sentence stands in XCom ``verdict`` and first among the rendered
    templates. Objects may be given as JSON text, as the trigger form renders them.

    :param model: name of the registered model
    :param version: version number, alias, or the id of a model that is not registered (``m-…``)
    :param parameters: override: keyword arguments of the estimator, beside the recorded ones
    :param search_space: override: lists of values to try, by keyword argument; the best become the candidate's
    :param seed: override: another seed
    :param window: override: arguments of a training window; the sources are read anew
    :param as_of: override: another as-of; the sources are read anew
    :param data_version: override: another snapshot of the same data, by its data version or URI
    :param evaluation: how a candidate is evaluated, arguments of EvaluationSpec; None for its parent's way
    :param policy: by which policy it is judged; None for its parent's
    :param alias: alias of the champion that it is weighed against
    :param trusted: importable classes of your own that the model files may hold
    :param functions: import paths that a record may name: its estimator, if that is none of scikit-learn's, and what
        prepared its data; a record that names another is refused
    :param sources: sources that may be read anew, as
        :class:`~airflow_mlops.operators.snapshots.IngestSnapshotOperator` takes them
    :param tolerance: how far apart two predictions of one row may be
    :param max_fits: fits of a search in all
    :param timezone: in which the days of a recorded window begin, to move it to another as-of
    :param note: what the candidate tries, in plain words
    :param verdict: leave it empty: the task writes its sentence here, so that the UI shows it under Rendered Templates
    """

    template_fields: Sequence[str] = (
        "verdict", "model", "version", "parameters", "search_space", "seed", "window", "as_of", "data_version",
        "evaluation", "policy", "alias", "trusted", "functions", "sources", "tolerance", "max_fits", "timezone",
        "note",
        *MlopsOperator.template_fields,
    )  # fmt: skip
    template_fields_renderers = {
        "parameters": "json",
        "search_space": "json",
        "window": "json",
        "policy": "json",
        "sources": "json",
        "verdict": "md",
    }
    operator_extra_links = (MlflowRunLink(), MlflowModelVersionLink())
    overwrite_rtif_after_execution = True

    def __init__(
        self,
        *,
        model: str,
        version: int | str = "champion",
        parameters: Mapping[str, Any] | str | None = None,
        search_space: Mapping[str, Any] | str | None = None,
        seed: int | str | None = None,
        window: Mapping[str, Any] | str | None = None,
        as_of: str | None = None,
        data_version: str | None = None,
        evaluation: Mapping[str, Any] | None = None,
        policy: Mapping[str, Any] | None = None,
        alias: str = "champion",
        trusted: list[str] | None = None,
        functions: list[str] | None = None,
        sources: list[Mapping[str, Any]] | None = None,
        tolerance: float = 1e-9,
        max_fits: int = 60,
        timezone: str = "UTC",
        note: str = "",
        verdict: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.version = version
        self.parameters = parameters
        self.search_space = search_space
        self.seed = seed
        self.window = window
        self.as_of = as_of
        self.data_version = data_version
        self.evaluation = evaluation
        self.policy = policy
        self.alias = alias
        self.trusted = trusted
        self.functions = functions
        self.sources = sources
        self.tolerance = tolerance
        self.max_fits = max_fits
        self.timezone = timezone
        self.note = note
        self.verdict = verdict

    def run_step(self, context: Context) -> dict[str, Any]:
        overrides = self.overrides()
        record = find_record(self.client, self.model, self.version)
        self._show(record.model.experiment_id, record.model.run_id)
        if record.version:
            self.version_url = self.client.version_url(self.model, record.version)
        found = self.candidate(context, record, overrides) if overrides.given else self.repetition(context, record)
        self.verdict = found.sentence
        # Text of its own: the UI's list of XComs shows it without a click.
        context["ti"].xcom_push(key="verdict", value=found.sentence)
        self.log.info("%s", found.sentence)
        return found.to_json()

    def repetition(self, context: Context, record: Record) -> Reproduction:
        return reproduce(
            self.client,
            record,
            code_version=dag_code_version(self, context),
            trusted=self.trusted or [],
            functions=self.functions or [],
            tolerance=number(self.tolerance, "tolerance", float),
            threads=fair_threads(),
            path_at=object_path,
            budget=self.budget,
        )

    def candidate(self, context: Context, record: Record, overrides: Overrides) -> Candidate:
        found = rerun(
            self.client,
            Sources(
                store=self.store_path,
                path_at=object_path,
                declared=self.sources or [],
                functions=self.functions or [],
                source_of=source_of,
                timezone=self.timezone,
            ),
            record,
            overrides,
            run=RunFacts(
                run_type=run_type(context),
                run_url=dag_run_url(context),
                code_version=dag_code_version(self, context),
                owner=self.owner,
                note=self.note,
            ),
            evaluation=EvaluationSpec(**self.evaluation) if self.evaluation else None,
            policy=GatePolicy.from_json(self.policy) if self.policy else None,
            alias=self.alias,
            trusted=self.trusted or [],
            threads=fair_threads(),
            max_fits=number(self.max_fits, "max_fits"),
            budget=self.budget,
        )
        self._show(found.model.experiment_id, found.model.run_id)
        return found

    def overrides(self) -> Overrides:
        seed = _given(self.seed)
        return Overrides(
            params=_mapping(self.parameters, "parameters") or {},
            search_space=_mapping(self.search_space, "search_space") or {},
            seed=None if seed is None else number(seed, "seed"),
            window=_mapping(self.window, "window"),
            as_of=_given(self.as_of),
            data_version=_given(self.data_version),
        )

    def _show(self, experiment_id: str, run_id: str) -> None:
        self.run_url = self.client.run_url(experiment_id, run_id)


def _given(value: Any) -> Any:
    """A value of the trigger form; nothing, once rendered, is a word for it."""
    return None if value in (None, "", "None", "null") else value


def _mapping(value: Any, what: str) -> Mapping[str, Any] | None:
    given = _given(value)
    try:
        read = json.loads(given) if isinstance(given, str) else given
    except ValueError as error:
        raise ConfigurationError(f"{what} {given!r} is not JSON: {error}.") from error
    if read is not None and not isinstance(read, Mapping):
        raise ConfigurationError(f'{what} {given!r} is not an object: write it as {{"name": value}}.')
    return read
