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
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pandas as pd
from environments import environment
from processes import THREADS, tree_memory
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from airflow_mlops.core import tags
from airflow_mlops.core.signatures import Column
from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.steps.models import save_model
from airflow_mlops.testing.servers.process import ServerProcess, clean_environment, free_port, wait_until

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "bench"
WORK = BUILD / "serving"
OURS, FLOOR, MLFLOW = "airflow-mlops", "predict alone", "MLflow"
NUMBERS, WORDS = [f"n{number:02}" for number in range(10)], ["carrier", "origin"]
COLUMNS = [*(Column(name, "double", required=False) for name in NUMBERS), *(Column(w, "string", False) for w in WORDS)]
BODIES = 16


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


# What is served.


def rows_of(count: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rows = pd.DataFrame(random.normal(size=(count, len(NUMBERS))), columns=NUMBERS)
    for word in WORDS:
        rows[word] = random.choice(["AA", "B6", "DL", "EV", "UA"], count)
    return rows


def labels_of(rows: pd.DataFrame, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=len(rows))
    return (rows[NUMBERS[0]] + (rows[WORDS[0]] == "UA") + noise > 0).to_numpy().astype(int)


def pipeline(last: Any, seed: int = 0) -> Any:
    rows = rows_of(20_000, seed)
    first = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore"), WORDS),
    )
    return make_pipeline(first, last).fit(rows, labels_of(rows, seed))


def prepare() -> None:
    """The model, for each system in its own form, and the bodies of the requests."""
    model = pipeline(LogisticRegression(max_iter=1000))
    publish(WORK / "ours", 1, model)
    joblib.dump(model, WORK / "model.joblib")
    for rows in (1, 1000):
        frames = [rows_of(rows, 100 + number) for number in range(BODIES)]
        for form, write in FORMS.items():
            text = "\n".join(json.dumps(write(frame)) for frame in frames)
            (WORK / f"{form}-{rows}.jsonl").write_text(text)


def publish(folder: Path, version: int, model: Any) -> None:
    """A version of the registry that is a folder."""
    files = folder / str(version)
    files.parent.mkdir(parents=True, exist_ok=True)
    digest = save_model(files, model, inputs=COLUMNS, outputs="long")
    spec = TrainingSpec("flights", "sklearn.pipeline.Pipeline", target="late")
    (folder / f"{version}.json").write_text(json.dumps({tags.DIGEST: digest, tags.SPEC: json.dumps(spec.to_json())}))


def _split(rows: pd.DataFrame) -> Any:
    return {"dataframe_split": {"columns": list(rows.columns), "data": rows.to_numpy(dtype=object).tolist()}}


def _lists(rows: pd.DataFrame) -> Any:
    return {"rows": rows.to_numpy(dtype=object).tolist()}


def _tensors(rows: pd.DataFrame) -> Any:
    kinds = {"float64": ("FP64", "np"), "str": ("BYTES", "str")}
    inputs = [
        {
            "name": name,
            "shape": [len(rows), 1],
            "datatype": kinds[str(rows[name].dtype)][0],
            "parameters": {"content_type": kinds[str(rows[name].dtype)][1]},
            "data": rows[name].tolist(),
        }
        for name in rows.columns
    ]
    return {"parameters": {"content_type": "pd"}, "inputs": inputs}


FORMS: dict[str, Callable[[pd.DataFrame], Any]] = {"split": _split, "lists": _lists, "tensors": _tensors}


# Who serves it.


@dataclass(frozen=True)
class System:
    """A server that runs, or why it does not."""

    name: str
    path: str
    form: str
    port: int
    failure: str | None = None


def started(stack: ExitStack, name: str) -> System:
    port = free_port()
    starters = {"ours": _ours, "mlflow": _mlflow, "bentoml": _bentoml, "mlserver": _mlserver}
    system, command, health, env = starters[name](port)
    if system.failure or command is None:
        return system
    process = ServerProcess(system.name, [str(part) for part in command], log=WORK / f"{name}.log", env=env)
    stack.callback(process.stop)
    process.start()
    try:
        wait_until(lambda: _answers(port, health), [process], 180)
    except Exception as error:  # the rest is measured all the same
        return System(system.name, system.path, system.form, port, " ".join(str(error).split())[-300:])
    return system


def _ours(port: int) -> Any:
    script = ROOT / "bench" / "peers" / "serving_ours.py"
    command = [sys.executable, script, WORK / "ours", "--port", port]
    return System(OURS, "/invocations", "split", port), command, "/ready", {**clean_environment(), **ONE}


def _mlflow(port: int) -> Any:
    command = [
        *(sys.executable, "-m", "mlflow", "models", "serve", "-m", WORK / "ours" / "1"),
        *("--env-manager", "local", "-h", "127.0.0.1", "-p", port),
    ]
    paths = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**clean_environment(), **ONE, "PATH": paths, "MLFLOW_DISABLE_TELEMETRY": "true"}
    return System(MLFLOW, "/invocations", "split", port), command, "/health", env


def _bentoml(port: int) -> Any:
    python = environment("bentoml")
    if isinstance(python, str):
        return System("BentoML", "", "", port, python), None, "", {}
    command = [
        *(python, "-m", "bentoml", "serve", "bentoml_service:Scorer", "--host", "127.0.0.1", "--port", port),
        *("--working-dir", ROOT / "bench" / "peers"),
    ]
    env = {**clean_environment(), **ONE, "MODEL": str(WORK / "model.joblib"), "BENTOML_DO_NOT_TRACK": "True"}
    env |= {"BENTOML_HOME": str(WORK / "bentoml"), "PATH": f"{python.parent}:{os.environ['PATH']}"}
    return System("BentoML", "/predict", "lists", port), command, "/readyz", env


def _mlserver(port: int) -> Any:
    python = environment("mlserver")
    if isinstance(python, str):
        return System("MLServer", "", "", port, python), None, "", {}
    folder = WORK / "mlserver"
    folder.mkdir()
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_endpoint": None}
    settings |= {"metrics_port": free_port(), "parallel_workers": 0, "debug": False}
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {"name": "flights", "implementation": "mlserver_sklearn.SKLearnModel", "max_batch_size": 2048}
    model |= {"max_batch_time": 0.001, "parameters": {"uri": str(WORK / "model.joblib")}}
    (folder / "model-settings.json").write_text(json.dumps(model))
    command = [python.parent / "mlserver", "start", folder]
    env = {**clean_environment(), **ONE, "PATH": f"{python.parent}:{os.environ['PATH']}"}
    return System("MLServer", "/v2/models/flights/infer", "tensors", port), command, "/v2/models/flights/ready", env


#: Every system predicts on one thread; the machine's other cores are for its connections and its clients.
ONE = dict.fromkeys(THREADS, "1")


def _answers(port: int, path: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


# What they are asked.


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
    program = (
        "import sys, time, json, joblib, bench_rows\n"
        "model, frames, found = joblib.load(sys.argv[1]), bench_rows.frames(int(sys.argv[2])), []\n"
        "end = time.perf_counter() + float(sys.argv[3]) + 1\n"
        "while (begin := time.perf_counter()) < end:\n"
        "    model.predict(frames[len(found) % len(frames)]); found.append(time.perf_counter() - begin)\n"
        "found = sorted(found[len(found) // 6:]); at = lambda q: round(found[int(q * len(found))] * 1000, 3)\n"
        "print(json.dumps({'requests': len(found), 'failures': 0, 'rps': round(len(found) / sum(found), 1),"
        " 'p50_ms': at(.5), 'p99_ms': at(.99)}))\n"
    ).replace("bench_rows", "serving_rows")
    (WORK / "serving_rows.py").write_text(
        "import json, pandas as pd\n"
        "def frames(rows):\n"
        f"    lines = open({str(WORK)!r} + f'/split-{{rows}}.jsonl').read().splitlines()\n"
        "    return [pd.DataFrame(s['data'], columns=s['columns']) for s in"
        " (json.loads(line)['dataframe_split'] for line in lines)]\n"
    )
    command = [sys.executable, "-c", program, str(WORK / "model.joblib"), str(rows), str(seconds)]
    env = {**clean_environment(), **ONE, "PYTHONPATH": str(WORK)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env, timeout=300)
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
    names = {"single_row": "single_row", "single_client": "single_client", "batch_1000": "batch_1000"}
    names["batch_1000_8_clients"] = "batch_1000_8_clients"
    found: dict[str, Any] = {}
    for work, name in names.items():
        rps = {row["system"]: row["rps"] for row in result[work] if "rps" in row and not row["failures"]}
        peers = {system: value for system, value in rps.items() if system not in (OURS, FLOOR)}
        if OURS in rps and MLFLOW in rps:
            found[f"ratio_{name}"] = round(rps[OURS] / rps[MLFLOW], 2)
        if OURS in rps and peers:
            best = max(peers, key=peers.__getitem__)
            found[f"ratio_{name}_best_peer"] = round(rps[OURS] / peers[best], 2)
            found[f"{name}_best_peer"] = best
    return found


# Hot swaps.


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
        wait_until(lambda: _answers(port, "/ready"), [process], 180)
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


def told(result: dict[str, Any]) -> None:
    """Write what is known so far."""
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "serving.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
