"""How the gate puts numbers into sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlops.core.evaluation import higher_is_better, label

if TYPE_CHECKING:
    from airflow_mlops.core.evaluation import Comparison, Evaluation


def told(comparison: Comparison, other: str, evaluation: Evaluation) -> str:
    """A comparison as one sentence."""
    # Positive is better: where lower values are, the two values' own difference has the other sign.
    what = "difference" if higher_is_better(comparison.metric) else "gain"
    note = f" ({comparison.note})" if comparison.note else ""
    return (
        f"{label(comparison.metric)} {show(comparison.candidate)} against {show(comparison.other)} of {other} on the "
        f"same {sample(evaluation)}; the {what} {show(comparison.difference, '+')} lies in "
        f"[{show(comparison.lower, '+')}, {show(comparison.upper, '+')}], and the smallest this test could "
        f"have seen is {show(comparison.minimum_detectable)}{note}."
    )


def champion_name(evaluation: Evaluation) -> str:
    version = evaluation.champion_version
    if version is None:
        return "the champion"
    return f"version {version}" if version.isdigit() else f"the champion {version}"


def sample(evaluation: Evaluation) -> str:
    """The test in words: ``24,810 rows (28 days)``."""
    rows = f"{evaluation.rows:,} rows"
    if evaluation.clusters is None:
        return rows
    return f"{rows} ({evaluation.clusters:,} {evaluation.cluster_name or 'clusters'})"


def show(value: float, sign: str = "") -> str:
    """Three decimals, and for what would vanish there two digits.

    >>> show(0.71249), show(-0.0049, "+"), show(0.00012), show(0.0)
    ('0.712', '-0.005', '0.00012', '0.000')
    """
    if value and abs(value) < 0.001:
        return f"{value:{sign}.2g}"
    return f"{value + 0.0:{sign},.3f}"
