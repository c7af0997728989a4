"""Tables to measure on: twenty numeric and ten string columns of many shapes, as Parquet, in row groups of 250,000.

Every row group is drawn from a seed of its own, so a file of any length is written in constant memory and is the same
on each machine. ``drift=True`` changes the columns of ``DRIFTED`` and no other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

GROUP = 250_000
#: Distinct values of each string column.
WORDS = {f"s{number:02}": size for number, size in enumerate((2, 3, 5, 10, 20, 50, 100, 1_000, 10_000, 10_000), 1)}
#: What ``drift`` does to which column.
DRIFTED = {
    "n01": "mean + 0.25 sd",
    "n03": "spread of the logarithm x 1.25",
    "n04": "the largest 1 % ten times as large",
    "n09": "nulls 5 % to 7 %",
    "s03": "3 % of rows move to one value",
    "s08": "a new value in 1 % of rows",
}
_SLOTS = 1 << 16


def write_table(path: Path, rows: int, *, seed: int, drift: bool = False) -> Path:
    """Write ``rows`` rows, unless the file is there: it is written under another name and renamed."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    begin = range(0, rows, GROUP)
    with pq.ParquetWriter(part, _schema(), compression="snappy", store_schema=False) as writer:
        for number, start in enumerate(begin):
            writer.write_table(group(min(GROUP, rows - start), seed=seed, number=number, drift=drift))
    part.rename(path)
    return path


def group(rows: int, *, seed: int, number: int, drift: bool = False) -> pa.Table:
    """The ``number``-th row group."""
    random = np.random.default_rng([seed, number])
    columns = {**_numbers(random, rows, drift), **_strings(random, rows, drift)}
    return pa.table(columns, schema=_schema())


def _schema() -> pa.Schema:
    whole = {"n07": pa.int64(), "n14": pa.int64(), "n19": pa.int32(), "n15": pa.float32()}
    numbers = [pa.field(name, whole.get(name, pa.float64())) for name in (f"n{number:02}" for number in range(1, 21))]
    return pa.schema([*numbers, *(pa.field(name, pa.dictionary(pa.int32(), pa.string())) for name in WORDS)])


def _numbers(random: np.random.Generator, rows: int, drift: bool) -> dict[str, pa.Array]:
    pareto = random.pareto(2.0, rows) + 1
    if drift:
        pareto[pareto > 10.0] *= 10  # the largest 1 % of this distribution lie above 10
    values = {
        "n01": random.normal(0.25 if drift else 0.0, 1, rows),
        "n02": random.normal(50, 10, rows).round(2),
        "n03": np.exp(random.normal(0, 1.25 if drift else 1.0, rows)),
        "n04": pareto,
        "n05": random.standard_t(3, rows),
        "n06": random.standard_cauchy(rows),
        "n07": random.poisson(4, rows),
        "n08": random.lognormal(2, 1, rows) * (random.random(rows) < 0.3),
        "n09": random.normal(5, 2, rows),
        "n10": random.random(rows),
        "n11": random.exponential(3, rows),
        "n12": random.gamma(2, 2, rows),
        "n13": random.beta(2, 5, rows),
        "n14": random.integers(0, 1_000, rows),
        "n15": random.normal(0, 1, rows).astype(np.float32),
        "n16": random.lognormal(6, 1, rows).round(2),
        "n17": random.normal(0, 1, rows) + 4 * (random.random(rows) < 0.4),
        "n18": random.standard_t(5, rows),
        "n19": random.poisson(100, rows).astype(np.int32),
        "n20": random.normal(-3, 0.1, rows),
    }
    nulls = {"n09": 0.07 if drift else 0.05, "n18": 0.1}
    return {
        name: pa.array(array, mask=random.random(rows) < nulls[name] if name in nulls else None)
        for name, array in values.items()
    }


def _strings(random: np.random.Generator, rows: int, drift: bool) -> dict[str, pa.Array]:
    columns = {}
    for name, size in WORDS.items():
        weights = 1 / (np.arange(size) + 1.0 + size / 10)
        codes = np.searchsorted(np.cumsum(weights / weights.sum())[:-1], (np.arange(_SLOTS) + 0.5) / _SLOTS)
        drawn = codes.astype(np.int32)[random.integers(0, _SLOTS, rows)]
        words = [f"{name}-{number:05}" for number in range(size)]
        if drift and name == "s03":
            drawn[random.random(rows) < 0.03] = size - 1
        if drift and name == "s08":
            words.append("never seen before")
            drawn[random.random(rows) < 0.01] = size
        mask = random.random(rows) < 0.02 if name == "s05" else None
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(drawn, mask=mask), pa.array(words))
    return columns
