"""Values of one column as strict as its signature: nothing is guessed, and no reason repeats what was sent."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, Final

from airflow_mlops.core.signatures import Column
from airflow_mlops.exceptions import PredictionError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Numbers and instants are packed, so that they are sent on without a look at each.
Values = array | list  # type: ignore[type-arg]
#: What no float can tell from its neighbour.
_EXACT: Final = 2**53
#: NumPy's NaT.
_NO_TIME: Final = -(2**63)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WORDS: Final = {"double": "a number", "string": "text", "boolean": "true or false", "datetime": "an ISO 8601 instant"}
#: Numbers of any width are one; a signature of ours has no other.
_KINDS: Final = {"integer": "double", "long": "double", "float": "double"}


def kind_of(column: Column) -> str:
    """``double``, ``string``, ``boolean`` or ``datetime``."""
    kind = _KINDS.get(column.type, column.type)
    if kind not in _WORDS:
        raise PredictionError(f"Column {column.name} is of type {column.type}, which cannot be served.")
    return kind


def taker_of(column: Column) -> Callable[[Sequence[Any]], Values]:
    """What makes of JSON values those of a column, or raises PredictionError."""
    return partial(_TAKERS[kind_of(column)], column)


def from_text(column: Column, texts: Sequence[str]) -> list[Any]:
    """Cells of a CSV as JSON would have them; an empty one is missing."""
    kind = kind_of(column)
    if kind == "double":
        return [(float(t) if _NUMBER.fullmatch(t) else t) if t else None for t in texts]
    if kind == "boolean":
        return [{"true": True, "false": False}.get(t.lower(), t) if t else None for t in texts]
    return [t or None for t in texts]


def frame_of(columns: Sequence[Column], values: Sequence[Values]) -> pd.DataFrame:
    """Rows as the model was trained on: text and truth through Arrow, as the snapshots come, numbers as they are."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    data: dict[int, Any] = {}  # by number, and without indexes: the names are put on once, and nothing is aligned
    for number, (column, its) in enumerate(zip(columns, values, strict=True)):
        if not isinstance(its, array):
            kind = pa.bool_() if kind_of(column) == "boolean" else pa.string()
            data[number] = pa.array(its, kind).to_pandas().array
        elif its.typecode == "q":
            data[number] = pd.Series(np.array(its, dtype="datetime64[us]")).dt.tz_localize("UTC").array
        else:
            data[number] = np.array(its)
    frame = pd.DataFrame(data, copy=False)
    # As in core.scoring.frame_of.
    frame.columns = pd.Index([column.name for column in columns], dtype=object)
    return frame


def batch_of(columns: Sequence[Column], parts: Sequence[Sequence[Values]]) -> pa.RecordBatch:
    """Rows of several requests in Arrow, for the log: what is missing is null."""
    import pyarrow as pa

    arrays = []
    for column, its in zip(columns, joined(parts), strict=True):
        if isinstance(its, array) and its.typecode == "q":
            arrays.append(pa.array([None if v == _NO_TIME else v for v in its], pa.timestamp("us")))
        elif isinstance(its, array):
            arrays.append(pa.array(its, pa.float64(), from_pandas=True))
        else:
            arrays.append(pa.array(its, pa.bool_() if kind_of(column) == "boolean" else pa.string()))
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def joined(parts: Sequence[Sequence[Values]]) -> list[Values]:
    """The rows of several requests as those of one."""
    if len(parts) == 1:
        return list(parts[0])
    columns = []
    for its in zip(*parts, strict=True):
        whole = its[0][:]
        for more in its[1:]:
            whole.extend(more)
        columns.append(whole)
    return columns


def _numbers(column: Column, values: Sequence[Any]) -> Values:
    kinds = _kinds(column, values, {int, float})
    if int in kinds:
        for row, value in enumerate(values):
            if type(value) is int and not -_EXACT <= value <= _EXACT:
                raise PredictionError(f"Column {column.name}, row {row}: a whole number beyond 2**53.")
    there = [value for value in values if value is not None] if type(None) in kinds else values
    if float in kinds and not isfinite(sum(there)):  # it is so by one of them, or by their size
        for row, value in enumerate(values):
            if value is not None and not isfinite(value):
                raise PredictionError(f"Column {column.name}, row {row}: NaN or infinity.")
    return array("d", values if there is values else [nan if value is None else value for value in values])


def _texts(column: Column, values: Sequence[Any]) -> Values:
    _kinds(column, values, {str})
    return list(values)


def _truths(column: Column, values: Sequence[Any]) -> Values:
    _kinds(column, values, {bool})
    return list(values)


def _instants(column: Column, values: Sequence[Any]) -> Values:
    _kinds(column, values, {str})
    found = array("q")
    for row, value in enumerate(values):
        try:
            found.append(_NO_TIME if value is None else _microseconds(value))
        except (ValueError, OverflowError):
            raise PredictionError(f"Column {column.name}, row {row}: not an ISO 8601 instant.") from None
    return found


def _microseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _kinds(column: Column, values: Sequence[Any], allowed: set[type]) -> set[type]:
    kinds = set(map(type, values))
    if not column.required:
        allowed = allowed | {type(None)}
    if not kinds <= allowed:
        row = next(number for number, value in enumerate(values) if type(value) not in allowed)
        if values[row] is None:
            raise PredictionError(f"Column {column.name}, row {row}: no value, and the model needs one.")
        raise PredictionError(f"Column {column.name}, row {row}: the model takes {_WORDS[kind_of(column)]}.")
    return kinds


_TAKERS: Final = {"double": _numbers, "string": _texts, "boolean": _truths, "datetime": _instants}
