"""Training without Airflow: refusals, seeds, exactly one model, and the kinds of targets."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_info, threadpool_limits
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings
from airflow_mlops.clients.mlflow.tracking import LoggedModel, MlflowTracking
from airflow_mlops.core import tags
from airflow_mlops.core.gate import GatePolicy
from airflow_mlops.core.training import RunFacts, TrainedModel, TrainingSpec
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import MlopsError, NotEnoughData, ServiceUnavailable, TrainingError
from airflow_mlops.steps.evaluation import EvaluationSpec, evaluate_model, predict
from airflow_mlops.steps.gate import judge_model
from airflow_mlops.steps.packages import load_model
from airflow_mlops.steps.snapshots import Snapshot, ingest
from airflow_mlops.steps.sources import CallableSource
from airflow_mlops.steps.training import build_estimator, fit, train
from airflow_mlops.testing.invariants import check_invariants

LOGISTIC = "sklearn.linear_model.LogisticRegression"
FOREST = "sklearn.ensemble.RandomForestClassifier"
BOOSTING = "sklearn.ensemble.HistGradientBoostingClassifier"


def small(target: Any = None) -> pa.Table:
    x = np.linspace(-1, 1, 80)
    target = (x > 0).astype(int) if target is None else target
    return pa.table({"id": np.arange(80), "x": x, "text": ["a", "b"] * 40, "y": target})


@pytest.fixture
def snapshot(store: UPath) -> Callable[..., Snapshot]:
    def make(table: pa.Table | None = None, as_of: str = "2026-10-01") -> Snapshot:
        rows = small() if table is None else table
        source = CallableSource(lambda **_: rows, ["id"])
        return ingest(store, name="rows", source=source, as_of=instant(as_of))

    return make


def spec_of(name: str, **changes: Any) -> TrainingSpec:
    return replace(TrainingSpec(model=name, estimator=LOGISTIC, target="y", features=["x"]), **changes)


def models_of(client: MlflowClient, name: str) -> list[LoggedModel]:
    return client.tracking.models(client.tracking.experiment_id(name), {})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"estimator": BOOSTING, "params": {"max_iter": -1}}, "'max_iter' parameter"),
        ({"estimator": "projects.flight_delays.model", "params": {"max_iter": -1}}, "'max_iter' parameter"),
        ({"params": {"nonsense": 1}}, "refused its parameters: .*nonsense"),
        ({"params": {"C": "much"}}, "'C' parameter"),
        ({"estimator": "builtins.float", "params": {}}, "returned float, not an estimator"),
        ({"estimator": f"{__name__}.choosy"}, "choosy refused its parameters: choose better"),
        ({"features": ["x", "absent"]}, "no column absent"),
        ({"features": ["x", "y"]}, "the target y is among the features"),
        ({"target": "absent"}, "no column absent"),
        ({"features": None, "exclude": ["id", "x", "text"]}, "no feature is left"),
    ],
)
def test_what_cannot_work_is_refused_before_a_row_is_read(
    changes: Any, complaint: str, client: MlflowClient, snapshot: Callable[..., Snapshot], model_name: str
) -> None:
    made = snapshot()
    for file in made.manifest.files:
        Path(made.path.path, file.name).unlink()  # who reads a row now gets a SnapshotError
    with pytest.raises(TrainingError, match=complaint):
        train(client, snapshot=made, spec=spec_of(model_name, **changes))
    assert models_of(client, model_name) == []


def choosy(**_: Any) -> Any:
    raise ValueError("choose better")


def cells(values: list[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind)


@pytest.mark.parametrize(
    ("target", "task", "kind", "complaint"),
    [
        (cells([1] * 80, pa.int64()), "classification", TrainingError, "has one class in the training window"),
        (cells([None] * 80, pa.int64()), "classification", NotEnoughData, "no row of this window has a label in y"),
        (cells([None] * 80, pa.null()), "classification", NotEnoughData, "no row of this window has a label in y"),
        (cells([None] * 80, pa.float64()), "regression", NotEnoughData, "no row of this window has a label in y"),
        (cells([1.0, np.nan] * 40, pa.float64()), "regression", TrainingError, "y holds NaN or infinity"),
        (cells([1.0, np.inf] * 40, pa.float64()), "regression", TrainingError, "y holds NaN or infinity"),
        (cells([0.0, np.nan] * 40, pa.float64()), "classification", TrainingError, "y holds NaN or infinity"),
        (cells([0] * 79 + [1], pa.int64()), "classification", TrainingError, "cannot be split into train and test"),
        (cells([0.5, 1.5] * 40, pa.float64()), "classification", TrainingError, "the fit failed: Unknown label type"),
    ],
)
def test_labels_that_teach_nothing(
    target: Any, task: str, kind: type[MlopsError], complaint: str,
    client: MlflowClient, snapshot: Callable[..., Snapshot], model_name: str,
) -> None:  # fmt: skip
    estimator = LOGISTIC if task == "classification" else "sklearn.linear_model.Ridge"
    with pytest.raises(kind, match=complaint):
        train(client, snapshot=snapshot(small(target)), spec=spec_of(model_name, task=task, estimator=estimator))
    assert models_of(client, model_name) == []


def test_rows_without_a_label_are_left_out(
    client: MlflowClient, snapshot: Callable[..., Snapshot], model_name: str
) -> None:
    target = pa.array([None if i % 4 == 0 else int(i > 40) for i in range(80)])
    model = train(client, snapshot=snapshot(small(target)), spec=spec_of(model_name))
    assert model.facts[tags.TRAIN_ROWS] == "45"  # three quarters of the 60 with a label


def test_a_feature_that_the_estimator_cannot_take_fails_the_fit_with_its_words(
    client: MlflowClient, snapshot: Callable[..., Snapshot], model_name: str
) -> None:
    with pytest.raises(TrainingError, match="the fit failed: could not convert string to float"):
        train(client, snapshot=snapshot(), spec=spec_of(model_name, features=["text"]))


def forest_in_pipeline(random_state: int | None = None) -> Pipeline:
    return Pipeline([("forest", RandomForestClassifier(3, random_state=random_state))])


@pytest.mark.parametrize(
    ("estimator", "params", "where"),
    [
        (FOREST, {"n_estimators": 3}, "random_state"),
        (f"{__name__}.forest_in_pipeline", {}, "forest__random_state"),
    ],
)
def test_every_open_seed_is_set_and_none_that_was_given(estimator: str, params: dict[str, Any], where: str) -> None:
    spec = TrainingSpec("m", estimator, params, target="y", seed=7)
    assert build_estimator(spec).get_params()[where] == 7
    given = replace(spec, params={**params, "random_state": 3})
    assert build_estimator(given).get_params()[where] == 3


def test_the_same_seed_is_the_same_forest_to_the_byte(
    client: MlflowClient, snapshot: Callable[..., Snapshot], model_name: str
) -> None:
    spec = spec_of(model_name, estimator=FOREST, params={"n_estimators": 5})
    runs = [RunFacts(code_version=f"files:{i}") for i in range(2)]  # two keys, so that both are fitted
    one, two = (train(client, snapshot=snapshot(), spec=spec, run=run) for run in runs)
    assert one.model_id != two.model_id
    rows = small().select(["x"]).to_pandas()
    ours, theirs = (load_model(client, m.artifact_uri, m.facts[tags.DIGEST]).predict_proba(rows) for m in (one, two))
    assert np.array_equal(ours, theirs)


class Constant(ClassifierMixin, BaseEstimator):
    """Says always the same; has no predict_proba."""

    def fit(self, X: Any, y: Any) -> Constant:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])


def test_a_class_of_ones_own_must_be_named_and_then_is_trusted(
    client: MlflowClient, snapshot: Callable[..., Snapshot], model_name: str
) -> None:
    spec, own = spec_of(model_name, estimator=f"{__name__}.Constant"), f"{Constant.__module__}.Constant"
    with pytest.raises(TrainingError, match=f"not trusted: {own}"):
        train(client, snapshot=snapshot(), spec=spec)
    assert models_of(client, model_name) == []
    model = train(client, snapshot=snapshot(), spec=spec, trusted=[own])
    with pytest.raises(TrainingError, match="Constant has no predict_proba"):
        evaluate_model(client, model=model, snapshot=snapshot(), spec=EvaluationSpec("accuracy"), trusted=[own])


class FailsOnce(MlflowTracking):
    """A server that goes away in the middle of the first upload."""

    failed = False

    def upload(self, artifact_uri: str, folder: Path) -> None:
        if not self.failed:
            self.failed = True
            raise ServiceUnavailable("MLflow went away")
        super().upload(artifact_uri, folder)


def test_an_upload_that_breaks_off_leaves_a_failed_run_and_no_model_and_a_retry_succeeds(
    client: MlflowClient, mlflow_uri: str, snapshot: Callable[..., Snapshot], model_name: str
) -> None:
    flaky = MlflowClient(MlflowSettings(mlflow_uri))
    flaky.tracking = FailsOnce(flaky.http)
    with pytest.raises(ServiceUnavailable, match="went away"):
        train(flaky, snapshot=snapshot(), spec=spec_of(model_name))
    assert models_of(client, model_name) == []
    assert statuses(client, model_name) == ["FAILED"]
    model = train(flaky, snapshot=snapshot(), spec=spec_of(model_name))
    assert [m.model_id for m in models_of(client, model_name)] == [model.model_id]
    assert sorted(statuses(client, model_name)) == ["FAILED", "FINISHED"]
    check_invariants(client, model_name)


def statuses(client: MlflowClient, name: str) -> list[str]:
    body = {"experiment_ids": [client.tracking.experiment_id(name)], "max_results": 100}
    return [run["info"]["status"] for run in client.http.search("/runs/search", body, "runs")]


class WaitsToFinish(MlflowTracking):
    """A copy of a task that hangs between its upload and the moment when its model is ready."""

    def __init__(self, http: Any) -> None:
        super().__init__(http)
        self.created, self.may_finish = threading.Event(), threading.Event()

    def create_model(self, *arguments: Any, **named: Any) -> LoggedModel:
        model = super().create_model(*arguments, **named)
        self.created.set()
        return model

    def finish_model(self, model_id: str) -> None:
        assert self.may_finish.wait(60)
        super().finish_model(model_id)


def counted(client: MlflowClient, name: str) -> list[str]:
    return [m.model_id for m in models_of(client, name) if tags.SUPERSEDED_BY not in m.tags]


def test_an_older_copy_that_ends_last_supersedes_the_younger(
    client: MlflowClient, mlflow_uri: str, snapshot: Callable[..., Snapshot], model_name: str
) -> None:
    made, spec = snapshot(), spec_of(model_name)
    slow = MlflowClient(MlflowSettings(mlflow_uri))
    slow.tracking = waiting = WaitsToFinish(slow.http)
    with ThreadPoolExecutor(1) as pool:
        older = pool.submit(train, slow, snapshot=made, spec=spec)
        assert waiting.created.wait(60)
        younger = train(client, snapshot=made, spec=spec)
        assert sorted(statuses(client, model_name)) == ["FINISHED", "KILLED"]  # the younger took the older for dead
        waiting.may_finish.set()
        assert older.result().model_id != younger.model_id
    assert statuses(client, model_name) == ["FINISHED", "FINISHED"]
    assert counted(client, model_name) == [older.result().model_id]
    check_invariants(client, model_name)


class LooksEarly(MlflowTracking):
    """Sees runs open that have ended meanwhile."""

    def open_runs(self, experiment_id: str, with_tags: Mapping[str, str]) -> list[str]:
        found = self._http.search("/runs/search", {"experiment_ids": [experiment_id]}, "runs")
        return [run["info"]["run_id"] for run in found]


def test_a_run_that_ends_while_another_copy_takes_it_for_dead_stays_finished(
    client: MlflowClient, snapshot: Callable[..., Snapshot], model_name: str
) -> None:
    made, spec = snapshot(), spec_of(model_name)
    first = train(client, snapshot=made, spec=spec)
    client.tracking = LooksEarly(client.http)
    assert train(client, snapshot=made, spec=spec).model_id == first.model_id
    assert statuses(client, model_name) == ["FINISHED"]


def test_of_copies_that_race_one_model_counts(
    mlflow_uri: str, client: MlflowClient, snapshot: Callable[..., Snapshot], model_name: str
) -> None:
    made, copies = snapshot(), 3
    together = threading.Barrier(copies)

    def build(**params: Any) -> Any:
        together.wait(60)  # all have looked for the model, and found none
        return build_estimator(spec_of(model_name))

    def copy() -> TrainedModel:
        with MlflowClient(MlflowSettings(mlflow_uri)) as own:
            return train(own, snapshot=made, spec=spec_of(model_name), build=build)

    with ThreadPoolExecutor(copies) as pool:
        for found in [pool.submit(copy) for _ in range(copies)]:
            found.result()
    assert len(models_of(client, model_name)) == copies
    assert len(counted(client, model_name)) == 1
    check_invariants(client, model_name)
    again = train(client, snapshot=made, spec=spec_of(model_name))
    assert ([again.model_id], again.created) == (counted(client, model_name), False)


def frame_of(data: Any, labels: Any = None) -> pa.Table:
    frame = data.frame.rename(columns=lambda name: name.replace(" ", "_").replace("(", "").replace(")", ""))
    frame["id"] = np.arange(len(frame))
    if labels is not None:
        frame["target"] = labels(frame["target"])
    return pa.Table.from_pandas(frame, preserve_index=False)


def benign(target: Any) -> Any:
    return target.map({0: "malignant", 1: "benign"})


def species(target: Any) -> Any:
    return target.map({0: "setosa", 1: "versicolor", 2: "virginica"})


@pytest.mark.parametrize(
    ("table", "task", "estimator", "metric", "output", "policy"),
    [
        (lambda: frame_of(load_diabetes(as_frame=True)), "regression", "sklearn.linear_model.Ridge", "mae", "double",
         {"metric": "mae", "at_most": {"mae": 60}}),
        (lambda: frame_of(load_iris(as_frame=True)), "classification", LOGISTIC, "log_loss", "long",
         {"metric": "log_loss", "min_rows": 30, "min_positives": 10, "at_least": {"accuracy": 0.8}}),
        (lambda: frame_of(load_iris(as_frame=True), species), "classification", LOGISTIC, "accuracy", "string",
         {"metric": "accuracy", "min_rows": 30, "min_positives": 10}),
        (lambda: frame_of(load_breast_cancer(as_frame=True), benign), "classification", BOOSTING, "roc_auc", "string",
         {"metric": "roc_auc", "min_positives": 30}),
        (lambda: frame_of(load_breast_cancer(as_frame=True), lambda y: y == 1), "classification", BOOSTING, "roc_auc",
         "boolean", {"metric": "roc_auc", "min_positives": 30}),
        (lambda: frame_of(load_breast_cancer(as_frame=True), lambda y: y * 1.0), "classification", BOOSTING, "roc_auc",
         "double", {"metric": "roc_auc", "min_positives": 30}),
    ],
    ids=["regression", "three classes", "three words", "two words", "yes and no", "two numbers"],
)  # fmt: skip
def test_every_kind_of_target_goes_from_training_to_a_verdict(
    table: Callable[[], pa.Table], task: str, estimator: str, metric: str, output: str, policy: dict[str, Any],
    client: MlflowClient, snapshot: Callable[..., Snapshot], model_name: str, tmp_path: Path,
) -> None:  # fmt: skip
    made = snapshot(table())
    params = {"max_iter": 30} if estimator == BOOSTING else {"max_iter": 2000}
    spec = TrainingSpec(model_name, estimator, params, task, "target", exclude=["id"])
    model = train(client, snapshot=made, spec=spec)
    found = evaluate_model(client, model=model, snapshot=made, spec=EvaluationSpec(metric))
    verdict = judge_model(client, model=model, evaluation=found, policy=GatePolicy.from_json(policy))
    assert verdict.promote, verdict.summary
    client.tracking.download(model.artifact_uri, tmp_path)
    (signature,) = [line for line in (tmp_path / "MLmodel").read_text().splitlines() if "outputs:" in line]
    assert json.loads(signature.split("outputs: ", 1)[1].strip("'"))[0]["type"] == output
    check_invariants(client, model_name)


def test_labels_of_the_test_that_the_training_did_not_have(
    client: MlflowClient, snapshot: Callable[..., Snapshot], model_name: str
) -> None:
    model = train(client, snapshot=snapshot(), spec=spec_of(model_name))
    other = snapshot(small(pc.add(small()["y"], 1)))
    with pytest.raises(TrainingError, match="the test holds 1 classes of y that the training did not"):
        evaluate_model(client, model=model, snapshot=other, spec=EvaluationSpec("roc_auc"))


def test_the_run_in_mlflow_says_what_was_tried(
    client: MlflowClient, snapshot: Callable[..., Snapshot], model_name: str
) -> None:
    run = RunFacts(run_url="http://airflow/run", code_version="git:abc+123", owner="ada", note="a line\nmore 'quotes'")
    model = train(client, snapshot=snapshot(), spec=spec_of(model_name, params={"C": 0.5}), run=run, threads=1)
    data = client.http.get("/runs/get", run_id=model.run_id)["run"]
    params = {pair["key"]: pair["value"] for pair in data["data"]["params"]}
    assert params["C"] == "0.5"
    assert params["estimator"] == LOGISTIC
    told = {pair["key"]: pair["value"] for pair in data["data"]["tags"]}
    assert told["mlflow.note.content"] == told[tags.NOTE] == run.note
    assert told[tags.CODE_DIRTY] == "true"
    (used,) = data["inputs"]["dataset_inputs"]
    assert json.loads(used["dataset"]["source"])["uri"] == model.facts[tags.SNAPSHOT]


def openmp_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"}


class CountsThreads(LogisticRegression):
    """Notes how many threads it may use."""

    def fit(self, X: Any, y: Any) -> CountsThreads:
        self.threads_ = openmp_threads()
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        self.threads_ = openmp_threads()
        return np.zeros((len(X), 2))


@pytest.mark.parametrize("threads", [1, 3])
def test_a_fit_gets_its_threads_and_a_prediction_one(threads: int) -> None:
    estimator, rows = CountsThreads(), pd.DataFrame({"x": [0.0, 1.0]})
    with threadpool_limits(2):
        fit(estimator, rows, np.array([0, 1]), spec_of("m"), threads)
        assert (estimator.threads_, openmp_threads()) == ({threads}, {2})
        predict(estimator, spec_of("m"), rows)
        assert (estimator.threads_, openmp_threads()) == ({1}, {2})


class Quotes(LogisticRegression):
    """Stumbles over a value, and says which."""

    def predict_proba(self, X: Any) -> Any:
        raise ValueError("could not convert string to float: 'Alice Secretperson'")


def test_a_value_that_a_prediction_stumbles_over_is_not_quoted() -> None:
    with pytest.raises(TrainingError, match="the prediction failed: could not convert") as caught:
        predict(Quotes(), spec_of("m"), None)
    assert "Alice" not in str(caught.value)
    assert caught.value.__cause__ is None
