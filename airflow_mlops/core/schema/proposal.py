"""A suite that data like this passes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow_mlops.core.profiles import ColumnProfile, Profile
from airflow_mlops.core.schema.ranges import allowed_share, range_of
from airflow_mlops.core.validation import Expectation, Severity, Suite
from airflow_mlops.exceptions import ConfigurationError

NOT_NULL: Final = "expect_column_values_to_not_be_null"
IN_SET: Final = "expect_column_values_to_be_in_set"
BETWEEN: Final = "expect_column_values_to_be_between"
EXISTS: Final = "expect_column_to_exist"
UNIQUE: Final = "expect_column_values_to_be_unique"
COMPOUND: Final = "expect_compound_columns_to_be_unique"


@dataclass(frozen=True)
class ProposalPolicy:
    """What is proposed.

    :param categories: more distinct values than this are no categories
    :param severity: of checks on values and on shares of nulls; that a column is there, is never null where it never
        was, and that keys are unique, blocks
    """

    categories: int = 50
    severity: str = "warning"

    def __post_init__(self) -> None:
        Severity.parse(self.severity)
        if self.categories < 0:
            raise ConfigurationError("categories must not be below 0.")


def propose(
    profile: Profile,
    *,
    name: str,
    version: str,
    keys: Iterable[str] = (),
    policy: ProposalPolicy | None = None,
) -> Suite:
    """A suite of what a profile shows: nulls, ranges, categories and keys. Of withheld columns it says no value.

    :param keys: columns that tell every row from every other; that they do is the caller's word
    :raises ConfigurationError: there are no rows, or a key is no column
    """
    if not profile.rows:
        raise ConfigurationError(f"Suite {name}: there are no rows to learn from.")
    rule, keys = policy or ProposalPolicy(), tuple(keys)
    columns = [column for column in profile.columns if not column.plan.derived]
    if missing := [key for key in keys if key not in {column.name for column in columns}]:
        raise ConfigurationError(f"Suite {name}: key {', '.join(missing)} is no column.")
    checks = [check for column in columns for check in _of_column(column, rule, key=column.name in keys)]
    if len(keys) == 1:
        checks.append(_check(UNIQUE, {"column": keys[0]}, Severity.CRITICAL, {}))
    elif keys:
        checks.append(_check(COMPOUND, {"column_list": list(keys)}, Severity.CRITICAL, {}))
    return Suite(name, version, tuple(checks))


def is_proposed(check: Expectation) -> bool:
    """Whether a check was proposed and taken over, not written by hand."""
    return bool(check.meta.get("proposed"))


def _of_column(column: ColumnProfile, rule: ProposalPolicy, *, key: bool) -> Iterator[Expectation]:
    severity = Severity.parse(rule.severity)
    # The values of a key are other ones in every sample.
    checks = [*_nulls(column, severity), *(() if key else _values(column, rule, severity))]
    yield from checks or [_check(EXISTS, {"column": column.name}, Severity.CRITICAL, {})]


def _nulls(column: ColumnProfile, severity: Severity) -> Iterator[Expectation]:
    if column.kind == "withheld" and _floating(column):
        return  # a NaN counts as null there, and nobody counted them
    missing = column.nulls + column.nans
    allowed = allowed_share(missing, column.rows)
    if allowed < 1:
        seen = {"nulls": round(missing / column.rows, 6)}
        kwargs = {"column": column.name, **_mostly(allowed)}
        yield _check(NOT_NULL, kwargs, severity if missing else Severity.CRITICAL, seen)


def _values(column: ColumnProfile, rule: ProposalPolicy, severity: Severity) -> Iterator[Expectation]:
    if column.kind == "categorical" and not column.rest:
        seen = [key for key, count in zip(column.plan.keys, column.counts, strict=True) if count]
        both = set(seen) == {True, False} and column.plan.type == "bool"
        if not both and 0 < len(seen) <= rule.categories:
            # As many more may be unseen as were seen once (Good and Turing).
            unseen = allowed_share(column.singletons, column.values)
            if unseen < 0.5:
                kwargs = {"column": column.name, "value_set": seen, **_mostly(unseen)}
                yield _check(IN_SET, kwargs, severity, {"categories": len(seen)})
    if column.kind == "numeric" and _is_number(column) and (found := range_of(column)):
        bounds = {"min_value": found.minimum, "max_value": found.maximum}
        around = {"min": column.minimum, "max": column.maximum, "low": found.low, "high": found.high}
        yield _check(BETWEEN, {"column": column.name, **bounds, **_mostly(found.outside)}, severity, around)


def _is_number(column: ColumnProfile) -> bool:
    """Whether its range stays: times move on."""
    return any(word in column.plan.type for word in ("int", "float", "double", "decimal"))


def _floating(column: ColumnProfile) -> bool:
    return any(word in column.plan.type for word in ("float", "double"))


def _mostly(allowed: float) -> dict[str, float]:
    return {"mostly": round(1 - allowed, 6)} if allowed else {}


def _check(kind: str, kwargs: Mapping[str, Any], severity: Severity, seen: Mapping[str, Any]) -> Expectation:
    return Expectation(kind, dict(kwargs), severity, {"proposed": True, **({"seen": dict(seen)} if seen else {})})
