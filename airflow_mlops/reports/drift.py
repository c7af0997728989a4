"""A drift check as one page: the verdict in words, then a row per column with both distributions drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_mlops.core.drift.policy import Severity
from airflow_mlops.reports.distributions import Picture, picture_of
from airflow_mlops.reports.page import number, render

if TYPE_CHECKING:
    from airflow_mlops.core.drift import ColumnDrift, DriftReport
    from airflow_mlops.core.drift.columns import DriftTest
    from airflow_mlops.core.profiles import Profile

_TONES: Final[Mapping[Severity, str]] = {"large": "bad", "medium": "caution", "small": "plain", "none": "good"}
_SAME: Final = "as before"
_UNKNOWN: Final = "cannot tell"
_WORDS: Final[Mapping[Severity, str]] = {"large": "large", "medium": "medium", "small": "small", "none": _SAME}
_TESTS: Final = {
    "shape": "the values",
    "nulls": "the share of nulls",
    "nans": "the share of NaN",
    "infinities": "the share of infinities",
    "unseen": "values that the reference never had",
    "surge": "the one of many values that grew most",
}
_MEASURES: Final = {
    "psi": "PSI without its noise",
    "ks": "Kolmogorov-Smirnov",
    "ks_at_most": "and at most",
    "wasserstein": "Wasserstein, in middle halves",
    "cramers_v": "Cramér's V",
}
#: More pictures than this nobody looks at; the columns after them are told in words.
_DRAWN: Final = 200


@dataclass(frozen=True)
class _Row:
    """A column as the table shows it."""

    tone: str
    word: str
    name: str
    kind: str
    effect: str
    width: float
    sentence: str
    weight: str
    details: Sequence[tuple[str, str]]
    picture: Picture | None


def drift_page(
    report: DriftReport,
    reference: Profile,
    current: Profile,
    *,
    title: str,
    facts: Sequence[tuple[str, str]] = (),
    names: tuple[str, str] = ("reference", "now"),
) -> str:
    """Render a check; the profiles give the pictures, and hold no value of a withheld column.

    :param facts: further lines below the verdict
    :param names: what the legend calls the two sides
    """
    sides = {ours.name: (ours, theirs) for ours, theirs in zip(reference.columns, current.columns, strict=True)}
    rows = [
        _row(column, picture_of(*sides[column.name]) if i < _DRAWN else None) for i, column in enumerate(report.columns)
    ]
    tone, headline, text = _verdict(report)
    return render(
        "drift.html.j2",
        kind="Data drift",
        title=title,
        tone=tone,
        headline=headline,
        text=text,
        facts=[*_facts(report), *facts],
        worst=[column.sentence for column in report.drifted[:3]],
        sections=[
            ("What changed, what matters most first", [row for row in rows if row.word not in (_SAME, _UNKNOWN)]),
            ("Too few values to tell", [row for row in rows if row.word == _UNKNOWN]),
            ("As before", [row for row in rows if row.word == _SAME]),
        ],
        names=names,
        note=_note(report),
    )


def _verdict(report: DriftReport) -> tuple[str, str, str]:
    changed, total = len(report.drifted), len(report.columns)
    if report.verdict == "insufficient":
        return "caution", "Too little to tell.", report.summary
    some = f"{number(changed)} of {number(total)} {'column' if total == 1 else 'columns'}"
    text = _weighed(report)
    if report.verdict == "drift":
        return "bad", f"The data have drifted: {some} changed.", text
    if changed:
        return "good", f"No drift that calls for action; {some} changed, a little.", text
    return "good", f"No drift: {number(total)} columns look like the reference.", text


def _weighed(report: DriftReport) -> str:
    """What the verdict rests on."""
    counts = [(word, sum(c.severity == word for c in report.drifted)) for word in ("large", "medium", "small")]
    parts = [f"{number(count)} {word}" for word, count in counts if count]
    unknown = sum(not column.judged for column in report.columns)
    if unknown:
        parts.append(f"{number(unknown)} with too few values to tell")
    listed = f"Changes: {', '.join(parts)}. " if parts else ""
    if report.score is not None:
        limit = report.policy["min_score"]
        return f"{listed}Weighed by importance they score {report.score:.3f}; {limit:g} calls for action."
    return f"{listed}From {report.policy['alarm']} on a change calls for action."


def _facts(report: DriftReport) -> list[tuple[str, str]]:
    policy = report.policy
    found = [
        ("Rows", f"{number(report.current_rows)} now, {number(report.reference_rows)} in the reference"),
        (
            "Policy",
            f"beyond chance, with at most {policy['alpha']:.3g} false alarms per table, and an effect of "
            f"{policy['small']:g} (small), {policy['medium']:g} (medium) or {policy['large']:g} (large)",
        ),
    ]
    if report.clusters:
        found.append(("Clusters", f"{report.clusters} parts of the reference told how much rows belong together"))
    return found


def _note(report: DriftReport) -> str:
    effect = (
        "The effect is a Jensen-Shannon distance beyond what chance adds: 0 is equal, 1 has nothing in common. "
        "A mean moved by a quarter of a standard deviation gives 0.1. Heights are shares of all rows."
    )
    drawn = f" The first {_DRAWN} columns are drawn." if len(report.columns) > _DRAWN else ""
    return effect + drawn


def _row(column: ColumnDrift, picture: Picture | None) -> _Row:
    word = _WORDS[column.severity] if column.judged else _UNKNOWN
    tone = _TONES[column.severity] if column.judged else "plain"
    text = column.sentence.removeprefix(f"{column.name}: ")
    return _Row(
        tone=tone,
        word=word,
        name=column.name,
        kind="sensitive" if column.kind == "withheld" else column.kind,
        effect=f"{column.effect:.3f}" if column.severity != "none" else "",
        width=round(min(1.0, column.effect / 0.5) * 100, 1),
        sentence=f"{text[:1].upper()}{text[1:]}",
        weight="" if column.weight is None else f"weight {column.weight * 100:.1f}%",
        details=[*(_test(test) for test in column.tests), *_measures(column)],
        picture=picture,
    )


def _test(test: DriftTest) -> tuple[str, str]:
    chance = "under 1e-16" if test.adjusted < 1e-16 else f"{test.adjusted:.2g}"
    return f"p of {_TESTS[test.what]}, over the table", chance


def _measures(column: ColumnDrift) -> list[tuple[str, str]]:
    return [(_MEASURES[name], f"{found:.3f}") for name, found in column.measures.items()]
