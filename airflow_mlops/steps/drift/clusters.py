"""The reference in parts of whole clusters, which tell how much rows that belong together vary."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.profiles import Plan, Profile, Profiler
from airflow_mlops.exceptions import ConfigurationError

if TYPE_CHECKING:
    import pyarrow as pa

#: Parts that the reference is cut into.
CHUNKS = 10


def chunked(plan: Plan, batches: Iterable[pa.RecordBatch], cluster: str, as_of: str | None = None) -> list[Profile]:
    """Profiles of ten parts of some rows, each of whole clusters (days, customers); together they are all the rows.

    :raises ConfigurationError: so few clusters that they tell nothing
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    profilers = [Profiler(plan, as_of) for _ in range(CHUNKS)]
    for batch in batches:
        if cluster not in batch.schema.names:
            raise ConfigurationError(
                f"Drift: the reference has no column {cluster} that says which rows belong together."
            )
        values = batch.column(cluster).dictionary_encode()
        parts = pa.array([_part(value) for value in values.dictionary.to_pylist()], pa.int8())
        # Rows without a cluster go with the first.
        of_row = pc.fill_null(parts.take(values.indices), 0)
        for part, profiler in enumerate(profilers):
            if (rows := batch.filter(pc.equal(of_row, part))).num_rows:
                profiler.update(rows)
    found = [profile for profile in (profiler.profile() for profiler in profilers) if profile.rows]
    if len(found) < CHUNKS // 2:
        raise ConfigurationError(
            f"Drift: {cluster} has too few values to tell how much rows belong together: take a finer column."
        )
    return found


def _part(value: Any) -> int:
    return hashlib.blake2b(str(value).encode(), digest_size=8).digest()[0] % CHUNKS
