"""What the footers of Parquet files tell of their columns, before a row is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.validation.routes import EXACT, kind_of

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Columns:
    """The columns of a snapshot.

    :param kinds: what a column holds, see :func:`airflow_mlops.core.validation.routes.kind_of`; ``long`` are whole
        numbers that a float could not hold, or of which nothing is known
    :param nulls: whether it has nulls; True where the files do not say
    :param largest: of numbers, the largest absolute value; infinite where the files do not say
    """

    files: Sequence[str]
    schema: pa.Schema
    kinds: dict[str, str]
    nulls: dict[str, bool]
    largest: dict[str, float]
    rows: int
    bytes: int


def columns_of(files: Sequence[str]) -> Columns:
    """Read the footers."""
    import pyarrow.parquet as pq

    footers = [pq.ParquetFile(file) for file in files]
    schema = footers[0].schema_arrow
    kinds = {field.name: kind_of(str(field.type)) for field in schema}
    nulls = dict.fromkeys(kinds, False)
    largest = {name: 0.0 for name, kind in kinds.items() if kind in ("integer", "float")}
    groups = [footer.metadata.row_group(n) for footer in footers for n in range(footer.metadata.num_row_groups)]
    for group in groups:
        for place in range(group.num_columns):
            column = group.column(place)
            name, found = column.path_in_schema, column.statistics
            if name not in kinds:
                continue  # a part of a list or a struct
            known = found is not None and found.has_null_count
            nulls[name] |= not known or found.null_count > 0
            if name in largest:
                largest[name] = max(largest[name], _largest(found, group.num_rows))
            if kinds[name] == "integer" and largest[name] >= EXACT:
                kinds[name] = "long"
    for footer in footers:
        footer.close()
    return Columns(
        files=files,
        schema=schema,
        kinds=kinds,
        nulls=nulls,
        largest=largest,
        rows=sum(group.num_rows for group in groups),
        bytes=sum(group.total_byte_size for group in groups),
    )


def _largest(found: Any, rows: int) -> float:
    """The largest absolute value of a group of numbers."""
    if found is not None and found.has_min_max:
        return max(abs(float(found.min)), abs(float(found.max)))
    # Nulls alone have neither a least nor a greatest value.
    return 0.0 if found is not None and found.has_null_count and found.null_count == rows else math.inf
