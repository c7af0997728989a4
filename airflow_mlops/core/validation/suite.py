"""Expectation suites, read strictly: Great Expectations drops what it does not know, and then passes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Any

from airflow_mlops.core.snapshots import digest
from airflow_mlops.exceptions import SuiteError

#: What Great Expectations writes into its own files beside the checks; `suite_parameters` are given at run time here.
_SUITE_KEYS = {"name", "version", "expectations", "id", "meta", "notes"}
_EXPECTATION_KEYS = {"type", "kwargs", "severity", "meta", "description", "id", "notes", "rendered_content"}
#: These say how to run or to describe a check: a suite that sets them could hide a crash or print every row.
_NOT_KWARGS = _EXPECTATION_KEYS - {"type", "kwargs"} | {
    "result_format",
    "catch_exceptions",
    "condition_parser",
    "windows",
}
_OLD_KEYS = {"expectation_suite_name", "expectation_type", "data_asset_type", "ge_cloud_id", "evaluation_parameters"}


class Severity(StrEnum):
    """What a failure means: critical blocks the run, quarantine splits the rows off, warning is told, info noted."""

    CRITICAL = "critical"
    QUARANTINE = "quarantine"
    WARNING = "warning"
    INFO = "info"

    @classmethod
    def parse(cls, word: object) -> Severity:
        """Read a severity; ``block`` and ``warn`` are other words for the first two.

        >>> Severity.parse("block")
        <Severity.CRITICAL: 'critical'>
        """
        try:
            return cls({"block": "critical", "warn": "warning"}.get(str(word), str(word)))
        except ValueError as error:
            words = "critical (block), quarantine, warning (warn) or info"
            raise SuiteError(f"Severity {word!r} is unknown: use {words}.") from error


@dataclass(frozen=True)
class Expectation:
    """One check of a suite."""

    type: str
    kwargs: Mapping[str, Any]
    severity: Severity = Severity.CRITICAL
    meta: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""

    @classmethod
    def parse(cls, data: object) -> Expectation:
        """Read one entry of a suite."""
        if not isinstance(data, Mapping):
            raise SuiteError(f"an expectation is a mapping with type and kwargs, not {data!r}.")
        _check_keys(data, _EXPECTATION_KEYS)
        kind, kwargs = data.get("type"), data.get("kwargs") or {}
        if not isinstance(kind, str) or not kind:
            raise SuiteError("it has no type: name one, such as expect_column_values_to_not_be_null.")
        if not isinstance(kwargs, Mapping):
            raise SuiteError(f"the kwargs of {kind} must be a mapping, not {kwargs!r}.")
        return cls(
            type=kind,
            kwargs=_checked_kwargs(kind, plain(kwargs)),
            severity=Severity.parse(data.get("severity") or Severity.CRITICAL),
            meta=plain(data.get("meta") or {}),
            description=str(data.get("description") or ""),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the check is about."""
        named = [self.kwargs.get(key) for key in ("column", "column_A", "column_B")]
        named += self.kwargs.get("column_list") or []
        return tuple(dict.fromkeys(name for name in named if isinstance(name, str)))

    @property
    def condition_columns(self) -> tuple[str, ...]:
        """The columns by which its rows are chosen."""
        return tuple(dict.fromkeys(c["column"].get("name") for c in _conditions(self.kwargs.get("row_condition"))))

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"{self.type} on {', '.join(self.columns)}" if self.columns else self.type


@dataclass(frozen=True)
class Suite:
    """A named, versioned list of expectations.

    >>> check = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "origin"}, "severity": "warn"}
    >>> Suite.parse({"name": "flights", "version": 3, "expectations": [check]}).expectations[0].severity
    <Severity.WARNING: 'warning'>
    >>> Suite.parse({"name": "flights", "expectations": []})
    Traceback (most recent call last):
    ...
    airflow_mlops.exceptions.SuiteError: Suite flights is empty and would pass any data: add expectations.
    """

    name: str
    version: str
    expectations: tuple[Expectation, ...]

    @classmethod
    def parse(cls, data: object) -> Suite:
        """Read a suite in the form that Great Expectations 1.x writes, refusing everything that it would ignore."""
        if not isinstance(data, Mapping):
            raise SuiteError(f"A suite is a mapping with name and expectations, not {type(data).__name__}.")
        name, version, items = data.get("name"), data.get("version", "unknown"), data.get("expectations")
        known = f"Suite {name}" if isinstance(name, str) and name else "The suite"
        try:
            _check_keys(data, _SUITE_KEYS)
        except SuiteError as error:
            raise SuiteError(f"{known}: {error}") from error
        if known == "The suite":
            raise SuiteError("The suite has no name: add one.")
        if not isinstance(version, str | int) or isinstance(version, bool):
            raise SuiteError(f"{known} has version {version!r}: write it as text in quotes, or as a whole number.")
        if not isinstance(items, Sequence) or isinstance(items, str) or not items:
            raise SuiteError(f"{known} is empty and would pass any data: add expectations.")
        return cls(str(name), str(version), tuple(_numbered(known, items)))

    def bind(self, parameters: Mapping[str, Any] | None = None) -> Suite:
        """The same with every ``{"$PARAMETER": name}`` replaced by its value.

        Great Expectations would evaluate an expression there, ``now()`` too, which means another instant in a backfill.

        >>> check = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": {"$PARAMETER": "least"}}}
        >>> Suite.parse({"name": "flights", "expectations": [check]}).bind({"least": 100}).expectations[0].kwargs
        {'min_value': 100}
        """
        values = plain(parameters or {})
        try:
            bound = [replace(e, kwargs=_checked_kwargs(e.type, _bound(e.kwargs, values))) for e in self.expectations]
        except SuiteError as error:
            raise SuiteError(f"Suite {self.name}: {error}") from error
        return replace(self, expectations=tuple(bound))

    @property
    def digest(self) -> str:
        """Content hash: one changed bound changes it."""
        return digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        checks = [{**asdict(check), "severity": check.severity.value} for check in self.expectations]
        return {"name": self.name, "version": self.version, "expectations": checks}


def mentions(value: object, names: frozenset[str]) -> frozenset[str]:
    """Which of ``names`` stand anywhere in a value: too many rather than too few.

    >>> sorted(mentions({"column": "a", "of": [{"name": "b"}]}, frozenset("abc")))
    ['a', 'b']
    """
    if isinstance(value, str):
        return names & {value}
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, Sequence | set | frozenset):
        return frozenset().union(*(mentions(item, names) for item in value))
    return frozenset()


def plain(value: Any) -> Any:
    """JSON's types only: YAML reads dates by itself, and numbers that are none.

    >>> plain({"min_value": date(2013, 1, 1)})
    {'min_value': '2013-01-01'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise SuiteError(f"{value!r} cannot be written as JSON: use text, finite numbers, lists and mappings.")


def _check_keys(data: Mapping[Any, Any], allowed: set[str]) -> None:
    unknown = {str(key) for key in data} - allowed
    if unknown & _OLD_KEYS:
        raise SuiteError(
            f"{', '.join(sorted(unknown & _OLD_KEYS))} belongs to Great Expectations 0.18: rename "
            "expectation_suite_name to name and expectation_type to type, and drop data_asset_type and ge_cloud_id."
        )
    if unknown:
        raise SuiteError(
            f"{', '.join(sorted(unknown))} is not a known key: remove it, or use one of {', '.join(sorted(allowed))}."
        )


def _numbered(suite: str, items: Sequence[object]) -> Iterator[Expectation]:
    for number, item in enumerate(items, 1):
        try:
            yield Expectation.parse(item)
        except SuiteError as error:
            raise SuiteError(f"{suite}, expectation {number}: {error}") from error


def _checked_kwargs(kind: str, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    misplaced = sorted(_NOT_KWARGS & set(kwargs))
    if misplaced:
        raise SuiteError(f"{kind}: {', '.join(misplaced)} cannot stand among the kwargs: take it out.")
    empty = [key for key, value in kwargs.items() if value in ("", [], {})]
    if empty:
        raise SuiteError(f"{kind}: {', '.join(empty)} is empty: say what is expected.")
    condition = kwargs.get("row_condition")
    if isinstance(condition, str) or "pass_through" in mentions(condition, frozenset({"pass_through"})):
        raise SuiteError(
            f"{kind}: row_condition is text, which would run as code: write it as "
            '{"type": "comparison", "column": {"name": "origin"}, "operator": "==", "parameter": "JFK"}.'
        )
    return kwargs


def _bound(value: Any, parameters: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_bound(item, parameters) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "$PARAMETER" not in value:
        return {key: _bound(item, parameters) for key, item in value.items()}
    name = value["$PARAMETER"]
    if len(value) > 1 or name not in parameters:
        given = ", ".join(sorted(parameters)) or "none"
        raise SuiteError(f"parameter {name!r} has no value (given: {given}): pass it in parameters, by its bare name.")
    return parameters[name]


def _conditions(condition: Any) -> Iterator[Mapping[str, Any]]:
    """The single comparisons of a row condition in object form."""
    if isinstance(condition, Mapping):
        if isinstance(condition.get("column"), Mapping):
            yield condition
        for part in condition.get("conditions") or []:
            yield from _conditions(part)
