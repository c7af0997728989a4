"""Check a snapshot against an expectation suite; the evidence goes to the store whatever the verdict."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.schema import Schema
from airflow_mlops.core.validation import ExpectationOutcome, Severity, Suite, ValidationReport
from airflow_mlops.core.validation.quarantine import SHARE, check_share, check_splits, told_split
from airflow_mlops.core.validation.report import raised
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.reports.validation import validation_page
from airflow_mlops.steps.budget import CpuBudget
from airflow_mlops.steps.history import weigh_against_history
from airflow_mlops.steps.validation.checks import Check, build, great_expectations, told
from airflow_mlops.steps.validation.checks import data_docs as docs_page
from airflow_mlops.steps.validation.engines import ENGINES, choose
from airflow_mlops.steps.validation.quarantine import Split, split
from airflow_mlops.steps.validation.suites import load_suite
from airflow_mlops.steps.verdicts import publish_verdict
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
    max_quarantined: float = SHARE,
    freshness: Any = None,
    volume: Any = None,
    schema: Schema | None = None,
    budget: CpuBudget | None = None,
) -> ValidationReport:
    """Run a suite over a snapshot and publish the full result and a page; failed data is a verdict, not an error.

    :param min_rows: fewer rows than this block, whatever the suite says
    :param parameters: values for the suite's ``{"$PARAMETER": name}``
    :param sensitive: columns of which no value may be shown anywhere, not even in the store's report
    :param data_docs: publish Great Expectations' own page too, which loads scripts and styles from the network
    :param engine: ``pandas`` loads what the checks need, ``sql`` does not, ``spark`` asks the session's cluster,
        ``auto`` chooses pandas or SQL by the size; the verdicts are the same
    :param threads: of the SQL engine
    :param max_quarantined: the largest share of the rows that checks of severity quarantine may split off; more block
    :param freshness: weigh the newest event against earlier snapshots, see
        :func:`~airflow_mlops.steps.history.weigh_against_history`
    :param volume: weigh the number of rows against them
    :param schema: the columns and types that the snapshot must have
    """
    if data_docs and sensitive:
        raise ConfigurationError("Data Docs show values of every column: leave data_docs off where some are sensitive.")
    if isinstance(sensitive, str):
        raise ConfigurationError(f"sensitive must be a list of columns, not the text {sensitive!r}.")
    suite, budget = suite.bind(parameters), budget or CpuBudget()
    check_splits(suite)
    share = check_share(max_quarantined)
    choose(engine, snapshot)
    types = {column["name"]: str(column["type"]) for column in snapshot.manifest.schema}
    beside = schema.check(snapshot.manifest.schema) if schema else ()
    with budget("io"):
        beside += weigh_against_history(store, snapshot, freshness=freshness, volume=volume)
    with budget("imports"), ThreadPoolExecutor(1, "mlops-digests") as hashing:
        # The files are hashed while Great Expectations is imported, which takes seconds.
        verified = hashing.submit(lambda: snapshot.files)
        great_expectations()
        checks = build(suite, frozenset(types))
        verified.result()
    with budget("validate"):
        results, parted = _answers(store, snapshot, checks, share, engine, threads)
    judged = parted.kept if parted else snapshot
    hidden = frozenset(sensitive) & set(types)
    found = [told(check, result, hidden) for check, result in zip(checks, results, strict=True)]
    outcomes = [ExpectationOutcome.of(*pair, types) for pair in zip(suite.expectations, found, strict=True)]
    folder = store / "reports" / "validation" / judged.manifest.id / suite.digest[:16]
    rows = judged.manifest.rows
    report = ValidationReport(
        suite=suite.name,
        suite_version=suite.version,
        suite_digest=suite.digest,
        snapshot_uri=judged.uri,
        data_version=judged.manifest.data_version,
        as_of=judged.manifest.as_of,
        rows=rows,
        outcomes=(
            ExpectationOutcome.of_rows(rows, int(min_rows)),
            *told_split(outcomes, share, split=bool(parted)),
            *beside,
        ),
        report_uri=str(folder / "report.html"),
        result_uri=str(folder / "result.json"),
        quarantined=parted.rows if parted else 0,
        quarantine_uri=parted.quarantine.uri if parted else "",
        split_from=snapshot.uri if parted else "",
    )
    with budget("io"):
        _publish(folder, report, suite, found)
        if data_docs:
            publish_bytes(folder / "data_docs.html", docs_page(suite.name, results).encode())
        publish_verdict(store, snapshot.manifest, report)
    return report


def _answers(
    store: UPath, snapshot: Snapshot, checks: Sequence[Check], share: float, engine: str, threads: int
) -> tuple[list[Any], Split | None]:
    """Rows are split off first; what else is checked is checked on the rest."""
    apart = [check.expectation.severity is Severity.QUARANTINE for check in checks]
    first = [check for check, one in zip(checks, apart, strict=True) if one]
    others = [check for check, one in zip(checks, apart, strict=True) if not one]
    found = iter(ENGINES[choose(engine, snapshot)](snapshot, first, threads) if first else [])
    before = [next(found) if one else None for one in apart]
    asked = [result for result, one in zip(before, apart, strict=True) if one]
    parted = _split(store, snapshot, first, asked, share)
    judged = parted.kept if parted else snapshot
    rest = iter(ENGINES[choose(engine, judged)](judged, others, threads) if others else [])
    return [result if one else next(rest) for result, one in zip(before, apart, strict=True)], parted


def _split(
    store: UPath, snapshot: Snapshot, checks: Sequence[Check], results: Sequence[Any], share: float
) -> Split | None:
    """What was split off, unless nothing is to be, or too much, or a check crashed, which blocks."""
    counts = [None if one is None else one.result.get("unexpected_count") for one in results]
    crashed = any(one is None or raised({"exception_info": one.exception_info}) for one in results)
    if crashed or not any(counts) or max(count or 0 for count in counts) > share * snapshot.manifest.rows:
        return None
    return split(store, snapshot, checks, [bool(count) for count in counts], share)


def _publish(folder: UPath, report: ValidationReport, suite: Suite, found: Sequence[Any]) -> None:
    from great_expectations import __version__ as version

    result = {"report": report.to_json(), "suite": suite.to_json(), "great_expectations": version, "results": found}
    publish_bytes(folder / "result.json", json.dumps(result, indent=1, allow_nan=False).encode())
    publish_bytes(folder / "report.html", validation_page(report, suite, found).encode())
