"""Which rows are split off: those that break a check of severity quarantine, as long as they are few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from airflow_mlops.core.validation.report import ExpectationOutcome
from airflow_mlops.core.validation.routes import ROUTES
from airflow_mlops.core.validation.suite import Severity, Suite
from airflow_mlops.exceptions import ConfigurationError, SuiteError

#: The column of a quarantine that says why a row is there.
REASONS = "quarantine_reasons"
#: The largest share of the rows that may be split off, unless told otherwise.
SHARE = 0.05
#: Longest name of a snapshot.
_LONGEST = 128


def check_splits(suite: Suite) -> None:
    """Refuse a quarantine by a check that does not say which rows break it.

    >>> mean = {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "temp"}, "severity": "quarantine"}
    >>> check_splits(Suite.parse({"name": "flights", "expectations": [mean]}))
    Traceback (most recent call last):
    ...
    airflow_mlops.exceptions.SuiteError: Suite flights: expect_column_mean_to_be_between on temp cannot quarantine: ...
    """
    for check in suite.expectations:
        if check.severity is not Severity.QUARANTINE:
            continue
        if check.type not in ROUTES or not ROUTES[check.type].splits:
            raise SuiteError(
                f"Suite {suite.name}: {check.label} cannot quarantine: it does not say which rows break it. "
                "Make it critical, warning or info."
            )
        if check.kwargs.get("mostly", 1) != 1:
            raise SuiteError(
                f"Suite {suite.name}: {check.label} cannot quarantine and have mostly: every row that breaks it is "
                "split off. Take mostly out, and say with max_quarantined how many rows may go."
            )


def check_share(share: float) -> float:
    """The largest share of rows that may be split off."""
    if not 0 <= share <= 1:
        raise ConfigurationError(f"max_quarantined {share!r} is not a share: use a number from 0 to 1.")
    return share


def quarantine_name(name: str) -> str:
    """How the snapshot of the split rows is called.

    >>> quarantine_name("flights")
    'flights.quarantine'
    """
    suffix = ".quarantine"
    return name[: _LONGEST - len(suffix)] + suffix


def told_split(outcomes: Sequence[ExpectationOutcome], share: float, *, split: bool) -> tuple[ExpectationOutcome, ...]:
    """The outcomes with what became of the rows."""
    words = "quarantined" if split else f"more than max_quarantined, {share:.3g} of the rows, so none was split off"
    return tuple(
        replace(outcome, message=f"{outcome.message}: {words}")
        if outcome.severity is Severity.QUARANTINE and outcome.status == "failed"
        else outcome
        for outcome in outcomes
    )
