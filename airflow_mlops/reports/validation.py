"""The page of a validation: the verdict in words, then a row per check."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_mlops.core.validation import Expectation, ExpectationOutcome, Severity, Suite, ValidationReport
from airflow_mlops.reports.page import number, render

_CONSEQUENCE = {
    Severity.CRITICAL: "blocks",
    Severity.QUARANTINE: "quarantines the rows",
    Severity.WARNING: "warns",
    Severity.INFO: "is noted",
}
_COLUMNS = ("column", "column_A", "column_B", "column_list")
_OPERATORS = {"IN": "in", "NOT_IN": "not in"}
_EXAMPLES = 5


@dataclass(frozen=True)
class _Row:
    """A check as the table shows it."""

    tone: str
    status: str
    check: str
    terms: str
    column: str | None
    consequence: str
    count: str | None
    share: str
    percent: float
    seen: Sequence[str]


def validation_page(report: ValidationReport, suite: Suite, found: Sequence[Mapping[str, Any] | None]) -> str:
    """Render a report; ``found`` are Great Expectations' results for the suite's checks, in their order.

    In the report they stand behind the check of the rows, and before what is checked beside the suite.

    The page stands in the data store and shows examples of values, but none of what is named in its ``withheld``.
    """
    guard, *rest = report.outcomes
    judged, beside = rest[: len(suite.expectations)], rest[len(suite.expectations) :]
    rows = [(o, _row(report, o, None, None)) for o in (guard, *beside)]
    rows += [(o, _row(report, o, check, one)) for o, check, one in zip(judged, suite.expectations, found, strict=True)]
    ranks = list(_CONSEQUENCE)
    rows.sort(key=lambda row: (row[0].status == "passed", ranks.index(row[0].severity)))
    tone, headline = _verdict(report)
    return render(
        "validation.html.j2",
        kind="Data validation",
        title=suite.name,
        tone=tone,
        headline=headline,
        text=report.summary,
        facts=_facts(report),
        rows=[row for _, row in rows],
        note=_note(found),
    )


def _verdict(report: ValidationReport) -> tuple[str, str]:
    if report.success:
        return "good", "The data passes: every check holds."
    if not report.blocked and report.quarantine_uri:
        apart = f"{number(report.quarantined)} {'row was' if report.quarantined == 1 else 'rows were'} quarantined"
        return "caution", f"The data passes without the rows that break it: {apart}."
    if not report.blocked:
        return "caution", "The data passes, with remarks: no check that blocks has failed."
    blocking = sum(report.blocks(outcome) for outcome in report.failures)
    return "bad", f"The data is blocked: {blocking} blocking {'check does' if blocking == 1 else 'checks do'} not hold."


def _facts(report: ValidationReport) -> list[tuple[str, str]]:
    held = sum(outcome.status == "passed" for outcome in report.outcomes)
    return [
        ("Checks that hold", f"{held} of {len(report.outcomes)}"),
        ("Rows", number(report.rows)),
        ("As of", report.as_of),
        ("Snapshot", report.snapshot_uri),
        ("Data version", report.data_version),
        *_apart(report),
        ("Suite", f"{report.suite}, version {report.suite_version}, digest {report.suite_digest[:16]}"),
    ]


def _apart(report: ValidationReport) -> list[tuple[str, str]]:
    """Where the rows are that do not go on."""
    if not report.quarantine_uri:
        return []
    return [
        ("Quarantined rows", number(report.quarantined)),
        ("Quarantine", report.quarantine_uri),
        ("Split from", report.split_from),
    ]


def _note(found: Sequence[Mapping[str, Any] | None]) -> str:
    withheld = sum("result" in one["withheld"] for one in found if one)
    shares = "Percentages leave missing values out where a check does not look at them."
    return f"{shares} Checks that read a sensitive column, {withheld} here, show no values." if withheld else shares


def _row(
    report: ValidationReport,
    outcome: ExpectationOutcome,
    check: Expectation | None,
    found: Mapping[str, Any] | None,
) -> _Row:
    tone = "good" if outcome.status == "passed" else "bad" if report.blocks(outcome) else "caution"
    percent = outcome.unexpected_percent
    words = outcome.type.removeprefix("expect_").replace("_", " ").capitalize()
    return _Row(
        tone=tone,
        status=outcome.status,
        check=check.description or words if check else "Enough rows",
        terms=_terms(check) if check else "",
        column=outcome.column,
        consequence=_CONSEQUENCE[outcome.severity],
        count=_count(outcome),
        share="" if percent is None or not outcome.unexpected_count else _percent(percent),
        percent=round(percent or 0.0, 2),
        seen=_seen(outcome, found),
    )


def _count(outcome: ExpectationOutcome) -> str | None:
    if outcome.unexpected_count is None:
        return None
    of = f" of {number(outcome.element_count)}" if outcome.element_count is not None else ""
    return f"{number(outcome.unexpected_count)}{of}"


def _percent(value: float) -> str:
    return "under 0.01%" if 0 < value < 0.01 else f"{value:.3g}%"


def _terms(check: Expectation) -> str:
    """What is expected, as written in the suite.

    >>> _terms(Expectation("expect_column_values_to_be_between", {"column": "temp", "min_value": 0, "max_value": 110}))
    'min_value 0, max_value 110'
    """
    terms = [f"{key} {_short(value)}" for key, value in check.kwargs.items() if key not in (*_COLUMNS, "row_condition")]
    if check.kwargs.get("row_condition"):
        terms.append(f"where {_condition(check.kwargs['row_condition'])}")
    return ", ".join(terms)


def _condition(condition: Mapping[str, Any]) -> str:
    kind = condition.get("type")
    if kind in ("and", "or"):
        return f" {kind} ".join(f"({_condition(part)})" for part in condition.get("conditions") or [])
    column = (condition.get("column") or {}).get("name")
    if kind == "nullity":
        return f"{column} is {'null' if condition.get('is_null') else 'not null'}"
    operator = condition.get("operator")
    return f"{column} {_OPERATORS.get(str(operator), operator)} {_short(condition.get('parameter'))}"


def _seen(outcome: ExpectationOutcome, found: Mapping[str, Any] | None) -> list[str]:
    """What happened, first in words where the count does not say it, then what may be shown of the values."""
    counted = outcome.status == "failed" and outcome.unexpected_count
    words = [] if counted else [outcome.message[:1].upper() + outcome.message[1:]]
    withheld = (found or {}).get("withheld") or []
    if outcome.status == "crashed":
        return words + (
            ["Great Expectations' own words are withheld: they may quote sensitive values."]
            if withheld
            else _reasons(found or {})
        )
    if "result" in withheld:
        return [*words, "Values are withheld: sensitive column."]
    return words + _values((found or {}).get("result") or {}, outcome.status == "failed")


def _values(result: Mapping[str, Any], failed: bool) -> list[str]:
    words = []
    if (observed := result.get("observed_value")) is not None:
        words.append(f"Observed: {number(observed) if isinstance(observed, float) else _short(observed)}")
    if failed and (mismatched := (result.get("details") or {}).get("mismatched")):
        words.append(f"Difference: {_short(mismatched)}")
    if examples := _examples(result):
        words.append(f"For example: {', '.join(examples)}")
    return words


def _reasons(found: Mapping[str, Any]) -> list[str]:
    info = found.get("exception_info") or {}
    parts = [part for part in [info, *info.values()] if isinstance(part, Mapping)]
    texts = [str(part["exception_message"]).strip() for part in parts if part.get("exception_message")]
    # Some messages are a whole traceback, which ends in the reason.
    return list(dict.fromkeys(_cut(text.splitlines()[-1], 300) for text in texts if text))[:2]


def _examples(result: Mapping[str, Any]) -> list[str]:
    """Some of the values that break a check; how often is not known, Great Expectations counts among the first 20."""
    values = result.get("partial_unexpected_list") or []
    return list(dict.fromkeys(_short(value) for value in values if value is not None))[:_EXAMPLES]


def _short(value: Any) -> str:
    if isinstance(value, str):
        return _cut(value, 160)
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list) and not any(isinstance(item, list | Mapping) for item in value):
        return _cut(", ".join(_short(item) for item in value), 160)
    return _cut(json.dumps(value, ensure_ascii=False), 160)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
