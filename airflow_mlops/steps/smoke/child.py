"""What runs in the clean process: limits first, then the package is loaded as everywhere else, and asked."""

from __future__ import annotations

import json
import math
import os
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from airflow_mlops.core.golden import Golden, golden_rows
from airflow_mlops.core.packages import Package
from airflow_mlops.core.profiles import Plan, Profile
from airflow_mlops.core.redaction import redact
from airflow_mlops.exceptions import MlopsError
from airflow_mlops.steps.golden import frame_of, plain
from airflow_mlops.steps.models import import_skops
from airflow_mlops.steps.packages import load

#: Single rows that are timed after as many that are not, for no longer than this.
_TIMES, _SECONDS, _MANY = 20, 5.0, 1000
#: Beyond the model's budget: what an allocator reserves and never touches.
_SLACK = 256 << 20


def main() -> None:
    """Read the order, write the findings as the last line."""
    order = json.load(sys.stdin)
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the user's code prints is no answer
    try:
        found = examine(order)
    except MemoryError:
        found = {"error": "MemoryError"}
    except MlopsError as error:
        stage = "answers" if type(error).__name__ == "PredictionError" else "loads"
        found = {"error": type(error).__name__, "problem": str(error), "stage": stage}
    except Exception as error:
        found = {"error": type(error).__name__, "problem": f"It does not load: {redact(error)}.", "stage": "loads"}
    answer.write(json.dumps(found) + "\n")
    answer.flush()


def examine(order: dict[str, Any]) -> dict[str, Any]:
    """Load and predict within the limits."""
    import pandas as pd
    import pyarrow  # noqa: F401
    import sklearn.utils  # noqa: F401

    import_skops()
    sys.path += order["paths"]
    for name in order["trusted"]:
        __import__(name.rpartition(".")[0])
    package = Package.from_json(order["package"])
    golden = Golden.from_json(order["golden"]) if order["golden"] else None
    before = _resident()
    _limit(order["memory_mb"], order["seconds"])
    model = load(Path(order["folder"]), package, order["trusted"])
    rows = golden.rows if golden else golden_rows(Profile(Plan(()), 0, ()), package.columns)
    frame = frame_of(rows, package.columns)
    values, scores = plain(model.predict(frame))
    model.predict(pd.concat([frame] * math.ceil(_MANY / len(frame)), ignore_index=True))
    latency = _latency(model, frame.iloc[:1])
    return {
        "values": list(values),
        "scores": None if scores is None else list(scores),
        "latency_ms": latency,
        "memory_mb": max(0.0, (_resident() - before) / 1e6),
    }


def _latency(model: Any, one: Any) -> float:
    """Milliseconds of a single row: the median."""
    found: list[float] = []
    end = time.monotonic() + _SECONDS
    while len(found) < 2 * _TIMES and (not found or time.monotonic() < end):
        begin = time.perf_counter()
        model.predict(one)
        found.append((time.perf_counter() - begin) * 1000)
    return statistics.median(found[len(found) // 2 :])


def _resident() -> float:
    """Bytes that the process had at most; macOS counts bytes where Linux counts thousands."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _limit(memory_mb: float, seconds: float) -> None:
    """No file is written, no core dumped, and memory and CPU time end where the budget does."""
    limits = {resource.RLIMIT_CPU: math.ceil(seconds), resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    try:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limits[resource.RLIMIT_AS] = taken + int(memory_mb * 1e6) + _SLACK
    except OSError:  # not Linux: the check of the memory comes after the fact
        pass
    for kind, most in limits.items():
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    main()
