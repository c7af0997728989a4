"""The content hash that names the rows of a snapshot."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from airflow_mlops.exceptions import SnapshotError

if TYPE_CHECKING:
    import pyarrow as pa

#: Part of every data version: a change of the canonical form must change every hash.
_FORM = "airflow-mlops data version 1"


def canonical_json(value: Any) -> bytes:
    """One spelling per value, for hashing.

    >>> canonical_json({"b": 1, "a": [None, "é"]})
    b'{"a":[null,"\\xc3\\xa9"],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, as 64 hexadecimal characters."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


class DataVersion:
    """A content hash of a stream of Arrow batches: one changed cell, dtype, column or row order changes it.

    The chunks do not matter: validity, lengths and values go to hashes of their own per column. A null hides what is
    under it, every NaN is the same NaN, and text is its UTF-8 bytes whether Arrow keeps it as string, large string,
    view or dictionary.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.rows = 0
        self._columns = [(name, _Column(type_)) for name, type_ in zip(schema.names, schema.types, strict=True)]

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in one batch of the declared schema."""
        self.rows += batch.num_rows
        for (_, column), values in zip(self._columns, batch.columns, strict=True):
            column.update(values)

    def hexdigest(self) -> str:
        """The data version so far."""
        return digest([_FORM, self.rows, [[name, *column.facts()] for name, column in self._columns]])


class _Column:
    """Hashes of one column; a list or a struct hashes its children beside its own lengths and nulls."""

    def __init__(self, type_: pa.DataType) -> None:
        self.name, self.storage, children = _canonical(type_)
        self.hashes = [hashlib.sha256() for _ in range(3)]
        self.children = [_Column(child) for child in children]

    def facts(self) -> list[Any]:
        return [self.name, *(h.hexdigest() for h in self.hashes), *(child.facts() for child in self.children)]

    def update(self, values: pa.Array) -> None:
        import pyarrow as pa

        validity, lengths, content = self.hashes
        for step in self.storage:
            values = values.cast(step)
        validity.update(values.is_valid().cast(pa.uint8()).to_numpy())
        kind = pa.types
        if kind.is_null(values.type):
            return
        if kind.is_large_list(values.type):
            lengths.update(values.value_lengths().fill_null(0).to_numpy())
            self.children[0].update(values.flatten())
        elif kind.is_struct(values.type):
            for child, part in zip(self.children, values.flatten(), strict=True):
                child.update(part)
        elif kind.is_large_binary(values.type):
            self._text(values.fill_null(b""))
        elif kind.is_floating(values.type):
            content.update(_one_nan(values))
        else:
            content.update(values.fill_null(0).to_numpy())

    def _text(self, values: pa.Array) -> None:
        import numpy as np

        _, offsets, data = values.buffers()
        where = np.frombuffer(offsets, "<i8", len(values) + 1, values.offset * 8)
        self.hashes[1].update(np.diff(where).tobytes())
        if data is not None:
            self.hashes[2].update(memoryview(data)[where[0] : where[-1]])


def _one_nan(values: pa.Array) -> Any:
    import numpy as np

    numbers = values.fill_null(0).to_numpy()
    missing = np.isnan(numbers)
    return np.where(missing, np.array(np.nan, numbers.dtype), numbers) if missing.any() else numbers


def _canonical(type_: pa.DataType) -> tuple[str, list[pa.DataType], list[pa.DataType]]:
    """Name of a type's meaning, the casts to the form that is hashed, and the types of its children."""
    import pyarrow as pa

    kind = pa.types
    if kind.is_dictionary(type_) or kind.is_run_end_encoded(type_):
        name, storage, children = _canonical(type_.value_type)
        return name, [type_.value_type, *storage], children
    if kind.is_string(type_) or kind.is_large_string(type_) or kind.is_string_view(type_):
        return "string", [pa.large_string(), pa.large_binary()], []
    if kind.is_binary(type_) or kind.is_large_binary(type_) or kind.is_binary_view(type_):
        return "binary", [pa.large_binary()], []
    if kind.is_decimal(type_):
        return str(type_), [pa.large_string(), pa.large_binary()], []
    if kind.is_boolean(type_):
        return "bool", [pa.uint8()], []
    if kind.is_temporal(type_) and type_.bit_width in (32, 64):
        return str(type_), [pa.int32() if type_.bit_width == 32 else pa.int64()], []
    if kind.is_list(type_) or kind.is_large_list(type_):
        return f"list<{_canonical(type_.value_type)[0]}>", [pa.large_list(type_.value_type)], [type_.value_type]
    if kind.is_struct(type_):
        fields = [type_.field(i) for i in range(type_.num_fields)]
        return f"struct<{','.join(f.name for f in fields)}>", [], [f.type for f in fields]
    if kind.is_primitive(type_) or kind.is_null(type_):
        return str(type_), [], []
    raise SnapshotError(f"A column of type {type_} cannot be hashed: store it as text, numbers, lists or structs.")
