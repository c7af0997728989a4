"""What a version must show before it may answer anybody: it loads, fits what is sent, and says what it always said."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from airflow_mlops.core.golden import Golden
from airflow_mlops.core.signatures import Column
from airflow_mlops.exceptions import ConfigurationError

Status = Literal["passed", "failed", "skipped"]
#: Types that take all that another takes.
_WIDER: Final = {
    "integer": {"long", "float", "double"}, "long": {"double"}, "float": {"double"}, "boolean": set(),
}  # fmt: skip
#: How far a prediction may be from the one at training.
TOLERANCE: Final = 1e-9


@dataclass(frozen=True)
class SmokeBudget:
    """What a version may take.

    :param latency_ms: for one row, once warm: half of the predictions are faster
    :param memory_mb: that the model adds to a process with the libraries loaded, predictions of 1,000 rows included
    :param seconds: for all of it, from the start of the process
    """

    latency_ms: float = 250.0
    memory_mb: float = 2048.0
    seconds: float = 120.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise ConfigurationError(f"Smoke test: {name} {value!r} is not a positive number.")


@dataclass(frozen=True)
class Check:
    """One question; the reason says what was found."""

    name: str
    status: Status
    reason: str


@dataclass(frozen=True)
class SmokeReport:
    """How a version did.

    :param latency_ms: for one row; None where it never came to that
    :param memory_mb: what the model added
    """

    model: str
    version: int
    digest: str
    checks: tuple[Check, ...]
    latency_ms: float | None = None
    memory_mb: float | None = None

    @property
    def passed(self) -> bool:
        return not any(check.status == "failed" for check in self.checks)

    @property
    def summary(self) -> str:
        """One sentence, for a tag or a log."""
        told = [check.reason for check in self.checks if check.status == "failed"]
        subject = f"ersion {self.version} of model {self.model}"
        return f"Refused: v{subject}: {' '.join(told)}" if told else f"V{subject} passed {len(self.checks)} checks."

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "checks": [asdict(check) for check in self.checks],
            "passed": self.passed,
            "summary": self.summary,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SmokeReport:
        """Read it back.

        >>> kept = SmokeReport("m", 3, "d", (Check("loads", "failed", "It does not load."),))
        >>> SmokeReport.from_json(kept.to_json()) == kept, kept.summary
        (True, 'Refused: version 3 of model m: It does not load.')
        """
        values = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        return cls(**{**values, "checks": tuple(Check(**check) for check in data["checks"])})


def breaks(new: Sequence[Column], old: Sequence[Column], who: str, unseen: Collection[str] = ()) -> Iterator[str]:
    """What requests that ``old`` takes break on ``new``, a sentence per column.

    :param who: whose columns the old ones are
    :param unseen: columns that ``old`` knows nothing of, such as those that a log leaves out

    >>> list(breaks([Column("a", "long")], [Column("a", "double", False)], "the champion"))
    ['a: takes long, the champion double.', 'a: needs a value, the champion does not.']
    """
    ours, theirs = ({column.name: column for column in columns} for columns in (new, old))
    for name in theirs:
        if name not in ours:
            yield f"{name}: is gone, {who} has it."
    for name, column in ours.items():
        known = theirs.get(name)
        if known is None:
            if column.required and name not in unseen:
                yield f"{name}: is new and needs a value, {who} has no such column."
            continue
        if column.type != known.type and column.type not in _WIDER.get(known.type, set()):
            yield f"{name}: takes {column.type}, {who} {known.type}."
        if column.required and not known.required:
            yield f"{name}: needs a value, {who} does not."


def schema_check(name: str, found: Sequence[str], skipped: str | None = None) -> Check:
    """A check of :func:`breaks`."""
    if skipped:
        return Check(name, "skipped", skipped)
    if found:
        return Check(name, "failed", f"Its columns break what is sent: {' '.join(found)}")
    return Check(name, "passed", "All that is sent fits its columns.")


def golden_check(golden: Golden | None, values: Sequence[Any], scores: Sequence[float] | None) -> Check:
    """Whether the predictions are those of training.

    >>> golden_check(Golden(({"a": 1.0},), (2.0,)), [2.0 + 1e-6], None).reason
    'Golden predictions: row 0 is 2.000001, at training it was 2.0.'
    """
    if golden is None:
        return Check("golden", "skipped", "It was trained without golden predictions.")
    for kind, kept, found in (("row", golden.values, values), ("score of row", golden.scores, scores)):
        if (kept is None) != (found is None) or len(kept or ()) != len(found or ()):
            return Check("golden", "failed", "Golden predictions: it answers otherwise than at training.")
        for row, (was, now) in enumerate(zip(kept or (), found or (), strict=True)):
            if not _same(was, now):
                return Check(
                    "golden", "failed", f"Golden predictions: {kind} {row} is {now}, at training it was {was}."
                )
    return Check("golden", "passed", f"It says of {len(golden.rows)} rows what it said at training.")


def budget_checks(budget: SmokeBudget, latency_ms: float, memory_mb: float) -> list[Check]:
    """Whether it keeps within its budget."""
    found = (
        ("latency", f"One row takes {latency_ms:.1f} ms, {budget.latency_ms:g} ms are allowed.", latency_ms),
        ("memory", f"It takes {memory_mb:.0f} MB, {budget.memory_mb:g} MB are allowed.", memory_mb),
    )
    limits = {"latency": budget.latency_ms, "memory": budget.memory_mb}
    return [Check(name, "passed" if value <= limits[name] else "failed", reason) for name, reason, value in found]


def _same(was: Any, now: Any) -> bool:
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (was, now))
    if not numbers:
        return bool(was == now) and type(was) is type(now)
    return bool(abs(was - now) <= TOLERANCE * max(1.0, abs(was)))
