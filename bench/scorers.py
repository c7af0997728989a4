"""What online scoring is measured with: a model in each system's own form, and the servers that answer with it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pandas as pd
from environments import environment
from processes import THREADS
from sklearn.compose import make_column_transformer
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
#: Every system predicts on one thread; the machine's other cores are for its connections and its clients.
ONE = dict.fromkeys(THREADS, "1")


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
        wait_until(lambda: answers(port, health), [process], 180)
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


def answers(port: int, path: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False
