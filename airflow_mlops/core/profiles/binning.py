"""Which bin each number falls into, by looking it up.

A cell function that never falls as its argument rises is exact whatever it rounds: edges in lower cells are surely
below a number, edges in higher cells surely not. So a table tells the bin of every number whose cell has no edge in
it; the few whose cell has one are sorted and compared.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

#: Numbers that are worked on at once: with what is made of them they fit into a megabyte of second-level cache.
BLOCK: Final = 1 << 15
#: Cells of a scale, of a table of floats, and of one of integers.
CELLS_PER_SCALE: Final = 1 << 12
_FLOAT_CELLS: Final = 1 << 17
_INTEGER_CELLS: Final = 1 << 16
_FAR: Final = 1 << 62


class Workspace:
    """Memory that the blocks of one thread share."""

    def __init__(self) -> None:
        import numpy as np

        self.shifted = np.empty(BLOCK, "f8")
        self.floats = np.empty(BLOCK, "f8")
        self.cells = np.empty(BLOCK, "i8")
        self.codes = np.empty(BLOCK, "i2")


class Bins:
    """Counts numbers of one type between rising edges.

    :param cells: of each edge; None for edges that no table serves
    :param whole: the edges of which the cell holds no other number
    """

    def __init__(
        self, edges: np.ndarray, cells: np.ndarray | None = None, size: int = 0, whole: np.ndarray | None = None
    ) -> None:
        import numpy as np

        self.edges, self.unsure = edges, len(edges) + 1
        self._counts = np.zeros(self.unsure + 1, "i8")
        self._waiting: list[np.ndarray] = []
        self.table: np.ndarray | None = None
        if cells is None or self.unsure > np.iinfo("i2").max:
            return
        cells = np.clip(cells, 0, size - 1)
        # For each cell how many edges lie in lower ones: what a search for each would find, without searching.
        self.table = np.repeat(np.arange(self.unsure, dtype="i2"), np.diff(cells, prepend=-1, append=size - 1))
        self.table[cells if whole is None else cells[~whole]] = self.unsure

    def add(self, numbers: np.ndarray, cells: np.ndarray, space: Workspace) -> None:
        """Take in a block of which the cells are known; those outside the table are its first and last."""
        import numpy as np

        if self.table is None:
            self.compare(numbers.copy())
            return
        codes = np.take(self.table, cells, mode="clip", out=space.codes[: len(numbers)])
        found = np.bincount(codes, minlength=self.unsure + 1)
        self._counts += found
        if found[self.unsure]:
            self.compare(numbers[codes == self.unsure])

    def compare(self, numbers: np.ndarray) -> None:
        """Take in numbers of which no table tells the bin: many at once are sorted."""
        self._waiting.append(numbers)
        if sum(map(len, self._waiting)) >= BLOCK:
            self._settle()

    def counts(self) -> np.ndarray:
        """A count for each bin."""
        self._settle()
        return self._counts[: self.unsure]

    def _settle(self) -> None:
        import numpy as np

        if self._waiting:
            numbers, self._waiting = np.sort(np.concatenate(self._waiting)), []
            below = np.searchsorted(numbers, self.edges, side="right")
            self._counts[: self.unsure] += np.diff(below, prepend=0, append=len(numbers))


class FloatBins(Bins):
    """Bins of floats; their cells are multiples of the plan's scale.

    Adding ``1.5 * 2**52`` cells rounds a number to whole cells and leaves the result in the lowest bits of its sum.
    """

    def __init__(self, edges: Sequence[float], center: float = 0, scale: float = 0.0) -> None:
        import numpy as np

        rounded = np.array([_float_below(edge) for edge in edges], "f8")
        if not scale:
            super().__init__(rounded)
            return
        self.shift = 1.5 * 2.0**52 * scale / CELLS_PER_SCALE
        self.zero = int(np.float64(self.shift).view("i8")) - _FLOAT_CELLS // 2
        with np.errstate(over="ignore"):
            away = np.clip(rounded - float(center), *reach(scale))
        super().__init__(rounded, (away + self.shift).view("i8") - self.zero, _FLOAT_CELLS)


class IntegerBins(Bins):
    """Bins of 64-bit integers, or of decimals by their unscaled integers: where a cell is one integer, all is known."""

    def __init__(self, edges: Sequence[float], divisor: int = 1) -> None:
        import numpy as np

        whole = [math.floor(Fraction(edge) * divisor) for edge in edges]
        self.skipped = bisect_left(whole, -(2**63))
        inside = np.array([min(edge, 2**63 - 1) for edge in whole[self.skipped :]], "i8")
        trimmed = inside[len(inside) // 16 : len(inside) - len(inside) // 16]
        near = trimmed[(trimmed > -_FAR) & (trimmed < _FAR)].tolist() or [0]
        self.low = near[0]
        self.shift = ((near[-1] - near[0]) // (_INTEGER_CELLS - 1)).bit_length()
        cells = (np.clip(inside, -_FAR, _FAR) - self.low) >> self.shift
        whole = (inside >= self.low) & (cells < _INTEGER_CELLS - 1) & (self.shift == 0)
        super().__init__(inside, cells, _INTEGER_CELLS, whole)

    def add_known(self, numbers: np.ndarray, least: int, most: int, space: Workspace) -> None:
        """Take in a block of which the least and the most are known."""
        import numpy as np

        if least <= -_FAR or most >= _FAR or self.table is None:
            self.compare(numbers.copy())
            return
        cells = np.subtract(numbers, self.low, out=space.cells[: len(numbers)])
        if self.shift:
            cells >>= self.shift
        self.add(numbers, cells, space)

    def counts(self) -> np.ndarray:
        import numpy as np

        counts: np.ndarray = np.concatenate([np.zeros(self.skipped, "i8"), super().counts()])
        return counts


def reach(scale: float) -> tuple[float, float]:
    """How far from the plan's center numbers are told apart in sums and cells: a million scales."""
    return -(2.0**20) * scale, 2.0**20 * scale


def _float_below(edge: float) -> float:
    """The greatest float that is not above an edge, which may be a large integer."""
    near = float(edge)
    return near if near <= edge else math.nextafter(near, -math.inf)
