"""In which hash bucket a key would be counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def buckets_of(keys: Sequence[Any], buckets: int) -> list[int]:
    """The bucket of each key, as a profile counts what is not among its keys.

    >>> buckets_of(["JFK", "LGA"], 4096) == buckets_of(["JFK", "LGA"], 4096)
    True
    """
    if not keys:
        return []
    from airflow_mlops.core.profiles.hashing import hashes

    texts = [key.encode() if isinstance(key, str) else str(key).encode() for key in keys]
    return [int(found) % buckets for found in hashes(texts).tolist()]
