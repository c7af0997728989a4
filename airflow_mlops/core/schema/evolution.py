"""What a new proposal would change in a suite, in words, and the suite that it would become.

A suite only ever opens: a check changes where the new data break it, and then to hold both. What stands there by hand
stays, whatever is proposed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from airflow_mlops.core.schema.proposal import BETWEEN, EXISTS, IN_SET, NOT_NULL, is_proposed
from airflow_mlops.core.schema.ranges import TAIL
from airflow_mlops.core.validation import Expectation, Suite

Kind = Literal["opened", "added", "dropped", "remark"]
#: So many new categories are named.
_NAMED: Final = 10


@dataclass(frozen=True)
class Change:
    """One line of a difference; a remark changes nothing."""

    column: str
    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.column}: {self.text}" if self.column else self.text


@dataclass(frozen=True)
class Evolution:
    """The difference between a suite and a proposal, and the suite that takes it over.

    :param suite: the old one with the changes; nothing is applied by making it
    """

    changes: tuple[Change, ...]
    suite: Suite

    @property
    def empty(self) -> bool:
        """Whether the suite stays as it is."""
        return all(change.kind == "remark" for change in self.changes)

    @property
    def text(self) -> str:
        """For a person, a line per change."""
        return "\n".join(map(str, self.changes)) or "Nothing differs."

    def to_json(self) -> dict[str, Any]:
        return {"empty": self.empty, "changes": [asdict(change) for change in self.changes], "text": self.text}


def evolve(old: Suite, new: Suite) -> Evolution:
    """What of a suite new data break, and what they bring that it does not know.

    >>> def suite(*values):
    ...     check = {"type": IN_SET, "kwargs": {"column": "carrier", "value_set": [*values]}}
    ...     return Suite.parse({"name": "flights", "expectations": [check]})
    >>> evolution = evolve(suite("AA", "UA"), suite("AA", "QX", "ZZ"))
    >>> print(evolution.text)
    carrier: 2 new categories QX, ZZ
    carrier: not seen any more: UA
    >>> evolution.suite.expectations[0].kwargs["value_set"]
    ['AA', 'UA', 'QX', 'ZZ']
    """
    proposed = {_identity(check): check for check in new.expectations}
    known = {_identity(check) for check in old.expectations}
    columns = _columns(new)
    changes: list[Change] = []
    checks: list[Expectation] = []
    for check in old.expectations:
        kept, told = _followed(check, proposed.get(_identity(check)), columns)
        changes += told
        checks += kept
    before = _columns(old)
    for identity, check in proposed.items():
        # That a column is there says every other check too.
        if identity not in known and not (check.type == EXISTS and set(check.columns) <= before):
            checks.append(check)
            changes.append(Change(_label(check), "added", _described(check, before)))
    opened = any(change.kind != "remark" for change in changes)
    suite = replace(old, expectations=tuple(checks), version=new.version if opened else old.version)
    return Evolution(tuple(changes), suite)


def _followed(
    check: Expectation, new: Expectation | None, columns: frozenset[str]
) -> tuple[list[Expectation], list[Change]]:
    """What becomes of a check of the old suite."""
    if new is not None:
        if check.kwargs.get("row_condition"):
            return [check], []  # about some rows only: the proposal is about all
        if check.type in _OPENED:
            opened, told = _OPENED[check.type](check, new)
            return [opened], [Change(_label(check), kind, text) for kind, text in told]
        return [check], []
    gone = [name for name in check.columns if name not in columns]
    if not gone and (not is_proposed(check) or check.type not in (IN_SET, BETWEEN, NOT_NULL)):
        return [check], []
    why = f"{', '.join(gone)} is gone" if gone else "it is like this no longer"
    if is_proposed(check):
        return [], [Change(_label(check), "dropped", f"{why}: {check.type} is dropped")]
    return [check], [Change(_label(check), "remark", f"{why}, but {check.type} was written by hand and stays")]


def _nulls(old: Expectation, new: Expectation) -> tuple[Expectation, list[tuple[Kind, str]]]:
    allowed, seen = 1 - _mostly(old), _seen(new).get("nulls", 1 - _mostly(new))
    if seen <= allowed + 1e-9:
        return old, []
    before = _seen(old).get("nulls")
    was = f"at most {_percent(allowed)}" if before is None else _percent(before)
    opened = _opened(old, new, {"mostly": _mostly(new)})
    return opened, [("opened", f"nulls {was} -> {_percent(seen)}, now allowed up to {_percent(1 - _mostly(new))}")]


def _set(old: Expectation, new: Expectation) -> tuple[Expectation, list[tuple[Kind, str]]]:
    ours, theirs = list(old.kwargs["value_set"]), list(new.kwargs["value_set"])
    added = [value for value in theirs if value not in ours]
    gone = [value for value in ours if value not in theirs]
    told: list[tuple[Kind, str]] = []
    if added:
        count = "1 new category" if len(added) == 1 else f"{len(added)} new categories"
        told.append(("opened", f"{count} {_listed(added)}"))
        mostly = {"mostly": min(_mostly(old), _mostly(new))} if min(_mostly(old), _mostly(new)) < 1 else {}
        old = _opened(old, new, {"value_set": ours + added, **mostly})
    if gone:
        told.append(("remark", f"not seen any more: {_listed(gone)}"))
    return old, told


def _between(old: Expectation, new: Expectation) -> tuple[Expectation, list[tuple[Kind, str]]]:
    low, high = old.kwargs.get("min_value"), old.kwargs.get("max_value")
    seen = _seen(new)
    ends = ("low", "high") if _mostly(old) < 1 else ("min", "max")
    least, most = seen.get(ends[0], new.kwargs["min_value"]), seen.get(ends[1], new.kwargs["max_value"])
    told: list[tuple[Kind, str]] = []
    bounds: dict[str, Any] = {}
    most_of_it = f"{_percent(1 - TAIL)} " if ends == ("low", "high") and "low" in seen else ""
    if low is not None and least < low:
        bounds["min_value"] = new.kwargs["min_value"]
        told.append(
            ("opened", f"{most_of_it}down to {_number(least)}, now allowed from {_number(bounds['min_value'])}")
        )
    if high is not None and most > high:
        bounds["max_value"] = new.kwargs["max_value"]
        told.append(("opened", f"{most_of_it}up to {_number(most)}, now allowed up to {_number(bounds['max_value'])}"))
    if not told:
        return old, []
    mostly = min(_mostly(old), _mostly(new))
    return _opened(old, new, {**bounds, **({"mostly": mostly} if mostly < 1 else {})}), told


#: How each kind of check opens.
_OPENED: Final = {NOT_NULL: _nulls, IN_SET: _set, BETWEEN: _between}


def _opened(old: Expectation, new: Expectation, terms: Mapping[str, Any]) -> Expectation:
    """The old check with other terms; what was seen is what was seen last."""
    meta = {**old.meta, "seen": new.meta["seen"]} if "seen" in new.meta else old.meta
    return replace(old, kwargs={**old.kwargs, **terms}, meta=meta)


def _described(check: Expectation, before: frozenset[str]) -> str:
    new = "" if set(check.columns) <= before else "new column, "
    if check.type == NOT_NULL:
        return f"{new}nulls {_percent(_seen(check).get('nulls', 0.0))}, allowed up to {_percent(1 - _mostly(check))}"
    if check.type == IN_SET:
        return f"{new}categories {_listed(check.kwargs['value_set'])}"
    if check.type == BETWEEN:
        most = "" if _mostly(check) == 1 else f" for {_percent(_mostly(check))} of the values"
        low, high = (_number(check.kwargs[key]) for key in ("min_value", "max_value"))
        return f"{new}between {low} and {high}{most}"
    return f"{new}{check.type}"


def _identity(check: Expectation) -> tuple[str, tuple[str, ...]]:
    return check.type, check.columns


def _columns(suite: Suite) -> frozenset[str]:
    return frozenset(name for check in suite.expectations for name in check.columns)


def _label(check: Expectation) -> str:
    return ", ".join(check.columns)


def _seen(check: Expectation) -> Mapping[str, Any]:
    return check.meta.get("seen") or {}


def _mostly(check: Expectation) -> float:
    value = check.kwargs.get("mostly")
    return 1.0 if value is None else float(value)


def _listed(values: list[Any]) -> str:
    more = f" and {len(values) - _NAMED} more" if len(values) > _NAMED else ""
    return ", ".join(map(str, values[:_NAMED])) + more


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}" if isinstance(value, float) else str(value)


def told_by_schema(differences: Iterator[tuple[str, str]]) -> tuple[Change, ...]:
    """The differences of two schemas as changes."""
    return tuple(Change(name, "remark", text) for name, text in differences)
