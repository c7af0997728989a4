"""Online scoring, ours beside its peers: the same model, machine and load, in one run.

A pipeline of ten numbers and two words (imputer, scaler, one-hot encoder, logistic regression) answers JSON over
kept-alive connections: single rows by one client and by eight, and batches of 1,000 rows. Systems take turns, round by
round; each answers in the form that its documentation gives. The floor is ``predict`` alone, in a process without a
server. Then 50 hot swaps of a model of 50 MB under 16 clients.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from scorers import (
    BUILD,
    FLOOR,
    MLFLOW,
    ONE,
    OURS,
    ROOT,
    WORK,
    System,
    prepare,
    started,
)
from swaps import swaps

from airflow_mlops.testing.servers.process import clean_environment


def main() -> None:
    given = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the servers end with us
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    prepare()
    result: dict[str, Any] = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "rounds": given.rounds,
        "seconds": given.seconds,
    }
    result |= compared(given)
    told(result)
    for name, size in (("swap", given.size), ("swap_large", given.large)):
        if size:
            result[name] = swaps(given, size, given.swaps if name == "swap" else max(1, given.swaps // 10))
            told(result)
    print(json.dumps(result, indent=1))
    shutil.rmtree(WORK, ignore_errors=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of one measurement")
    parser.add_argument("--peers", nargs="*", default=["mlflow", "bentoml", "mlserver"])
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--requests", type=int, default=20_000, help="during the swaps, at least")
    parser.add_argument("--size", type=int, default=50, help="MB of the model that is swapped")
    parser.add_argument("--large", type=int, default=200, help="MB of one that is swapped a tenth as often; 0 for none")
    parser.add_argument("--short", action="store_true", help="a quick try, whose figures say little")
    given = parser.parse_args()
    if given.short:
        given.rounds, given.seconds, given.swaps, given.requests, given.large = 1, 2, 5, 1_000, 0
    return given


@dataclass(frozen=True)
class Work:
    """A row of the table: rows of a request, and clients at once."""

    name: str
    rows: int
    clients: int


WORKS = (
    Work("single_row", 1, 8),
    Work("single_client", 1, 1),
    Work("batch_1000", 1000, 1),
    Work("batch_1000_8_clients", 1000, 8),
)


def compared(given: argparse.Namespace) -> dict[str, Any]:
    """The rows of all works, from alternating rounds."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with ExitStack() as stack:
        systems = [started(stack, name) for name in ("ours", *given.peers)]
        for number in range(given.rounds):
            for work in WORKS:
                for system in systems:
                    if not system.failure:
                        one = load(system, work, given.seconds)
                        found.setdefault((work.name, system.name), []).append(one)
                        print(f"round {number + 1}: {work.name}: {system.name}: {one}", flush=True)
                if work.clients == 1:
                    found.setdefault((work.name, FLOOR), []).append(floor(work.rows, given.seconds))
    result: dict[str, Any] = {}
    for work in WORKS:
        rows = [{"system": s.name, "failure": s.failure} for s in systems if s.failure]
        for system in (OURS, *(s.name for s in systems if s.name != OURS), FLOOR):
            # What one process does alone does not depend on how many ask.
            alone = "single_client" if work.rows == 1 else "batch_1000"
            runs = found.get((work.name if system != FLOOR else alone, system))
            if runs:
                rows.append({"system": system, "clients": work.clients, **middle(runs)})
        result[work.name] = rows
    return result | ratios(result)


def load(system: System, work: Work, seconds: float) -> dict[str, Any]:
    command = [
        *(sys.executable, ROOT / "bench" / "load.py", "--port", system.port, "--path", system.path),
        *("--bodies", WORK / f"{system.form}-{work.rows}.jsonl", "--clients", work.clients, "--seconds", seconds),
    ]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=300)
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {"failures": 1, "why": done.stderr[-300:]}


def floor(rows: int, seconds: float) -> dict[str, Any]:
    """``predict`` of frames that are there already, in a process of its own."""
    script = ROOT / "bench" / "peers" / "serving_floor.py"
    command = [sys.executable, script, WORK / "model.joblib", WORK / f"split-{rows}.jsonl", seconds]
    env = {**clean_environment(), **ONE}
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=True, env=env, timeout=300
    )
    return dict(json.loads(done.stdout))


def middle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    good = [run for run in runs if "rps" in run]
    if not good:
        return {"failure": str(runs[0].get("why"))}
    told = {name: round(statistics.median(run[name] for run in good), 3) for name in ("rps", "p50_ms", "p99_ms")}
    failures = sum(run["failures"] for run in runs)
    return told | {"failures": failures, "rps_runs": [run["rps"] for run in good]}


def ratios(result: dict[str, Any]) -> dict[str, Any]:
    """Our throughput over MLflow's, and over the best peer's."""
    found: dict[str, Any] = {}
    for name in (work.name for work in WORKS):
        rps = {row["system"]: row["rps"] for row in result[name] if "rps" in row and not row["failures"]}
        peers = {system: value for system, value in rps.items() if system not in (OURS, FLOOR)}
        if OURS in rps and MLFLOW in rps:
            found[f"ratio_{name}"] = round(rps[OURS] / rps[MLFLOW], 2)
        if OURS in rps and peers:
            best = max(peers, key=peers.__getitem__)
            found[f"ratio_{name}_best_peer"] = round(rps[OURS] / peers[best], 2)
            found[f"{name}_best_peer"] = best
    return found


def told(result: dict[str, Any]) -> None:
    """Write what is known so far."""
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "serving.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
