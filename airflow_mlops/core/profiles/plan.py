"""What is counted: per column its kind and the edges or keys that the reference froze."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, Literal

from airflow_mlops.core.snapshots import digest
from airflow_mlops.exceptions import ProfileError

Kind = Literal["numeric", "categorical", "withheld", "opaque"]
Key = str | int | bool

#: Numeric columns that are made of another column: the rows are its rows, the values another view of its values.
DERIVED: Final = ("hour", "weekday", "age", "length")

#: A change of how values are read, binned, summed or hashed must change it: counts of two kernels do not mix.
KERNEL: Final = 1
_FORMAT: Final = "airflow-mlops profile plan 1"


@dataclass(frozen=True)
class ColumnPlan:
    """How one column is counted.

    A number ``x`` falls into bin ``i`` if ``edges[i-1] < x <= edges[i]``, compared as real numbers whatever the types;
    the first and the last bin are open, so there is a bin more than edges.

    :param type: what the values mean, see :func:`~airflow_mlops.core.profiles.values.logical_type`
    :param kind: ``numeric`` (bins), ``categorical`` (keys), ``withheld`` (declared sensitive: rows and nulls alone) or
        ``opaque`` (a type without order or categories, such as a list: rows and nulls alone)
    :param atoms: per bin, whether a single value lies in it
    :param center: near the middle of the reference; sums are taken from here
    :param scale: a power of two near the reference's interquartile range: the unit of the sums
    :param keys: the categories that are counted each on its own
    :param buckets: how many hash buckets share the values outside ``keys``; 0 where such are not expected
    :param source: the column that a derived one is made of
    :param derived: how: ``hour``, ``weekday`` (0 is Monday), ``age`` (seconds before the as-of) or ``length``
    """

    name: str
    type: str
    kind: Kind
    edges: tuple[int | float, ...] = ()
    atoms: tuple[bool, ...] = ()
    center: int | float = 0
    scale: float = 1.0
    keys: tuple[Key, ...] = ()
    buckets: int = 0
    source: str | None = None
    derived: str | None = None

    def __post_init__(self) -> None:
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ProfileError(f"Column {self.name}: the edges of its plan do not rise.")
        if len(set(self.keys)) < len(self.keys):
            raise ProfileError(f"Column {self.name}: its plan names a key twice.")
        if self.kind == "numeric" and (not self.edges or len(self.atoms) != len(self.edges) + 1):
            raise ProfileError(f"Column {self.name}: its plan needs edges, and atoms for a bin more than these.")

    @property
    def bins(self) -> int:
        """How many counts there are."""
        return len(self.edges) + 1 if self.kind == "numeric" else len(self.keys)

    @property
    def moves_by_nature(self) -> bool:
        """Whether it is a point in time, which moves on with every batch: its hour, weekday and age are what drifts."""
        return self.kind == "numeric" and not self.derived and self.type.startswith(("timestamp", "date"))

    def bin_of(self, value: float | Fraction) -> int:
        """The bin of a number.

        >>> plan = ColumnPlan("age", "int64", "numeric", edges=(17, 65), atoms=(False, False, False))
        >>> [plan.bin_of(age) for age in (17, 18, 65, 66)]
        [0, 1, 1, 2]
        """
        return bisect_left(self.edges, value)

    def to_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"name": self.name, "type": self.type, "kind": self.kind}
        if self.kind == "numeric":
            atoms = [i for i, atom in enumerate(self.atoms) if atom]
            told |= {"edges": list(self.edges), "atoms": atoms, "center": self.center, "scale": self.scale}
        if self.kind == "categorical":
            told |= {"keys": list(self.keys), "buckets": self.buckets}
        if self.derived:
            told |= {"source": self.source, "derived": self.derived}
        return told

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ColumnPlan:
        edges = tuple(data.get("edges", ()))
        atoms = set(data.get("atoms", ()))
        lists = {
            "edges": edges,
            "keys": tuple(data.get("keys", ())),
            "atoms": tuple(i in atoms for i in range(len(edges) + 1)) if edges else (),
        }
        return cls(**{**data, **lists})


@dataclass(frozen=True)
class Plan:
    """What of each column is counted. Only profiles of one plan can be merged or compared."""

    columns: tuple[ColumnPlan, ...]
    kernel: int = KERNEL

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ProfileError(f"A plan names {', '.join(twice)} twice: rename the column.")

    @cached_property
    def digest(self) -> str:
        return digest(self.to_json())

    @property
    def sources(self) -> list[str]:
        """The columns that data must have, in the plan's order."""
        return [column.name for column in self.columns if not column.derived]

    @property
    def needs_as_of(self) -> bool:
        """Whether ages are counted, which are ages at an as-of."""
        return any(column.derived == "age" for column in self.columns)

    def to_json(self) -> dict[str, Any]:
        return {"format": _FORMAT, "kernel": self.kernel, "columns": [column.to_json() for column in self.columns]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        if data.get("format") != _FORMAT:
            raise ProfileError(f"This is not a plan of this version ({_FORMAT}), but {data.get('format')!r}.")
        try:
            return cls(tuple(ColumnPlan.from_json(column) for column in data["columns"]), data["kernel"])
        except (KeyError, TypeError) as error:
            raise ProfileError(f"This plan of a profile cannot be read: {error}.") from error
