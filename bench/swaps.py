"""Hot swaps: versions of a model take turns under 16 clients that keep their connections."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
from processes import tree_memory
from scorers import (
    BODIES,
    ONE,
    ROOT,
    WORK,
    answers,
    pipeline,
    publish,
    rows_of,
)
from sklearn.ensemble import RandomForestClassifier

from airflow_mlops.testing.servers.process import ServerProcess, clean_environment, free_port, wait_until


def swaps(given: argparse.Namespace, size: int, count: int) -> dict[str, Any]:
    """Versions of a model of so many MB take turns under 16 clients."""
    folder = WORK / f"swap-{size}"
    scores: dict[str, list[float]] = {}
    rows = pd.concat([rows_of(1, 100 + number) for number in range(BODIES)], ignore_index=True)
    for version in (1, 2):
        model = forest(size, version)
        scores[str(version)] = model.predict_proba(rows)[:, 1].tolist()
        publish(folder, version, model)
    file_mb = (folder / "1" / "model.skops").stat().st_size / 1e6
    (folder / "scores.json").write_text(json.dumps(scores))
    port = free_port()
    script = ROOT / "bench" / "peers" / "serving_ours.py"
    command = [str(part) for part in (sys.executable, script, folder, "--port", port)]
    process = ServerProcess("ours", command, log=WORK / "swap.log", env={**clean_environment(), **ONE})
    with ExitStack() as stack:
        stack.callback(process.stop)
        process.start()
        wait_until(lambda: answers(port, "/ready"), [process], 180)
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=180, trust_env=False))
        client.headers["Authorization"] = "Bearer bench"
        deployed(client, 2), deployed(client, 1)  # as many copies as there will be
        steady = [phase(folder, port, given.seconds * 2)]
        before = tree_memory(process.members()[0].pid) / 1e6
        stop = folder / "stop"
        with loaded(folder, port, stop) as child:
            begin = time.monotonic()
            refused = sum(not deployed(client, 2 - number % 2) for number in range(count))
            seconds = time.monotonic() - begin
            while count == given.swaps and _answered(client) < given.requests:
                refused += not deployed(client, 2 - _answered(client) % 2)
            stop.touch()
            during = json.loads(child.communicate(timeout=120)[0])
        steady.append(phase(folder, port, given.seconds * 2))
        after = tree_memory(process.members()[0].pid) / 1e6
    still = statistics.mean(one["p99_ms"] for one in steady)
    return {
        "model_mb": round(file_mb, 1),
        "clients": 16,
        "swaps": count,
        "refused": refused,
        "seconds_per_swap": round(seconds / count, 2),
        "requests": during["requests"],
        "failures": during["failures"] + sum(one["failures"] for one in steady),
        "why": during["why"],
        "versions": during["versions"],
        "p99_steady_ms": round(still, 1),
        "p99_ms": during["p99_ms"],
        "p99_ratio": round(during["p99_ms"] / still, 2),
        "rps": [round(statistics.mean(one["rps"] for one in steady), 1), during["rps"]],
        "memory_mb": [round(before), round(after)],
    }


def forest(size: int, seed: int) -> Any:
    """A model of about so many MB: trees take as much as they have leaves."""
    model = pipeline(RandomForestClassifier(max(1, round(size * 2)), random_state=seed, n_jobs=-1), seed)
    return model.set_params(randomforestclassifier__n_jobs=1)


def deployed(client: httpx.Client, version: int) -> bool:
    return client.post("/deploy", json={"version": version}).status_code == 200


def _answered(client: httpx.Client) -> float:
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith('mlops_requests_total{status="200"}'))


def phase(folder: Path, port: int, seconds: float) -> dict[str, Any]:
    command = [*generator(folder, port), "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return dict(json.loads(done.stdout))


@contextmanager
def loaded(folder: Path, port: int, stop: Path) -> Iterator[subprocess.Popen[str]]:
    command = [*generator(folder, port), "--until", str(stop)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill() if child.poll() is None else None


def generator(folder: Path, port: int) -> list[str]:
    return [
        *(sys.executable, str(ROOT / "bench" / "load.py"), "--port", str(port), "--path", "/invocations"),
        *("--bodies", str(WORK / "split-1.jsonl"), "--clients", "16", "--expected", str(folder / "scores.json")),
    ]
