"""Drift: compare a window with its baseline, and go on by what was found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.standard.operators.branch import BaseBranchOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_mlops.core.drift.branching import branch
from airflow_mlops.core.drift.policy import DriftPolicy
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import ConfigurationError, DataError, NoVersion
from airflow_mlops.hooks.store import object_path
from airflow_mlops.links import DriftReportLink
from airflow_mlops.operators.base import MlopsOperator, as_of, may_be_absent, snapshot_of
from airflow_mlops.operators.snapshots import source_of
from airflow_mlops.steps.drift import check, find_sides
from airflow_mlops.steps.drift.sides import Finder
from airflow_mlops.steps.profiles import save_profile

if TYPE_CHECKING:
    from airflow.sdk import Context


class DriftCheckOperator(MlopsOperator):
    """Compare a window of data with a baseline: has it changed beyond chance, and by enough to matter?

    Returns ``verdict`` (``ok``, ``drift`` or ``insufficient``), ``severity``, ``summary``, the ``worst`` columns in
    plain sentences, and ``report_uri`` and ``result_uri``, the page and all columns in the store. All is written before
    ``fail_on_drift`` fails the task. Of columns that the plan withholds only rows and nulls are compared.

    :param baseline: ``{"model": name}`` with ``"alias"`` (``champion`` if neither) or ``"version"``: the rows that it
        was trained on; else a profile (output of a profile task, or its URI), a snapshot (output or URI), or a source
        such as ``{"files": path}``
    :param current: a profile, a snapshot or a source
    :param name: of the check: a sensor waits by it; None for that of the model, else of the current snapshot
    :param policy: arguments of :class:`~airflow_mlops.core.drift.DriftPolicy`
    :param columns: the columns to compare, such as a model's features; None for all
    :param sensitive: columns of which no value may be counted, where the plan is made of a snapshot or source here
    :param clusters: column that says which rows belong together, such as the day or the customer: they are alike, and
        counting them as so many witnesses alarms without drift. The rows of the baseline are then read again
    :param if_absent: ``fail``, or ``skip`` the task where the model of the baseline has no such alias yet
    :param as_of: of the window; None for that of the current snapshot, else of the run
    :param fail_on_drift: fail the task, without a retry, when the verdict is ``drift``
    """

    template_fields: Sequence[str] = (
        *MlopsOperator.template_fields,
        "baseline", "current", "name", "policy", "columns", "sensitive", "clusters", "if_absent", "as_of",
        "fail_on_drift",
    )  # fmt: skip
    template_fields_renderers: ClassVar[dict[str, str]] = {"baseline": "json", "current": "json", "policy": "json"}
    operator_extra_links = (DriftReportLink(),)

    def __init__(
        self,
        *,
        baseline: str | Mapping[str, Any],
        current: str | Mapping[str, Any],
        name: str | None = None,
        policy: Mapping[str, Any] | None = None,
        columns: Sequence[str] | None = None,
        sensitive: Sequence[str] | None = None,
        clusters: str | None = None,
        if_absent: str = "fail",
        as_of: str | None = None,
        fail_on_drift: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.baseline = baseline
        self.current = current
        self.name = name
        self.policy = policy
        self.columns = columns
        self.sensitive = sensitive
        self.clusters = clusters
        self.if_absent = if_absent
        self.as_of = as_of
        self.fail_on_drift = fail_on_drift

    def run_step(self, context: Context) -> dict[str, Any]:
        policy = DriftPolicy.from_json(self.policy or None)
        with may_be_absent(NoVersion, self.if_absent), self.budget("profile"):
            sides = find_sides(self.baseline, self.current, self._finder(policy.ignore, as_of(context, self.as_of)))
        name = self.name or sides.name
        if not name:
            raise ConfigurationError("Drift: give the check a name: neither side has one.")
        with self.budget("check"):
            stored = check(
                self.store_path,
                name=name,
                as_of=instant(self.as_of) if self.as_of else sides.as_of,
                reference=sides.reference,
                current=sides.current,
                policy=policy,
                chunks=sides.chunks,
                baseline=sides.baseline,
                facts=[("Current rows", sides.now)],
                client=self.client if sides.model else None,
            )
        self.report_url = stored.url or stored.report_uri
        output = {**stored.to_json(), "profile_uri": save_profile(self.store_path, sides.current, name)}
        self.log.info("%s %s", stored.report.summary, stored.report_uri)
        if str(self.fail_on_drift) == "True":  # text, once rendered
            context["ti"].xcom_push(key="return_value", value=output)
            stored.report.ensure_ok(stored.report_uri)
        return output

    def _finder(self, ignore: Collection[str], moment: datetime) -> Finder:
        for key in ("columns", "sensitive"):
            if isinstance(getattr(self, key), str):
                raise ConfigurationError(f"Drift: {key} must be a list of columns, not {getattr(self, key)!r}.")
        return Finder(
            read_snapshot=snapshot_of,
            read_source=source_of,
            path_of=object_path,
            client=lambda: self.client,
            columns=self.columns,
            ignore=ignore,
            sensitive=self.sensitive or (),
            clusters=self.clusters,
            as_of=moment,
        )


class DriftBranchOperator(BaseBranchOperator):
    """Go on with the tasks that are named for what a drift check found, and skip the others downstream.

    :param check: output of a drift check
    :param tasks: task ids by outcome: ``large``, ``medium``, ``small``, ``ok`` and ``insufficient``; a severity without
        any takes those of the next milder one, an outcome without any skips all
    """

    template_fields: Sequence[str] = ("check", "tasks")
    template_fields_renderers: ClassVar[dict[str, str]] = {"check": "json", "tasks": "json"}
    ui_color = "#e4f2ef"

    def __init__(self, *, check: Mapping[str, Any], tasks: Mapping[str, str | Sequence[str]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check = check
        self.tasks = tasks

    def choose_branch(self, context: Context) -> str | Iterable[str] | None:
        try:
            return branch(str(self.check["verdict"]), str(self.check["severity"]), self.tasks) or None
        except (KeyError, TypeError) as error:
            raise AirflowFailException(f"{str(self.check)[:80]} is not the output of a drift check.") from error
        except DataError as error:
            raise AirflowFailException(str(error)) from error
