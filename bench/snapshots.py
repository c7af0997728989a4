"""What an immutable, hashed snapshot costs: ingest against a plain rewrite of the same Parquet file by pyarrow.

Both sides run alternately, each as a whole process from its start to its end, on the same file of ten million rows by
twenty mixed columns, with the same compression. The rewrite reads batches and writes them: no hash, no check, no
manifest. Ours checks every text, hashes every column and the file, and publishes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "bench"
DATA = BUILD / "data"
#: Rows of a generated batch.
CHUNK = 1 << 17

REWRITE = """
import sys
import pyarrow.parquet as pq
source = pq.ParquetFile(sys.argv[1])
with pq.ParquetWriter(sys.argv[2], source.schema_arrow, compression="zstd") as writer:
    for batch in source.iter_batches(batch_size=131_072):
        writer.write_batch(batch)
"""
INGEST = """
import sys
from upath import UPath
from airflow_mlops.core.windows import instant
from airflow_mlops.steps.snapshots import ingest
from airflow_mlops.steps.sources import FileSource
ingest(UPath(sys.argv[2]), name="bench", source=FileSource(UPath(sys.argv[1])), as_of=instant("2026-11-01"))
"""


def generate(rows: int) -> Path:
    """Twenty columns: numbers, counts, categories, names, flags, times; with nulls. Made once."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = DATA / f"mixed-{rows}.parquet"
    if path.exists():
        return path
    DATA.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)

    def batch(size: int) -> pa.RecordBatch:
        columns: dict[str, Any] = {f"number{i}": random.normal(size=size) for i in range(5)}
        columns |= {f"price{i}": np.round(random.lognormal(3, 1, size), 2) for i in range(2)}
        columns["single"] = random.normal(size=size).astype(np.float32)
        columns |= {f"count{i}": random.poisson(3 * 10**i, size) for i in range(4)}
        columns["gaps"] = pa.array(random.normal(size=size), mask=random.random(size) < 0.1)
        for name, keys in (("color", 8), ("city", 500), ("shop", 20_000)):
            words = pa.array([f"{name} {key}" for key in range(keys)])
            columns[name] = words.take(pa.array(random.integers(0, keys, size), mask=random.random(size) < 0.02))
        columns["flag"] = random.random(size) < 0.3
        columns["moment"] = pa.array(random.integers(0, 2**50, size)).cast(pa.timestamp("us", "UTC"))
        columns["day"] = pa.array(random.integers(0, 20_000, size).astype(np.int32)).cast(pa.date32())
        columns["id"] = random.integers(0, 2**62, size)
        return pa.RecordBatch.from_pydict(columns)

    first = batch(min(CHUNK, rows))
    partial = path.with_suffix(".partial")
    with pq.ParquetWriter(partial, first.schema, compression="zstd") as writer:
        writer.write_batch(first)
        for done in range(CHUNK, rows, CHUNK):
            writer.write_batch(batch(min(CHUNK, rows - done)))
    partial.rename(path)
    return path


def measured(code: str, source: Path, target: Path) -> dict[str, float]:
    """Wall and CPU seconds and peak memory of one process; what it wrote is removed."""
    begin = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", code, str(source), str(target)], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    shutil.rmtree(target, ignore_errors=True)
    target.unlink(missing_ok=True)
    if process.returncode:
        raise SystemExit(f"A side ended with {process.returncode}.")
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    source = generate(chosen.rows)
    sides = {"rewrite": REWRITE, "snapshot": INGEST}
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for number in range(chosen.rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            runs[side].append(measured(sides[side], source, BUILD / f"out-{side}"))
            print(f"{side:9}" + "".join(f"  {key} {value:8.2f}" for key, value in runs[side][-1].items()))
    median = {
        side: {key: round(statistics.median(run[key] for run in done), 2) for key in done[0]}
        for side, done in runs.items()
    }
    result = {
        "rows": chosen.rows,
        "bytes": source.stat().st_size,
        "rounds": chosen.rounds,
        "median": median,
        "spread": {
            side: [round(min(run["wall_s"] for run in done), 2), round(max(run["wall_s"] for run in done), 2)]
            for side, done in runs.items()
        },
        "ratio": round(median["rewrite"]["wall_s"] / median["snapshot"]["wall_s"], 3),
        "ratio_cpu": round(median["rewrite"]["cpu_s"] / median["snapshot"]["cpu_s"], 3),
        "peak_mb": median["snapshot"]["peak_mb"],
    }
    (BUILD / "snapshots.json").write_text(json.dumps(result, indent=1))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
