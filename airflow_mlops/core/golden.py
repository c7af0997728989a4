"""Made-up rows whose predictions are kept: wherever the model is loaded later, it must say the same of them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from airflow_mlops.core.profiles import Profile
from airflow_mlops.core.profiles.profile import ColumnProfile
from airflow_mlops.core.signatures import Column, synthetic_example
from airflow_mlops.core.snapshots import digest
from airflow_mlops.exceptions import DigestMismatch

#: Enough to reach most branches of a model, and few enough to be read.
ROWS: Final = 16
#: Every so many rows a value is missing, where one may be.
_MISSING: Final = 5
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Golden:
    """Rows, and what the model said of them when it was trained.

    :param rows: by column, as JSON has the values; an instant is ISO 8601
    :param values: predictions
    :param scores: see :class:`~airflow_mlops.steps.packages.Predictions`
    """

    rows: tuple[Mapping[str, Any], ...]
    values: tuple[Any, ...]
    scores: tuple[float, ...] | None = None

    @property
    def digest(self) -> str:
        return digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "rows": [dict(row) for row in self.rows],
            "values": list(self.values),
            "scores": None if self.scores is None else list(self.scores),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], wanted: str | None = None) -> Golden:
        """Read it back.

        :param wanted: its digest, as the model's tag names it
        :raises DigestMismatch: it is another

        >>> kept = Golden(({"a": 1.0},), (2.0,))
        >>> Golden.from_json(kept.to_json(), kept.digest) == kept
        True
        """
        scores = data["scores"]
        found = cls(tuple(data["rows"]), tuple(data["values"]), None if scores is None else tuple(scores))
        if wanted is not None and found.digest != wanted:
            raise DigestMismatch("The golden predictions are not those that were stored at training: do not use them.")
        return found


def golden_rows(profile: Profile, columns: Sequence[Column], count: int = ROWS) -> list[dict[str, Any]]:
    """Rows out of a baseline's edges and keys, each column drawn by itself, so that no row is anybody's.

    Of a sensitive column, whose values the baseline does not know, there is a made-up one. A value is missing only
    where one was missing in training.
    """
    known = {one.name: one for one in profile.columns if not one.plan.derived}
    drawn = {column.name: _values(column, known.get(column.name), count) for column in columns}
    return [{name: values[row] for name, values in drawn.items()} for row in range(count)]


def _values(column: Column, known: ColumnProfile | None, count: int) -> list[Any]:
    chance = random.Random(column.name)  # noqa: S311  # the same rows for the same baseline
    pool = _pool(column, known) or [synthetic_example([column])[column.name]]
    # Every value once, in any order, before one comes again.
    values = [value for _ in range(-(-count // len(pool))) for value in chance.sample(pool, len(pool))][:count]
    if not column.required:
        values[1::_MISSING] = [None] * len(values[1::_MISSING])
    return values


def _pool(column: Column, known: ColumnProfile | None) -> list[Any]:
    """What the column's values may be, in the type of the signature."""
    if known is None or known.kind not in ("numeric", "categorical"):
        return []
    plan = known.plan
    if column.type == "datetime":
        unit = timedelta(days=1) if plan.type == "date" else timedelta(microseconds=1)
        return [(_EPOCH + int(edge) * unit).isoformat() for edge in plan.edges] if plan.moves_by_nature else []
    found: Sequence[Any] = plan.edges if known.kind == "numeric" else plan.keys
    if column.type == "string":
        return [value for value in found if isinstance(value, str)]
    if column.type == "boolean":
        return [value for value in found if isinstance(value, bool)]
    return [float(value) for value in found if not isinstance(value, str)]
