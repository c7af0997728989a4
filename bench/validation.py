"""A suite of 25 expectations on 5 million rows and 20 columns: this package beside Great Expectations on pandas.

Both sides are whole processes that start with the Parquet files and end with a verdict for each expectation, run
alternately, with as many threads. ``ratio`` is to Great Expectations with its default result, which has the counts and
examples that this package reports too; ``ratio_boolean_only`` to its cheapest result, which has neither. Writes
``build/bench/validation.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from upath import UPath

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from airflow_mlops.core.snapshots import Manifest  # noqa: E402
from airflow_mlops.core.validation import Suite  # noqa: E402
from airflow_mlops.store.snapshots import Snapshot, open_snapshot, write_snapshot  # noqa: E402

BATCH = 250_000
CARRIERS = ("9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV")
START = np.datetime64("2013-01-01T00:00:00", "us")


def suite(rows: int) -> Suite:
    def check(kind: str, **kwargs: Any) -> dict[str, Any]:
        return {"type": f"expect_{kind}", "kwargs": kwargs, "severity": "warning"}

    quantiles = {"quantiles": [0.1, 0.5, 0.9], "value_ranges": [[0, 1500], [500, 2000], [2000, 3000]]}
    checks = [
        check("table_row_count_to_be_between", min_value=rows, max_value=rows),
        check("table_columns_to_match_set", column_set=["id", "carrier"], exact_match=False),
        check("column_values_to_not_be_null", column="id"),
        check("column_values_to_not_be_null", column="temp", mostly=0.9),
        check("column_values_to_not_be_null", column="tail"),
        check("column_values_to_be_unique", column="id"),
        check("compound_columns_to_be_unique", column_list=["id", "carrier"]),
        check("column_values_to_be_between", column="distance", min_value=0, max_value=3000),
        check("column_values_to_be_between", column="temp", min_value=-40, max_value=110, mostly=0.99),
        check("column_values_to_be_between", column="at", min_value="2013-01-01T00:00:00"),
        check("column_values_to_be_in_set", column="carrier", value_set=list(CARRIERS)),
        check("column_values_to_be_in_set", column="month", value_set=list(range(1, 12))),
        check("column_values_to_not_be_in_set", column="origin", value_set=["XXX"]),
        check("column_values_to_match_regex", column="tail", regex="^N[0-9]{5}$"),
        check("column_value_lengths_to_be_between", column="tail", min_value=6, max_value=6),
        check("column_mean_to_be_between", column="temp", min_value=50, max_value=60),
        check("column_median_to_be_between", column="delay", min_value=-10, max_value=10),
        check("column_stdev_to_be_between", column="delay", min_value=0, max_value=20),
        check("column_sum_to_be_between", column="seats", min_value=0),
        check("column_min_to_be_between", column="wind", min_value=0, max_value=1),
        check("column_max_to_be_between", column="wind", max_value=40),
        check("column_quantile_values_to_be_between", column="distance", quantile_ranges=quantiles),
        check("column_distinct_values_to_equal_set", column="origin", value_set=["EWR", "JFK", "LGA"]),
        check("column_unique_value_count_to_be_between", column="dest", min_value=50, max_value=150),
        check("column_pair_values_a_to_be_greater_than_b", column_A="arrived", column_B="departed", or_equal=True),
    ]
    return Suite.parse({"name": "bench", "version": "1", "expectations": checks})


def data(rows: int) -> Iterator[pa.RecordBatch]:
    """Flights that never were: keys, numbers with and without nulls and NaN, few and many texts, times, flags."""
    random = np.random.default_rng(0)
    for start in range(0, rows, BATCH):
        n = min(BATCH, rows - start)
        departed = random.integers(0, 1440, n)
        delay = random.normal(0, 25, n).round(1)
        words = pa.array([f"{number:05d}" for number in range(100_000)])
        columns = {
            "id": pa.array(np.arange(start, start + n)),
            "carrier": pa.array(CARRIERS).take(pa.array(random.integers(0, len(CARRIERS), n))),
            "origin": pa.array(["EWR", "JFK", "LGA"]).take(pa.array(random.integers(0, 3, n))),
            "dest": pa.array([f"D{number:03d}" for number in range(105)]).take(pa.array(random.integers(0, 105, n))),
            "tail": _joined("N", words.take(pa.array(random.integers(0, 100_000, n))), random.random(n) < 0.001),
            "month": pa.array(random.integers(1, 13, n).astype(np.int8)),
            "seats": pa.array(random.integers(2, 451, n).astype(np.int32), mask=random.random(n) < 0.02),
            "distance": pa.array(random.integers(17, 5000, n)),
            "departed": pa.array(departed),
            "arrived": pa.array(departed + random.integers(0, 400, n)),
            "at": pa.array(START + random.integers(0, 365 * 86_400, n) * np.timedelta64(1_000_000, "us")),
            "delay": pa.array(delay),
            "temp": pa.array(random.normal(55, 18, n), mask=random.random(n) < 0.05),
            "humid": pa.array(np.where(random.random(n) < 0.01, np.nan, random.uniform(0, 100, n))),
            "wind": pa.array(np.abs(random.normal(10, 6, n))),
            "pressure": pa.array(random.normal(1015, 8, n), mask=random.random(n) < 0.1),
            "precip": pa.array(random.exponential(0.01, n)),
            "visible": pa.array(random.uniform(0, 10, n)),
            "weekend": pa.array(random.random(n) < 0.28),
            "route": pa.array([f"R{number:04d}" for number in range(3000)]).take(pa.array(random.integers(0, 3000, n))),
        }
        yield pa.RecordBatch.from_pydict(columns)


def _joined(prefix: str, texts: pa.Array, gone: Any) -> pa.Array:
    import pyarrow.compute as pc

    return pc.if_else(pa.array(gone), pa.scalar(None, pa.string()), pc.binary_join_element_wise(prefix, texts, ""))


def snapshot(folder: Path, rows: int) -> Snapshot:
    """Written once, and found again."""
    note = folder / f"validation-{rows}.txt"
    if note.exists():
        return open_snapshot(UPath(note.read_text()))
    batches = data(rows)
    first = next(batches)
    draft = Manifest(name="bench", data_version="", rows=0, schema=[], source={}, as_of="2014-01-01T00:00:00+00:00")

    def all_batches() -> Iterator[pa.RecordBatch]:
        yield first
        yield from batches

    found = write_snapshot(UPath(folder), all_batches(), first.schema, draft)
    note.write_text(found.uri)
    return found


def ours(uri: str, rows: int, engine: str) -> list[str]:
    from airflow_mlops.steps.validation import validate

    with tempfile.TemporaryDirectory() as store:
        report = validate(
            store=UPath(store),
            snapshot=open_snapshot(UPath(uri)),
            suite=suite(rows),
            engine=engine,
            threads=os.cpu_count() or 1,
        )
    return [outcome.status for outcome in report.outcomes[1:]]


def theirs(uri: str, rows: int, result_format: str) -> list[str]:
    """What somebody would write who has Great Expectations and pandas."""
    import great_expectations as gx
    import pandas as pd
    from great_expectations.expectations.registry import get_expectation_impl

    frame = pd.read_parquet(sorted(str(path) for path in Path(uri).glob("*.parquet")))
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    checks = [get_expectation_impl(check.type)(**check.kwargs) for check in suite(rows).expectations]
    asked = gx.ExpectationSuite(name="bench", expectations=checks)
    for number, check in enumerate(asked.expectations):
        check.id = str(number)
    batch = context.data_sources.pandas_default.read_dataframe(frame)
    found = {one.expectation_config.id: one for one in batch.validate(asked, result_format=result_format).results}
    return [_status(found[str(number)]) for number in range(len(checks))]


def _status(result: Any) -> str:
    from airflow_mlops.core.validation.report import raised

    return "crashed" if raised({"exception_info": result.exception_info}) else "passed" if result.success else "failed"


SIDES = {
    "airflow-mlops": partial(ours, engine="sql"),
    "great expectations on pandas": partial(theirs, result_format="SUMMARY"),
    "great expectations on pandas, boolean only": partial(theirs, result_format="BOOLEAN_ONLY"),
    "airflow-mlops, engine pandas": partial(ours, engine="pandas"),
}


def main() -> None:
    # After the paths: the measuring knows Airflow's test servers.
    from bench.processes import alternate, measure, row

    arguments = parser().parse_args()
    folder = ROOT / "build" / "bench"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    uri = snapshot(folder / "data", arguments.rows).uri
    names = list(SIDES)[: arguments.sides]
    sides = {
        name: partial(
            measure,
            [sys.executable, __file__, "--side", name, "--uri", uri, "--rows", str(arguments.rows)],
            seconds=arguments.seconds,
            memory_gb=16,
        )
        for name in names
    }
    runs = alternate(sides, arguments.rounds)
    statuses = {
        name: [json.loads(run.out.splitlines()[-1]) for run in found if not run.failure] for name, found in runs.items()
    }
    rows = [row(name, f"{len(suite(arguments.rows).expectations)} expectations", found) for name, found in runs.items()]
    mine, peer, cheapest = rows[:3]
    verdicts = statuses[names[0]][0]
    result = {
        "rows": rows,
        "table": {"rows": arguments.rows, "columns": 20},
        "ratio": round(peer["wall_s"] / mine["wall_s"], 2),
        "ratio_cpu": round(peer["cpu_s"] / mine["cpu_s"], 2),
        "ratio_boolean_only": round(cheapest["wall_s"] / mine["wall_s"], 2),
        "ratio_boolean_only_cpu": round(cheapest["cpu_s"] / mine["cpu_s"], 2),
        "equal_verdicts": all(one == verdicts for found in statuses.values() for one in found)
        and bool(statuses[names[1]]),
        "verdicts": {word: verdicts.count(word) for word in ("passed", "failed", "crashed")},
        "peak_mb": mine["peak_mb"],
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
    }
    (folder / "validation.json").write_text(json.dumps(result, indent=1))
    print(json.dumps({key: value for key, value in result.items() if key != "rows"}))


def parser() -> argparse.ArgumentParser:
    parsed = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parsed.add_argument("--rows", type=int, default=5_000_000)
    parsed.add_argument("--rounds", type=int, default=3)
    parsed.add_argument("--sides", type=int, default=3, choices=(3, 4), help="4: ours on pandas too")
    parsed.add_argument("--seconds", type=float, default=900)
    parsed.add_argument("--side", help=argparse.SUPPRESS)
    parsed.add_argument("--uri", help=argparse.SUPPRESS)
    return parsed


if __name__ == "__main__":
    asked = parser().parse_args()
    if asked.side:
        print(json.dumps(SIDES[asked.side](asked.uri, asked.rows)), flush=True)
    else:
        main()
