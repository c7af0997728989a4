"""Sums that add up exactly in any order: of numbers rounded to fixed fractions of the plan's scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_mlops.core.profiles.binning import CELLS_PER_SCALE, Workspace, reach

if TYPE_CHECKING:
    import numpy as np

_FINE: Final = 1 << 20
#: Threads of a dot product would cost more than it: below this length BLAS starts none.
_DOT: Final = 1 << 13
_HALF: Final = float(1 << 16)


class Sums:
    """Totals of one numeric column, and the cells of its numbers on the way.

    Every number in between is a whole one below ``2**53``, so floats hold it exactly, whatever the order of adding.
    """

    def __init__(self, center: float, scale: float) -> None:
        import numpy as np

        self.center, self.scale = float(center), scale
        self.low, self.high = reach(scale)
        self.fine_shift = np.float64(1.5 * 2.0**52 * scale / _FINE)
        self.fine_zero = int(self.fine_shift.view("i8"))
        self.cell = scale / CELLS_PER_SCALE
        self.coarse_shift = np.float64(1.5 * 2.0**52 * self.cell)
        self.total = self.coarse = self.squares = self.clipped = 0

    def add(self, numbers: np.ndarray, least: float, most: float, space: Workspace) -> np.ndarray:
        """Take in a block of finite numbers; returns their cells, moved by ``1.5 * 2**52``, as bits."""
        import numpy as np

        length = len(numbers)
        floats, shifted = space.floats[:length], space.shifted[:length]
        with np.errstate(over="ignore"):
            least, most = float(least) - self.center, float(most) - self.center
            away = np.subtract(numbers, self.center, out=floats) if self.center else numbers
        if least < self.low or most > self.high:
            self.clipped += int(np.count_nonzero((away < self.low) | (away > self.high)))
            away = np.clip(away, self.low, self.high, out=floats)
            least, most = max(least, self.low), min(most, self.high)
        np.add(away, self.fine_shift, out=shifted)
        self.total += _signed(int(np.add.reduce(shifted.view("i8"))) - length * self.fine_zero)
        np.add(away, self.coarse_shift, out=shifted)
        whole = np.subtract(shifted, self.coarse_shift, out=floats)
        whole *= 1 / self.cell
        self.coarse += int(np.add.reduce(whole))
        largest = max(abs(least), abs(most)) / self.cell + 1
        self.squares += _squares(whole) if largest * largest * _DOT < 2.0**53 else _large_squares(whole)
        return shifted.view("i8")


def _squares(whole: np.ndarray) -> int:
    import numpy as np

    halves = [whole[i : i + _DOT] for i in range(0, len(whole), _DOT)]
    return sum(int(np.dot(half, half)) for half in halves)


def _large_squares(whole: np.ndarray) -> int:
    """The same of numbers up to ``2**32``, each split into a high and a low half."""
    import numpy as np

    high = np.rint(whole / _HALF)
    low = whole - high * _HALF
    pairs = ((high, high, 32), (high, low, 17), (low, low, 0))
    pieces = range(0, len(whole), _DOT)
    return sum(int(np.dot(a[i : i + _DOT], b[i : i + _DOT])) << bits for a, b, bits in pairs for i in pieces)


def _signed(value: int) -> int:
    """A sum that went around 64 bits, as the small number that it is."""
    return (value + 2**63) % 2**64 - 2**63
