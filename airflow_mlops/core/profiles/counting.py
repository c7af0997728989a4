"""Count one column: numbers in bins, categories by their keys, and the rest by rows and nulls."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.profiles.arrays import Numbers
from airflow_mlops.core.profiles.binning import BLOCK, FloatBins, IntegerBins, Workspace
from airflow_mlops.core.profiles.plan import ColumnPlan
from airflow_mlops.core.profiles.profile import ColumnProfile
from airflow_mlops.core.profiles.sums import Sums

if TYPE_CHECKING:
    import numpy as np


class Counter:
    """Rows and nulls, which are all that is counted of columns that are withheld or opaque."""

    def __init__(self, plan: ColumnPlan) -> None:
        self.plan = plan
        self.rows = self.nulls = 0

    def add_rows(self, rows: int, nulls: int) -> None:
        self.rows += rows
        self.nulls += nulls

    def profile(self) -> ColumnProfile:
        return replace(ColumnProfile.empty(self.plan), rows=self.rows, nulls=self.nulls)


class NumericCounter(Counter):
    """Bins, sums and the ends of a column of numbers."""

    def __init__(self, plan: ColumnPlan, space: Workspace) -> None:
        import numpy as np

        super().__init__(plan)
        self.space = space
        self._counts = np.zeros(plan.bins, "i8")
        self.sums = Sums(plan.center, plan.scale)
        self.nans = self.below = self.above = 0
        self.least: float | None = None
        self.most: float | None = None
        self._bins: dict[int, Any] = {}

    def add(self, numbers: Numbers) -> None:
        """Take in the values of a batch that are there."""
        for value in numbers.wide:
            self._add_wide(Fraction(value, numbers.divisor))
        for block in blocks(numbers.values):
            if block.dtype.kind == "f":
                self._add_floats(block)
            else:
                self._add_integers(block, numbers.divisor)

    def _add_floats(self, block: np.ndarray) -> None:
        import numpy as np

        least, most = float(np.minimum.reduce(block)), float(np.maximum.reduce(block))
        if not math.isfinite(least) or not math.isfinite(most):
            block = self._without_specials(block)
            if not len(block):
                return
            least, most = float(np.minimum.reduce(block)), float(np.maximum.reduce(block))
        self._ends(least, most)
        bits = self.sums.add(block, least, most, self.space)
        if 0 not in self._bins:
            self._bins[0] = FloatBins(self.plan.edges, self.plan.center, self.plan.scale)
        bins: FloatBins = self._bins[0]
        bins.add(block, np.subtract(bits, bins.zero, out=bits), self.space)

    def _without_specials(self, block: np.ndarray) -> np.ndarray:
        import numpy as np

        nans = np.isnan(block)
        self.nans += int(np.count_nonzero(nans))
        below, above = (int(np.count_nonzero(block == end)) for end in (-math.inf, math.inf))
        self.below += below
        self.above += above
        self._counts[0] += below
        self._counts[-1] += above
        finite: np.ndarray = block[np.isfinite(block)]
        return finite

    def _add_integers(self, block: np.ndarray, divisor: int) -> None:
        import numpy as np

        least, most = int(np.minimum.reduce(block)), int(np.maximum.reduce(block))
        self._ends(*(end if divisor == 1 else float(Fraction(end, divisor)) for end in (least, most)))
        floats = block.astype("f8")
        if divisor > 1:
            floats /= float(divisor)
        self.sums.add(floats, least / divisor, most / divisor, self.space)
        if divisor not in self._bins:
            self._bins[divisor] = IntegerBins(self.plan.edges, divisor)
        self._bins[divisor].add_known(block, least, most, self.space)

    def _add_wide(self, value: Fraction) -> None:
        """One number that no 64 bits hold."""
        import numpy as np

        near = float(value)
        self._ends(near if value.denominator > 1 else int(value), near if value.denominator > 1 else int(value))
        self.sums.add(np.array([near]), near, near, self.space)
        self._counts[self.plan.bin_of(value)] += 1

    def _ends(self, least: float, most: float) -> None:
        self.least = least if self.least is None else min(self.least, least)
        self.most = most if self.most is None else max(self.most, most)

    def profile(self) -> ColumnProfile:
        return replace(
            super().profile(),
            nans=self.nans,
            negative_infinities=self.below,
            positive_infinities=self.above,
            minimum=_canonical(self.least),
            maximum=_canonical(self.most),
            counts=tuple(sum((bins.counts() for bins in self._bins.values()), self._counts).tolist()),
            total=self.sums.total,
            coarse=self.sums.coarse,
            squares=self.sums.squares,
            clipped=self.sums.clipped,
        )


def blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    """Pieces that fit into the cache."""
    for begin in range(0, len(values), BLOCK):
        yield values[begin : begin + BLOCK]


def _canonical(value: float | None) -> int | float | None:
    """One spelling for equal numbers: a whole one as an integer, whatever the type of its column."""
    if value is None or isinstance(value, int):
        return value
    return int(value) if value.is_integer() and abs(value) <= 2.0**64 else value
