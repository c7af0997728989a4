"""Columns and their types, which Great Expectations tells differently on every engine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow_mlops.core.validation.report import ExpectationOutcome, Status
from airflow_mlops.core.validation.suite import Severity
from airflow_mlops.exceptions import SuiteError

_FORMAT: Final = "airflow-mlops schema 1"
_DICTIONARY: Final = re.compile(r"dictionary<values=(.+?), indices=.*>")


@dataclass(frozen=True)
class Schema:
    """The types of a table, by column, as Arrow names them.

    >>> schema = Schema({"id": "int64", "carrier": "string"})
    >>> [o.message for o in schema.check([{"name": "id", "type": "double"}, {"name": "carrier", "type": "string"}])]
    ['it is double, int64 is expected']
    """

    types: Mapping[str, str]
    keys: tuple[str, ...] = ()

    @classmethod
    def of(cls, columns: Iterable[Mapping[str, Any]], keys: Iterable[str] = ()) -> Schema:
        """The schema of a manifest."""
        return cls({column["name"]: _meaning(column["type"]) for column in columns}, tuple(keys))

    def check(self, columns: Iterable[Mapping[str, Any]]) -> tuple[ExpectationOutcome, ...]:
        """What a table's columns break: one missing or of another type blocks, one too many is a warning."""
        found = Schema.of(columns)
        broken = tuple(self._broken(found))
        return broken or (_outcome(None, f"{len(self.types)} columns of their types", "passed"),)

    def _broken(self, found: Schema) -> Iterator[ExpectationOutcome]:
        for name, type_ in self.types.items():
            if name not in found.types:
                yield _outcome(name, f"it is missing; the table has {', '.join(list(found.types)[:20])}", "failed")
            elif found.types[name] != type_:
                yield _outcome(name, f"it is {found.types[name]}, {type_} is expected", "failed")
        for name in found.types:
            if name not in self.types:
                yield _outcome(name, "nobody expects this column", "failed", Severity.WARNING)

    def differences(self, new: Schema) -> Iterator[tuple[str, str]]:
        """Column and words for each that is new, gone or of another type."""
        for name, type_ in new.types.items():
            if name not in self.types:
                yield name, f"new column ({type_})"
            elif self.types[name] != type_:
                yield name, f"{self.types[name]} -> {type_}"
        yield from ((name, "the column is gone") for name in self.types if name not in new.types)

    def to_json(self) -> dict[str, Any]:
        return {"format": _FORMAT, "types": dict(self.types), "keys": list(self.keys)}

    @classmethod
    def from_json(cls, data: Any) -> Schema:
        if not isinstance(data, Mapping) or data.get("format") != _FORMAT or not isinstance(data.get("types"), Mapping):
            raise SuiteError(f"This is not a schema of this version ({_FORMAT}): infer it again.")
        return cls({str(name): str(type_) for name, type_ in data["types"].items()}, tuple(data.get("keys") or ()))


def _meaning(type_: str) -> str:
    """A type without how Arrow keeps it: a dictionary of text is text.

    >>> _meaning("dictionary<values=large_string, indices=int32, ordered=0>")
    'string'
    """
    inner = _DICTIONARY.fullmatch(type_)
    return re.sub(r"\b(?:large_)?(string|binary|utf8)(?:_view)?\b", r"\1", inner[1] if inner else type_)


def _outcome(
    column: str | None, message: str, status: Status, severity: Severity = Severity.CRITICAL
) -> ExpectationOutcome:
    return ExpectationOutcome(
        type="schema",
        column=column,
        severity=severity,
        status=status,
        unexpected_count=None,
        unexpected_percent=None,
        element_count=None,
        message=message,
    )
