"""Count the values of text, booleans and few integers by their keys, and the others by their hash."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from airflow_mlops.core.profiles.arrays import Numbers, booleans, dictionary_codes, validity
from airflow_mlops.core.profiles.binning import IntegerBins, Workspace
from airflow_mlops.core.profiles.counting import Counter, NumericCounter, blocks
from airflow_mlops.core.profiles.hashing import hashes
from airflow_mlops.core.profiles.plan import ColumnPlan
from airflow_mlops.core.profiles.profile import ColumnProfile
from airflow_mlops.core.profiles.sketch import SIZE, Sketch
from airflow_mlops.exceptions import ProfileError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

#: Rows after which the codes of one dictionary become counts of its values.
_ENOUGH: Final = 1 << 20


class CategoryCounter(Counter):
    """Counts per key, and of the rest a count per bucket and a sketch."""

    def __init__(self, plan: ColumnPlan) -> None:
        import numpy as np

        super().__init__(plan)
        self.counts = np.zeros(plan.bins, "i8")
        self.buckets = np.zeros(plan.buckets, "i8")
        self.rest = 0
        self._smallest: dict[int, int] = {}

    def add_rest(self, values: Sequence[Any], counts: np.ndarray) -> None:
        """Take in different values outside the keys, and how often each was seen."""
        import numpy as np

        self.rest += int(counts.sum())
        found = hashes([_bytes(value) for value in values])
        if self.plan.buckets:
            np.add.at(self.buckets, (found % np.uint64(self.plan.buckets)).astype("i8"), counts)
        # Pruning to the smallest is no loss: what is not among them in a part is not among them in the whole.
        for begin in range(0, len(found), 8 * SIZE):
            part = slice(begin, begin + 8 * SIZE)
            for key, count in zip(found[part].tolist(), counts[part].tolist(), strict=True):
                self._smallest[key] = self._smallest.get(key, 0) + count
            if len(self._smallest) > 8 * SIZE:
                self._smallest = dict(Sketch.of(self._smallest).entries)

    def profile(self) -> ColumnProfile:
        return replace(
            super().profile(),
            counts=tuple(self.counts.tolist()),
            rest=self.rest,
            buckets=tuple(self.buckets.tolist()),
            sketch=Sketch.of(self._smallest),
        )


class TextCounter(CategoryCounter):
    """Text by its dictionaries: codes are counted, and only what a dictionary holds becomes Python text.

    :param length: takes in the lengths of the texts, where these are profiled
    """

    def __init__(self, plan: ColumnPlan, length: NumericCounter | None = None) -> None:
        super().__init__(plan)
        self.length = length
        self._index = {key: i for i, key in enumerate(plan.keys)}
        self._dictionary: pa.Array | None = None
        self._seen: Any = 0
        self._waiting = 0

    def update(self, array: pa.Array) -> None:
        import numpy as np
        import pyarrow as pa

        if pa.types.is_null(array.type):
            self.add_rows(len(array), len(array))
            return
        coded = array if isinstance(array, pa.DictionaryArray) else array.dictionary_encode()
        codes, nulls = dictionary_codes(coded)
        if self._dictionary is None or not self._dictionary.equals(coded.dictionary):
            self.flush()
            self._dictionary, self._seen = coded.dictionary, np.zeros(len(coded.dictionary), "i8")
        if len(codes):
            if codes.min() < 0 or codes.max() >= len(self._seen):
                raise ProfileError(f"Column {self.plan.name}: codes beyond its dictionary: the data are damaged.")
            self._seen += np.bincount(codes, minlength=len(self._seen))
        self._waiting += len(codes)
        self.add_rows(len(array), nulls)
        if self._waiting >= _ENOUGH:
            self.flush()

    def flush(self) -> None:
        """Turn the codes of the dictionary at hand into counts of its values."""
        import numpy as np

        if self._dictionary is None or not self._waiting:
            return
        which = np.flatnonzero(self._seen)
        if self._dictionary.null_count:
            there = validity(self._dictionary)[which]
            self.add_rows(0, int(self._seen[which[~there]].sum()))
            which = which[there]
        values, counts = texts(self._dictionary, which), self._seen[which]
        found = np.fromiter(map(self._index.get, values, _without(values)), "i8", len(values))
        known = found >= 0
        np.add.at(self.counts, found[known], counts[known])
        unknown = np.flatnonzero(~known)
        if len(unknown):
            self.add_rest([values[i] for i in unknown.tolist()], counts[unknown])
        if self.length is not None:
            sizes = np.fromiter(map(len, values), "i8", len(values))
            self.length.add(Numbers(np.repeat(sizes, counts)))
        self._seen[:] = 0
        self._waiting = 0

    def profile(self) -> ColumnProfile:
        self.flush()
        return super().profile()


class BooleanCounter(CategoryCounter):
    """True and false."""

    def update(self, array: pa.Array) -> None:
        import pyarrow as pa

        found = booleans(array) if not pa.types.is_null(array.type) else validity(array)[:0]
        self.add_rows(len(array), len(array) - len(found))
        true = int(found.sum())
        self.counts += [true if key else len(found) - true for key in self.plan.keys]


class IntegerCounter(CategoryCounter):
    """Integers that are categories; a float counts as the integer that it is."""

    def __init__(self, plan: ColumnPlan, space: Workspace) -> None:
        super().__init__(plan)
        self.space = space
        self.nans = 0
        self._index = {key: i for i, key in enumerate(plan.keys)}
        self._keys = sorted(int(key) for key in plan.keys)
        self._gaps = self._keys[-1] - self._keys[0] >= len(self._keys)
        around = sorted({edge for key in self._keys for edge in (key - 1, key)})
        self._bins = IntegerBins(around)
        self._at = [around.index(int(key)) for key in plan.keys]

    def add(self, numbers: Numbers) -> None:
        """Take in the values of a batch that are there."""
        if numbers.wide or numbers.divisor > 1:
            values, divisor = [*numbers.values.tolist(), *numbers.wide], numbers.divisor
            self._add_counted(Tally(v // divisor if v % divisor == 0 else v / divisor for v in values))
            return
        for block in blocks(numbers.values):
            self._add_floats(block) if block.dtype.kind == "f" else self._add_integers(block)

    def _add_integers(self, block: np.ndarray) -> None:
        import numpy as np

        least, most = int(block.min()), int(block.max())
        self._bins.add_known(block, least, most, self.space)
        if self._gaps or least < self._keys[0] or most > self._keys[-1]:
            values, counts = np.unique(block[~np.isin(block, self.plan.keys)], return_counts=True)
            self.add_rest(values.tolist(), counts)

    def _add_floats(self, block: np.ndarray) -> None:
        import numpy as np

        there = block[~np.isnan(block)]
        self.nans += len(block) - len(there)
        values, counts = np.unique(there, return_counts=True)
        self._add_counted({_whole(value): n for value, n in zip(values.tolist(), counts.tolist(), strict=True)})

    def _add_counted(self, counts: Mapping[Any, int]) -> None:
        import numpy as np

        for value, count in counts.items():
            if value in self._index:
                self.counts[self._index[value]] += count
        if rest := [value for value in counts if value not in self._index]:
            self.add_rest(rest, np.array([counts[value] for value in rest], "i8"))

    def profile(self) -> ColumnProfile:
        own = super().profile()
        counts = self._bins.counts()[self._at] + own.counts
        return replace(own, counts=tuple(counts.tolist()), nans=self.nans)


def texts(dictionary: pa.Array, which: np.ndarray) -> list[str]:
    """Some values of a dictionary as text; bytes as hexadecimal digits, and what is no UTF-8 with them in between."""
    try:
        values = dictionary.to_pylist()
    except UnicodeDecodeError:
        values = [
            v.as_buffer().to_pybytes().decode(errors="backslashreplace") if v.is_valid else "" for v in dictionary
        ]
    found = [values[i] for i in which.tolist()] if len(which) < len(values) else values
    return [value.hex() for value in found] if found and isinstance(found[0], bytes) else found


def _without(values: Sequence[Any]) -> Iterable[int]:
    return [-1] * len(values)


def _whole(value: float) -> int | float:
    return int(value) if value.is_integer() else value


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else str(value).encode()
