"""Read foreign Parquet files with one byte changed, in children; print what became of them as JSON.

usage: flips.py FOLDER COUNT SEED
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from airflow_mlops.core.slices import Slice
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import SnapshotError
from airflow_mlops.steps.sources import FileSource

#: Files that one child reads in turn, as a task does.
TOGETHER = 25

WRITERS = {
    "snappy": {},
    "zstd": {"compression": "zstd", "data_page_version": "2.0"},
    "plain": {"compression": "none", "use_dictionary": False},
    "groups": {"compression": "gzip", "row_group_size": 100},
    "delta": {
        "compression": "lz4",
        "use_dictionary": False,
        "column_encoding": {"whole": "DELTA_BINARY_PACKED", "text": "DELTA_BYTE_ARRAY", "number": "BYTE_STREAM_SPLIT"},
    },
}


def table(rows: int) -> pa.Table:
    random_ = np.random.default_rng(0)
    return pa.table(
        {
            "whole": random_.integers(0, 10**6, rows),
            "number": random_.normal(size=rows),
            "name": [f"name {i % 30}" for i in range(rows)],
            "text": [f"{i * 7919 % 10**9:x}" for i in range(rows)],
            "flag": random_.random(rows) > 0.5,
            "at": pa.array(range(rows), pa.int64()).cast(pa.timestamp("us", "UTC")),
            "list": [[1, 2, i] if i % 3 else None for i in range(rows)],
            "struct": [{"a": i, "b": str(i)} for i in range(rows)],
            "gaps": pa.array([i % 5 if i % 4 else None for i in range(rows)], pa.int16()),
        }
    )


def outcome(path: Path) -> str:
    """What reading the file ends with, in this process."""
    try:
        _, batches = FileSource(UPath(path)).read(Slice(instant("2026-01-01")))
        for _ in batches:
            pass
    except SnapshotError:
        return "refused"
    except BaseException as error:
        return type(error).__name__
    return "read"


def in_a_child(paths: list[Path]) -> tuple[list[str], float, float]:
    """The outcome of each file, the seconds of the slowest, and the peak megabytes of the child that read them."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for path in paths:
            signal.alarm(60)
            begin = time.monotonic()
            end = outcome(path)
            os.write(writing, f"{end} {time.monotonic() - begin}\n".encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        lines = [line.split() for line in told]
    _, status, usage = os.wait4(child, 0)
    ends = [end for end, _ in lines]
    if os.WIFSIGNALED(status):
        ends.append(f"signal {os.WTERMSIG(status)}")
    return ends, max((float(seconds) for _, seconds in lines), default=0.0), usage.ru_maxrss / 1024


def changed(files: list[bytes], chance: random.Random) -> bytes:
    """One of the files with one byte changed, half of the time in the footer, which says where everything is."""
    data = bytearray(chance.choice(files))
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    data[chance.randrange(footer if chance.random() < 0.5 else 0, len(data))] ^= chance.randrange(1, 256)
    return bytes(data)


def main() -> None:
    folder, count, chance = Path(sys.argv[1]), int(sys.argv[2]), random.Random(sys.argv[3])
    files = []
    for name, options in WRITERS.items():
        pq.write_table(table(600), folder / f"{name}.parquet", **options)
        files.append((folder / f"{name}.parquet").read_bytes())
    ends: Counter[str] = Counter()
    slowest = largest = 0.0
    for first in range(0, count, TOGETHER):
        paths = [folder / f"changed-{number}.parquet" for number in range(first, min(first + TOGETHER, count))]
        for path in paths:
            path.write_bytes(changed(files, chance))
        found, seconds, megabytes = in_a_child(paths)
        ends.update(found)
        slowest, largest = max(slowest, seconds), max(largest, megabytes)
        for path in paths:
            path.unlink()
    print(json.dumps({"ends": ends, "slowest_s": round(slowest, 2), "peak_mb": round(largest)}))


if __name__ == "__main__":
    main()
