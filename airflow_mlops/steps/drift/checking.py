"""Check two profiles for drift, and keep the evidence in the store, and in MLflow beside a model."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops.core import tags
from airflow_mlops.core.drift import DriftPolicy, DriftReport, check_drift
from airflow_mlops.core.names import check_name
from airflow_mlops.core.polling import DriftWindow
from airflow_mlops.core.profiles import Profile
from airflow_mlops.core.snapshots import digest
from airflow_mlops.core.windows import instant
from airflow_mlops.reports.drift import drift_page
from airflow_mlops.steps.logged_models import close_left_open, upload_text
from airflow_mlops.store.publish import publish_bytes

if TYPE_CHECKING:
    from upath import UPath

    from airflow_mlops.core.tracking import Mlflow

#: Where the page lies among the artifacts of an MLflow run.
REPORT = "drift/drift.html"


@dataclass(frozen=True)
class StoredDrift:
    """A drift check and where its evidence lies.

    :param window_uri: the short form, one per window: what a sensor reads
    :param url: the page in MLflow; empty where there is none
    """

    name: str
    as_of: str
    baseline: str
    report: DriftReport
    report_uri: str
    result_uri: str
    window_uri: str
    url: str = ""

    def to_json(self) -> dict[str, Any]:
        """Small enough for XCom; all columns are in the store."""
        told = {key: getattr(self, key) for key in self.__dataclass_fields__ if key != "report"}
        return {**self.report.short(), **told}


def check(
    store: UPath,
    *,
    name: str,
    as_of: datetime | str,
    reference: Profile,
    current: Profile,
    policy: DriftPolicy | None = None,
    chunks: Sequence[Profile] = (),
    baseline: str = "a reference",
    facts: Sequence[tuple[str, str]] = (),
    client: Mlflow | None = None,
) -> StoredDrift:
    """Compare, and publish numbers, page and the window's verdict; drift is a verdict, not an error.

    The same profiles and policy again write the same files again.

    :param as_of: of the window; a window that is checked again replaces its verdict
    :param baseline: what the reference is, in words
    :param facts: further lines of the page
    :param client: log the page to an MLflow run in the experiment ``name`` too
    """
    check_name(name, "drift check")
    policy, moment = policy or DriftPolicy(), instant(as_of)
    report = check_drift(reference, current, policy, chunks)
    key = digest([name, moment.isoformat(), reference.digest, current.digest, policy.to_json(), len(chunks)])
    window = window_path(store, name, moment)
    folder = window / key[:16]
    page = drift_page(
        report,
        reference,
        current,
        title=f"{name} at {moment:%Y-%m-%d %H:%M}",
        facts=[("Reference", baseline), ("As of", moment.isoformat()), *facts],
    )
    stored = StoredDrift(
        name=name,
        as_of=moment.isoformat(),
        baseline=baseline,
        report=report,
        report_uri=str(folder / "report.html"),
        result_uri=str(folder / "result.json"),
        window_uri=str(window / "verdict.json"),
    )
    result = {**stored.to_json(), "report": report.to_json(), "digests": [reference.digest, current.digest]}
    publish_bytes(folder / "result.json", json.dumps(result, indent=1, allow_nan=False).encode())
    publish_bytes(folder / "report.html", page.encode())
    if client is not None:
        stored = replace(stored, url=_log(client, stored, page, key))
    short = DriftWindow(
        stored.as_of, report.verdict, report.severity, report.summary[:500], stored.report_uri, stored.url
    )
    publish_bytes(window / "verdict.json", json.dumps(short.to_json()).encode())
    return stored


def window_path(store: UPath, name: str, as_of: datetime) -> UPath:
    """The folder of one window; the names of a check's windows are in the order of time."""
    return store / "reports" / "drift" / name / f"{as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _log(client: Mlflow, stored: StoredDrift, page: str, key: str) -> str:
    """A run that says what it is, so that nobody takes it for a training; where its page opens."""
    tracking, report = client.tracking, stored.report
    experiment = tracking.experiment_id(stored.name)
    close_left_open(client, experiment, key)
    about = {tags.KIND: "drift", tags.KEY: key, tags.AS_OF: stored.as_of}
    said = {"mlflow.note.content": report.summary[:4000], "mlflow.source.type": "JOB"}
    run_id, artifacts = tracking.create_run(experiment, f"drift {stored.as_of[:10]}", {**about, **said})
    try:
        metrics = {
            "drifted_columns": float(len(report.drifted)),
            "largest_effect": max((column.effect for column in report.drifted), default=0.0),
        }
        tracking.log(run_id, params={"verdict": report.verdict, "severity": report.severity}, metrics=metrics)
        upload_text(client, artifacts, {REPORT: page, "drift/drift.json": json.dumps(report.to_json(), indent=1)})
    except BaseException as error:
        with contextlib.suppress(Exception):  # the cause counts, not whether the server still takes the news
            tracking.finish_run(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    tracking.finish_run(run_id)
    url = client.run_url(experiment, run_id)
    return f"{url}/artifacts/{REPORT}" if url else ""
