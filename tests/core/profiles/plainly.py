"""The same profile counted the plain way: row by row, in Python's exact numbers, to hold the fast way against."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections import Counter
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa

from airflow_mlops.core.profiles import ColumnPlan

_EPOCH = datetime(1970, 1, 1)
_WORD = 2**64


def counted(plan: ColumnPlan, column: pa.Array) -> dict[str, Any]:
    """Counters of one column, by name."""
    rows = column.to_pylist()
    values = [told(value) for value in rows if value is not None]
    numbers = [value for value in values if not (isinstance(value, float) and math.isnan(value))]
    facts = {"rows": len(rows), "nulls": len(rows) - len(values)}
    if plan.kind in ("withheld", "opaque"):
        return facts
    facts["nans"] = len(values) - len(numbers)
    if plan.kind == "categorical":
        return facts | categories(plan, numbers)
    counts = [0] * (len(plan.edges) + 1)
    for number in numbers:
        counts[bisect_left(plan.edges, number)] += 1
    finite = [number for number in numbers if abs(number) != math.inf]
    return facts | {
        "negative_infinities": numbers.count(-math.inf),
        "positive_infinities": numbers.count(math.inf),
        "minimum": min(map(float, finite), default=None),
        "maximum": max(map(float, finite), default=None),
        "counts": tuple(counts),
        **sums(plan, finite),
    }


def categories(plan: ColumnPlan, values: list[Any]) -> dict[str, Any]:
    seen = Counter(values)
    rest = {value: n for value, n in seen.items() if value not in plan.keys}
    hashed: Counter[int] = Counter()
    for value, n in rest.items():
        whole = isinstance(value, float | Fraction) and not isinstance(value, bool) and value == value // 1
        told = int(value) if whole else float(value) if isinstance(value, Fraction) else value
        hashed[hash_of(str(told).encode())] += n
    buckets = [0] * plan.buckets
    for found, n in hashed.items():
        if plan.buckets:
            buckets[found % plan.buckets] += n
    return {
        "counts": tuple(seen[key] for key in plan.keys),
        "rest": sum(rest.values()),
        "buckets": tuple(buckets),
        "sketch": tuple(sorted(hashed.items())[:256]),
    }


def sums(plan: ColumnPlan, finite: list[Any]) -> dict[str, int]:
    """Each number as the nearest float, its distance from the center rounded to the steps of the plan."""
    total = coarse = squares = clipped = 0
    reach = 2.0**20 * plan.scale
    for number in finite:
        away = (number.numerator / 1.0 / number.denominator if isinstance(number, Fraction) else float(number)) - float(
            plan.center
        )
        clipped += abs(away) > reach
        away = min(max(away, -reach), reach)
        total += round(Fraction(away) / Fraction(plan.scale) * 2**20)
        step = round(Fraction(away) / Fraction(plan.scale) * 2**12)
        coarse += step
        squares += step * step
    return {"total": total, "coarse": coarse, "squares": squares, "clipped": clipped}


def told(value: Any) -> Any:
    """Times as microseconds, dates as days, decimals as fractions, bytes as hexadecimal digits."""
    if isinstance(value, datetime):
        return (value.replace(tzinfo=None) - (value.utcoffset() or timedelta()) - _EPOCH) // timedelta(microseconds=1)
    if isinstance(value, date):
        return (value - _EPOCH.date()).days
    if isinstance(value, time):
        return (datetime.combine(_EPOCH, value) - _EPOCH) // timedelta(microseconds=1)
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)
    if isinstance(value, Decimal):
        return Fraction(value)
    return value.hex() if isinstance(value, bytes) else value


def hash_of(text: bytes) -> int:
    """The hash of a text, by Python's integers."""
    if len(text) > 256:
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
    found = 0x243F6A8885A308D3 ^ len(text)
    for begin in range(0, len(text), 8):
        found = mixed(found ^ int.from_bytes(text[begin : begin + 8], "little"), 0x9E3779B97F4A7C15)
    return mixed(found ^ (found >> 29), 0xBF58476D1CE4E5B9)


def mixed(value: int, odd: int) -> int:
    value = value * odd % _WORD
    return value ^ (value >> 32)
