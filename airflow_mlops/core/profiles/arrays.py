"""Arrow arrays as numpy sees them: their own buffers, so that neither pandas nor ``pyarrow.compute`` is imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_PLAIN: Final = {
    "int8": "i1", "int16": "i2", "int32": "i4", "int64": "i8", "uint8": "u1", "uint16": "u2", "uint32": "u4",
    "uint64": "u8", "halffloat": "f2", "float": "f4", "double": "f8", "date32[day]": "i4", "date64[ms]": "i8",
}  # fmt: skip
_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_MS_PER_DAY: Final = 86_400_000
_MICROSECOND: Final = 1_000_000


@dataclass
class Numbers:
    """The values of a column that are there.

    :param values: ``float64``, or ``int64`` to be divided by ``divisor``
    :param wide: integers that do not fit into 64 bits with a sign, to be divided likewise
    """

    values: np.ndarray
    divisor: int = 1
    wide: list[int] = field(default_factory=list)


def null_count(array: pa.Array) -> int:
    """Nulls, those inside a dictionary too."""
    import pyarrow as pa

    if isinstance(array, pa.DictionaryArray):
        codes, nulls = dictionary_codes(array)
        inside = array.dictionary
        return nulls + (int((~validity(inside)[codes]).sum()) if inside.null_count else 0)
    if pa.types.is_run_end_encoded(array.type):
        return null_count(_plain(array))
    return int(array.null_count)


def validity(array: pa.Array) -> np.ndarray:
    """Whether each value is there."""
    import numpy as np
    import pyarrow as pa

    if pa.types.is_null(array.type):
        return np.zeros(len(array), bool)
    bitmap = array.buffers()[0]
    return np.ones(len(array), bool) if bitmap is None else _bits(bitmap, array.offset, len(array))


def dictionary_codes(array: pa.DictionaryArray) -> tuple[np.ndarray, int]:
    """The codes that are there, and how many rows have none."""
    numbers = _fixed(array.indices, _PLAIN[str(array.indices.type)])
    return numbers, len(array) - len(numbers)


def booleans(array: pa.Array) -> np.ndarray:
    """The values of a boolean column that are there."""
    array = _plain(array)
    values = _bits(array.buffers()[1], array.offset, len(array)) if len(array) else _nothing("?")
    return values[validity(array)] if array.null_count else values


def numbers(array: pa.Array) -> Numbers:
    """The values of a column of numbers or times that are there; times count microseconds, dates days."""
    import numpy as np
    import pyarrow as pa

    array = _plain(array)
    type_, kind = array.type, pa.types
    if kind.is_null(type_):
        return Numbers(_nothing("f8"))
    if kind.is_decimal(type_):
        return _decimals(array)
    if kind.is_timestamp(type_) or kind.is_duration(type_) or kind.is_time(type_):
        counts = _fixed(array, "i4" if type_.bit_width == 32 else "i8").astype("i8", copy=False)
        return _microseconds(counts, _PER_SECOND[type_.unit])
    values = _fixed(array, _PLAIN[str(type_)])
    if kind.is_date64(type_):
        values = values // _MS_PER_DAY
    if values.dtype == np.uint64:
        large = values > np.uint64(2**63 - 1)
        return Numbers(values[~large].astype("i8"), wide=values[large].tolist())
    return Numbers(values.astype("f8" if values.dtype.kind == "f" else "i8", copy=False))


def _plain(array: pa.Array) -> pa.Array:
    """The same values, each written out."""
    import pyarrow as pa

    if isinstance(array, pa.DictionaryArray):
        return array.dictionary_decode()
    if pa.types.is_run_end_encoded(array.type):
        import pyarrow.compute as pc

        return pc.run_end_decode(array)
    return array


def _fixed(array: pa.Array, dtype: str) -> np.ndarray:
    """Values of one width, without those that are null."""
    import numpy as np

    buffer = array.buffers()[1]
    if buffer is None or not len(array):
        return _nothing(dtype)
    width = np.dtype(dtype).itemsize
    values = np.frombuffer(buffer, f"<{dtype}", len(array), array.offset * width)
    return values[validity(array)] if array.null_count else values


def _microseconds(counts: np.ndarray, per_second: int) -> Numbers:
    if per_second > _MICROSECOND:
        return Numbers(counts // (per_second // _MICROSECOND))
    factor = _MICROSECOND // per_second
    if factor == 1:
        return Numbers(counts)
    fits = abs(counts) <= (2**63 - 1) // factor
    return Numbers(counts[fits] * factor, wide=[count * factor for count in counts[~fits].tolist()])


def _decimals(array: pa.Array) -> Numbers:
    """The unscaled integers; those of up to 18 digits are in the lowest word."""
    import numpy as np

    divisor, width = 10**array.type.scale if array.type.scale > 0 else 1, array.type.bit_width // 8
    factor = 10 ** max(0, -array.type.scale)
    if width < 8:
        return _times(Numbers(_fixed(array, "i4").astype("i8"), divisor), factor)
    buffer, words = array.buffers()[1], width // 8
    if buffer is None or not len(array):
        return Numbers(_nothing("i8"), divisor)
    rows = np.frombuffer(buffer, "<i8", len(array) * words, array.offset * width).reshape(-1, words)
    rows = rows[validity(array)] if array.null_count else rows
    fits = (rows[:, 1:] == (rows[:, :1] >> 63)).all(axis=1)
    wide = [int.from_bytes(row.tobytes(), "little", signed=True) for row in rows[~fits]]
    return _times(Numbers(np.ascontiguousarray(rows[fits, 0]), divisor, wide), factor)


def _times(found: Numbers, factor: int) -> Numbers:
    """Decimals of a negative scale are multiples of a power of ten."""
    if factor == 1:
        return found
    return Numbers(found.values[:0], 1, [value * factor for value in [*found.values.tolist(), *found.wide]])


def _bits(buffer: pa.Buffer, offset: int, length: int) -> np.ndarray:
    import numpy as np

    first, last = offset // 8, (offset + length + 7) // 8
    bytes_ = np.frombuffer(buffer, "u1", last - first, first)
    skipped = offset - 8 * first
    return np.unpackbits(bytes_, bitorder="little")[skipped : skipped + length].view(bool)


def _nothing(dtype: str) -> np.ndarray:
    import numpy as np

    return np.empty(0, dtype)
