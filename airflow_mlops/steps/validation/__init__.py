"""Check a snapshot against an expectation suite; the evidence goes to the store whatever the verdict."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.validation import ExpectationOutcome, Suite, ValidationReport
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.reports.validation import validation_page
from airflow_mlops.steps.budget import CpuBudget
from airflow_mlops.steps.validation.checks import build, data_docs as docs_page, great_expectations, told
from airflow_mlops.steps.validation.engines import ENGINES, choose
from airflow_mlops.steps.validation.suites import load_suite
from airflow_mlops.store.publish import publish_bytes

if TYPE_CHECKING:
    from upath import UPath

    from airflow_mlops.store.snapshots import Snapshot

__all__ = ["load_suite", "validate"]


def validate(
    *,
    store: UPath,
    snapshot: Snapshot,
    suite: Suite,
    min_rows: int = 1,
    parameters: Mapping[str, Any] | None = None,
    sensitive: Collection[str] = (),
    data_docs: bool = False,
    engine: str = "auto",
    threads: int = 1,
    budget: CpuBudget | None = None,
) -> ValidationReport:
    """Run a suite over a snapshot and publish the full result and a page; failed data is a verdict, not an error.

    :param min_rows: fewer rows than this block, whatever the suite says
    :param parameters: values for the suite's ``{"$PARAMETER": name}``
    :param sensitive: columns of which no value may be shown anywhere, not even in the store's report
    :param data_docs: publish Great Expectations' own page too, which loads scripts and styles from the network
    :param engine: ``pandas`` loads what the checks need, ``sql`` does not, ``auto`` chooses by the size; the verdicts
        are the same
    :param threads: of the SQL engine
    """
    if data_docs and sensitive:
        raise ConfigurationError("Data Docs show values of every column: leave data_docs off where some are sensitive.")
    if isinstance(sensitive, str):
        raise ConfigurationError(f"sensitive must be a list of columns, not the text {sensitive!r}.")
    suite, budget = suite.bind(parameters), budget or CpuBudget()
    answer = ENGINES[choose(engine, snapshot)]
    types = {column["name"]: str(column["type"]) for column in snapshot.manifest.schema}
    with budget("imports"):
        great_expectations()
    checks = build(suite, frozenset(types))
    with budget("validate"):
        results = answer(snapshot, checks, threads)
    hidden = frozenset(sensitive) & set(types)
    found = [told(check, result, hidden) for check, result in zip(checks, results, strict=True)]
    judged = (ExpectationOutcome.of(*pair, types) for pair in zip(suite.expectations, found, strict=True))
    folder = store / "reports" / "validation" / snapshot.manifest.id / suite.digest[:16]
    rows = snapshot.manifest.rows
    report = ValidationReport(
        suite=suite.name,
        suite_version=suite.version,
        suite_digest=suite.digest,
        snapshot_uri=snapshot.uri,
        data_version=snapshot.manifest.data_version,
        as_of=snapshot.manifest.as_of,
        rows=rows,
        outcomes=(ExpectationOutcome.of_rows(rows, int(min_rows)), *judged),
        report_uri=str(folder / "report.html"),
        result_uri=str(folder / "result.json"),
    )
    with budget("io"):
        _publish(folder, report, suite, found)
        if data_docs:
            publish_bytes(folder / "data_docs.html", docs_page(suite.name, results).encode())
    return report


def _publish(folder: UPath, report: ValidationReport, suite: Suite, found: Sequence[Any]) -> None:
    from great_expectations import __version__ as version

    result = {"report": report.to_json(), "suite": suite.to_json(), "great_expectations": version, "results": found}
    publish_bytes(folder / "result.json", json.dumps(result, indent=1, allow_nan=False).encode())
    publish_bytes(folder / "report.html", validation_page(report, suite, found).encode())
