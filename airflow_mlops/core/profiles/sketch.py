"""How many different values there are, of which no list could be kept: the smallest hashes, with their counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nsmallest
from typing import Final

#: Hashes that are kept; the number of distinct values is then right to about 1/sqrt(SIZE).
SIZE: Final = 256


@dataclass(frozen=True)
class Sketch:
    """The smallest 64-bit hashes among all values, and how often each was seen.

    A value that is among the smallest of the whole is among those of every part that has it, so its count is exact and
    no order of merging changes anything: a uniform sample of the distinct values.

    >>> a, b = Sketch.of({7: 1, 9: 2}), Sketch.of({7: 1})
    >>> a.merge(b).entries, a.merge(b).distinct, a.merge(b).singletons
    (((7, 2), (9, 2)), 2, 0)
    """

    entries: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, counts: Mapping[int, int]) -> Sketch:
        """From the counts of hashes."""
        return cls(tuple((found, counts[found]) for found in nsmallest(SIZE, counts)))

    def merge(self, other: Sketch) -> Sketch:
        if not (self.entries and other.entries):
            return self if self.entries else other
        counts = dict(self.entries)
        for found, count in other.entries:
            counts[found] = counts.get(found, 0) + count
        return Sketch.of(counts)

    @property
    def distinct(self) -> int:
        """How many different values; estimated once there are more than are kept."""
        kept = len(self.entries)
        if kept < SIZE:
            return kept
        return round((SIZE - 1) * 2.0**64 / (self.entries[-1][0] + 1))

    @property
    def singletons(self) -> int:
        """How many of them were seen exactly once."""
        once = sum(count == 1 for _, count in self.entries)
        kept = len(self.entries)
        return once if kept < SIZE else round(once / kept * self.distinct)

    def to_json(self) -> list[list[int]]:
        return [list(entry) for entry in self.entries]

    @classmethod
    def from_json(cls, data: Iterable[Iterable[int]]) -> Sketch:
        return cls(tuple((found, count) for found, count in data))


NOTHING: Final = Sketch()
