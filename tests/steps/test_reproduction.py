"""Models once more from their records: the same, not the same, and new ones with parts overridden."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from upath import UPath

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import tags
from airflow_mlops.core.gate import GatePolicy
from airflow_mlops.core.reproduction import Overrides
from airflow_mlops.core.training import RunFacts, TrainedModel, TrainingSpec
from airflow_mlops.core.windows import TrainingWindow, instant
from airflow_mlops.exceptions import (
    ConfigurationError,
    DigestMismatch,
    MlopsError,
    RegistryError,
    SnapshotError,
    TrainingError,
    UntrustedRecord,
)
from airflow_mlops.steps.evaluation import EvaluationSpec, evaluate_model
from airflow_mlops.steps.logged_models import upload_text
from airflow_mlops.steps.models import environment
from airflow_mlops.steps.registry import register
from airflow_mlops.steps.reproduction import Candidate, Sources, find_record, reproduce, rerun
from airflow_mlops.steps.reproduction.data import plain_source
from airflow_mlops.steps.reproduction.search import search
from airflow_mlops.steps.snapshots import Snapshot, ingest, prepare
from airflow_mlops.steps.sources import CallableSource
from airflow_mlops.steps.training import train
from airflow_mlops.steps.weighing import promote_chosen, weigh
from airflow_mlops.store.snapshots import write_snapshot
from airflow_mlops.testing.invariants import check_invariants

LOGISTIC = "sklearn.linear_model.LogisticRegression"
START, PER_DAY = datetime(2026, 1, 1, tzinfo=UTC), 12
WINDOW = TrainingWindow(lookback="40d", test="20d", gap="1d", label_delay="2d", timezone="Europe/Paris")
AS_OF, LATER = "2026-03-20T00:00:00+00:00", "2026-04-03T00:00:00+00:00"
EVALUATION = EvaluationSpec("roc_auc", clusters="day")
POLICY = GatePolicy("roc_auc", min_rows=50, min_positives=20, at_least={"roc_auc": 0.6})


def days(*, as_of: datetime, flip: str | None = None, **_: Any) -> pa.Table:
    """Rows of every day before the as-of; ``y`` and ``amount`` follow ``x``, but ``y`` from the day ``flip`` on."""
    size = (as_of - START).days * PER_DAY
    flipped = (instant(flip) - START).days * PER_DAY if flip else size
    random = np.random.default_rng(5)
    noise = random.normal(size=(size, 2))
    return pa.table(
        {
            "day": pa.array([START + timedelta(days=i // PER_DAY) for i in range(size)], pa.timestamp("us", "UTC")),
            "id": np.arange(size),
            "x": noise[:, 0],
            "n": random.normal(size=size),
            "y": ((noise.sum(axis=1) > 0) ^ (np.arange(size) >= flipped)).astype(np.int64),
            "amount": 3 * noise[:, 0] + noise[:, 1],
            "word": np.digitize(noise.sum(axis=1), [-0.5, 0.5]).astype(str),
        }
    )


def tidy(rows: pa.Table, drop: str) -> pa.Table:
    return rows.drop_columns([drop])


def tidy_days(days: pa.Table) -> pa.Table:
    return days.drop_columns(["n"])


def pipeline(**params: Any) -> Pipeline:
    """Random in three places: the split for early stopping, the binning's sample, the columns of each split."""
    boosting = HistGradientBoostingClassifier(
        early_stopping=True, n_iter_no_change=3, max_features=0.5, max_iter=20, **params
    )
    return make_pipeline(StandardScaler(), boosting)


#: What the author of a DAG names.
NAMED = [f"{__name__}.{function}" for function in ("tidy", "tidy_days", "pipeline")]
DECLARED = [{"callable": f"{__name__}.days", "order_by": ["id"]}]


def touch(path: str, **_: Any) -> Any:
    """What a stranger would have a worker run."""
    Path(path).touch()


@pytest.fixture
def snapshot(store: UPath) -> Callable[..., Snapshot]:
    """The source called ``days``, prepared by an argument called ``rows``."""

    def make(as_of: str = AS_OF, window: TrainingWindow | None = WINDOW) -> Snapshot:
        source = CallableSource(f"{__name__}.days", ["id"])
        raw = ingest(store, name="days", source=source, as_of=instant(as_of), window=window, event_time="day")
        return prepare(
            store,
            name="tidy",
            function=tidy,
            inputs={"rows": raw},
            kwargs={"drop": "n"},
            order_by=["id"],
            code_version="git:1",
        )

    return make


def spec_of(name: str, **changes: Any) -> TrainingSpec:
    return replace(TrainingSpec(name, LOGISTIC, target="y", exclude=["id", "amount", "word"]), **changes)


@pytest.fixture
def trained(client: MlflowClient, snapshot: Callable[..., Snapshot], model_name: str) -> Callable[..., TrainedModel]:
    """A model that was trained and evaluated, and its record."""

    def make(metric: str = "roc_auc", made: Snapshot | None = None, **changes: Any) -> TrainedModel:
        made = made or snapshot()
        model = train(client, snapshot=made, spec=spec_of(model_name, **changes), run=RunFacts(code_version="git:1"))
        evaluate_model(client, model=model, snapshot=made, spec=replace(EVALUATION, metric=metric))
        return model

    return make


def repeat(client: MlflowClient, model: TrainedModel, which: str | int | None = None, **how: Any) -> Any:
    record = find_record(client, model.model, which or model.model_id)
    return reproduce(client, record, **{"code_version": "git:1", "functions": NAMED, **how})


def evidence_of(client: MlflowClient, model: TrainedModel, path: str, folder: Path) -> Any:
    client.tracking.download(client.tracking.artifact_uri(model.run_id), folder)
    return json.loads((folder / path).read_text())


REGRESSION = {"task": "regression", "target": "amount", "exclude": ["id", "y", "word"]}


@pytest.mark.parametrize(
    ("metric", "changes", "figures"),
    [
        ("roc_auc", {}, 8),
        ("roc_auc", {"estimator": f"{__name__}.pipeline", "params": {"max_bins": 16}}, 8),
        ("mae", {**REGRESSION, "estimator": "sklearn.linear_model.SGDRegressor", "params": {"tol": 0.01}}, 5),
        ("log_loss", {"target": "word", "exclude": ["id", "y", "amount"]}, 3),
    ],
    ids=["logistic", "boosting with chance in three places", "regression", "three words"],
)
def test_the_same_record_gives_the_same_model(
    metric: str, changes: Mapping[str, Any], figures: int, client: MlflowClient, tmp_path: Path,
    trained: Callable[..., TrainedModel],
) -> None:  # fmt: skip
    model = trained(metric, **changes)
    found = repeat(client, model)
    assert found.sentence == (
        f"Reproduced: {figures} metrics equal to 1e-12, 240 predictions identical; code and data the same, "
        "no package differs."
    )
    assert client.tracking.model(model.model_id).tags[tags.REPRODUCED] == found.sentence
    assert evidence_of(client, model, "reproduction/reproduction.json", tmp_path) == found.to_json()
    assert len(client.tracking.models(model.experiment_id, {})) == 1


def test_data_without_a_time_are_split_as_they_were(
    client: MlflowClient, store: UPath, trained: Callable[..., TrainedModel]
) -> None:
    rows = ingest(store, name="all", source=CallableSource(f"{__name__}.days", ["id"]), as_of=instant(AS_OF))
    model = trained(made=rows, seed=11, exclude=["id", "amount", "word", "day"])
    assert repeat(client, model).reproduced


def test_the_verdict_stands_on_the_version(client: MlflowClient, trained: Callable[..., TrainedModel]) -> None:
    model = trained()
    version, _ = register(client, model)
    client.registry.set_alias(model.model, "champion", version.version)
    for which in ("champion", model.model_id):
        assert repeat(client, model, which).version == version.version
    assert client.registry.version(model.model, 1).tags[tags.REPRODUCED].startswith("Reproduced: 8 metrics")
    assert tags.REPRODUCED not in client.tracking.model(model.model_id).tags
    assert [one.version for one in client.registry.versions(model.model)] == [1]


def test_another_seed_is_another_model_and_the_metrics_say_so(
    client: MlflowClient, trained: Callable[..., TrainedModel]
) -> None:
    model = trained(estimator=f"{__name__}.pipeline")
    other = {**json.loads(model.facts[tags.SPEC]), "seed": 1}
    client.tracking.tag_model(model.model_id, {tags.SPEC: json.dumps(other)})
    found = repeat(client, model)
    assert not found.reproduced
    assert found.sentence.startswith("Not reproduced: roc_auc 0.")
    assert "of 240 predictions differ by up to 0." in found.sentence
    assert client.tracking.model(model.model_id).tags[tags.REPRODUCED] == found.sentence


def test_what_surrounds_the_fit_is_compared_too(client: MlflowClient, trained: Callable[..., TrainedModel]) -> None:
    model = trained()
    artifacts = client.tracking.artifact_uri(model.run_id)
    then = "".join(line for line in environment().splitlines(keepends=True) if not line.startswith("numpy=="))
    upload_text(client, artifacts, {"environment.txt": f"{then}numpy==1.0\nabsent==2.0\n"})
    found = repeat(client, model, code_version="git:2")
    assert found.reproduced
    assert "the code differs: git:1 -> git:2, data the same, 2 packages differ (numpy 1.0 -> " in found.sentence
    assert found.sentence.endswith(", absent 2.0 removed).")


def test_the_threads_of_then_are_used_again(client: MlflowClient, trained: Callable[..., TrainedModel]) -> None:
    model = trained()
    client.tracking.tag_model(model.model_id, {tags.THREADS: "2"})
    assert repeat(client, model, threads=1).threads == 2
    client.tracking.tag_model(model.model_id, {tags.THREADS: tags.UNKNOWN})
    assert repeat(client, model, threads=1).threads == 1


def overwrite(folder: Path) -> None:
    """One value of one row, and a manifest that knows the new file."""
    (part,) = folder.glob("*.parquet")
    rows = pq.read_table(part)
    x = rows["x"].to_pylist()
    pq.write_table(rows.set_column(rows.column_names.index("x"), "x", [[x[0] + 1, *x[1:]]]), part)


def overwrite_and_cover_up(folder: Path) -> None:
    overwrite(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    for file in manifest["files"]:
        file["sha256"] = hashlib.sha256((folder / file["name"]).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def swap(folder: Path) -> None:
    """Another snapshot in its place, whole in itself."""
    (manifest,) = folder.parent.parent.glob("days/*/manifest.json")
    shutil.rmtree(folder)
    shutil.copytree(manifest.parent, folder)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (overwrite, "is not what its manifest says"),
        (overwrite_and_cover_up, "The rows of snapshot .* are not those of its data version"),
        (swap, "has data version [0-9a-f]{12}, it was trained on [0-9a-f]{12}"),
        (shutil.rmtree, "There is no snapshot at"),
    ],
)
def test_rows_that_are_not_those_of_then_are_an_error(
    damage: Callable[[Path], None], complaint: str, client: MlflowClient, trained: Callable[..., TrainedModel]
) -> None:
    model = trained()
    damage(Path(UPath(model.facts[tags.SNAPSHOT]).path))
    with pytest.raises(SnapshotError, match=complaint):
        repeat(client, model)
    assert tags.REPRODUCED not in client.tracking.model(model.model_id).tags


def test_a_model_file_that_was_changed_is_no_witness(
    client: MlflowClient, trained: Callable[..., TrainedModel]
) -> None:
    model = trained()
    upload_text(client, model.artifact_uri, {"more.txt": "x"})
    with pytest.raises(DigestMismatch):
        repeat(client, model)


def test_a_record_that_cannot_be_read_says_why(client: MlflowClient, trained: Callable[..., TrainedModel]) -> None:
    model = trained()
    name = model.model
    client.registry.ensure_model(name)
    client.registry.create_version(name, f"models:/{model.model_id}", None, {tags.DATA_VERSION: tags.UNKNOWN})
    client.registry.create_version(name, "s3://elsewhere/model", None, {})
    for which, complaint in {
        1: "its record lacks mlops.data_version",
        2: "no logged model behind it",
        9: "9",
        "champion": "no alias champion: give a version number, an alias, or a model id",
        "m-absent": "m-absent",
        "latest": "reserved",
    }.items():
        with pytest.raises((RegistryError, ConfigurationError), match=complaint):
            find_record(client, name, which)
    with pytest.raises(RegistryError, match=f"is one of {name}, not of other"):
        find_record(client, "other", model.model_id)
    client.tracking.tag_model(model.model_id, {tags.SPEC: "{"})
    with pytest.raises(RegistryError, match="its record cannot be read"):
        find_record(client, name, model.model_id)


@pytest.fixture
def again(client: MlflowClient, store: UPath) -> Callable[..., Candidate]:
    """A candidate of a model, with overrides."""

    def make(parent: TrainedModel, how: Mapping[str, Any] | None = None, **overrides: Any) -> Candidate:
        return rerun(
            client,
            Sources(store, declared=DECLARED, functions=NAMED, timezone="Europe/Paris"),
            find_record(client, parent.model, parent.model_id),
            Overrides(**overrides),
            run=RunFacts(code_version="git:1"),
            **{"evaluation": EVALUATION, "policy": POLICY, **(how or {})},
        )

    return make


def test_other_parameters_make_a_candidate_of_the_same_rows(
    client: MlflowClient, trained: Callable[..., TrainedModel], again: Callable[..., Candidate]
) -> None:
    parent = trained()
    found = again(parent, params={"C": 0.01}, seed=4)
    facts = client.tracking.model(found.model.model_id).tags
    assert found.model.model_id != parent.model_id
    assert (facts[tags.PARENT], found.parent) == (parent.model_id, parent.model_id)
    assert facts[tags.DATA_VERSION] == parent.facts[tags.DATA_VERSION]
    assert found.model.spec == replace(parent.spec, params={"C": 0.01}, seed=4)
    assert facts[tags.VERDICT] == "promote"
    assert facts[tags.VERDICT_SUMMARY] in found.sentence
    assert f"airflow-mlops promote {parent.model} {found.model.model_id} --reason" in found.sentence
    assert client.registry.versions(parent.model) == []
    assert tags.PARENT not in client.tracking.model(parent.model_id).tags
    promote_chosen(client, parent.model, found.model.model_id, reason="less C", actor="ada")
    assert client.registry.version(parent.model, 1).tags[tags.PARENT] == parent.model_id
    check_invariants(client, parent.model)


def test_a_candidate_is_weighed_as_its_parent_was(
    client: MlflowClient, trained: Callable[..., TrainedModel], again: Callable[..., Candidate]
) -> None:
    parent = trained()
    weigh(client, parent, evaluation=EVALUATION, policy=replace(POLICY, at_least={"roc_auc": 0.9}))
    found = again(parent, {"evaluation": None, "policy": None}, params={"C": 0.01})
    assert found.verdict is not None
    assert (found.verdict.decision, found.verdict.reason_code) == ("reject", "not_good_enough")
    assert "To promote it" not in found.sentence


def test_overrides_that_change_nothing_find_the_model_itself(
    client: MlflowClient, trained: Callable[..., TrainedModel], again: Callable[..., Candidate]
) -> None:
    parent = trained(params={"C": 0.5})
    found = again(parent, params={"C": 0.5})
    assert found.sentence == f"No new candidate: these overrides lead to {parent.model_id} itself."
    assert tags.VERDICT not in client.tracking.model(parent.model_id).tags
    assert found.to_json()["verdict"] is None
    sibling = trained(params={"C": 0.1})
    assert again(parent, params={"C": 0.1}).sentence.startswith(
        f"Candidate {sibling.model_id}, which was there before. Accepted"
    )


def test_two_weeks_later_on_the_data_of_that_day(
    client: MlflowClient, snapshot: Callable[..., Snapshot], trained: Callable[..., TrainedModel],
    again: Callable[..., Candidate],
) -> None:  # fmt: skip
    """As the continuous training would have made it then, across a change of the clocks."""
    parent = trained()
    found = again(parent, as_of=LATER)
    by_training = snapshot(LATER)
    assert f"made of {parent.model_id}. Accepted" in found.sentence
    assert found.model.facts[tags.AS_OF] == LATER
    assert found.model.facts[tags.SNAPSHOT] == by_training.uri
    assert found.model.facts[tags.DATA_VERSION] == by_training.manifest.data_version
    assert found.model.facts[tags.PARENT] == parent.model_id
    check_invariants(client, parent.model)
    assert repeat(client, found.model).reproduced


def test_another_window_of_the_same_day(
    trained: Callable[..., TrainedModel], again: Callable[..., Candidate], snapshot: Callable[..., Snapshot]
) -> None:
    window = {"lookback": "30d", "test": "20d"}
    found = again(trained(), window=window)
    assert found.model.facts[tags.AS_OF] == AS_OF
    assert found.model.facts[tags.SNAPSHOT] == snapshot(AS_OF, TrainingWindow(**window)).uri


def test_a_manifest_that_names_no_arguments_is_read_by_the_names_of_its_parents(
    snapshot: Callable[..., Snapshot], store: UPath
) -> None:
    made = snapshot()
    source = {"prepare": f"{__name__}.tidy_days", "kwargs": {}}
    table = made.table()
    old = write_snapshot(store, table.to_batches(), table.schema, replace(made.manifest, source=source, files=[]))
    sources = Sources(store, declared=DECLARED, functions=NAMED, timezone="Europe/Paris")
    found = sources.overridden(old, Overrides(as_of=LATER))
    assert found.manifest.data_version == snapshot(LATER).manifest.data_version


def test_rows_read_anew_are_cut_and_corrected_as_those_of_the_record(store: UPath) -> None:
    rows = ingest(
        store,
        name="days",
        source=CallableSource(f"{__name__}.days", ["id"]),
        as_of=instant(AS_OF),
        window=replace(WINDOW, knowledge_time="day"),
        event_time="day",
        key=["id"],
    )
    for overrides in (Overrides(window={"lookback": "20d", "test": "10d"}), Overrides(as_of=LATER)):
        found = Sources(store, declared=DECLARED).overridden(rows, overrides).manifest
        assert (found.knowledge_time, found.source) == ("day", rows.manifest.source)


@pytest.mark.parametrize("by", ["digits", "URI"])
def test_another_snapshot_beside_the_recorded_one(
    by: str, trained: Callable[..., TrainedModel], again: Callable[..., Candidate], snapshot: Callable[..., Snapshot]
) -> None:
    parent, other = trained(), snapshot(LATER)
    wanted = {"digits": other.manifest.data_version[:12], "URI": other.uri}[by]
    assert again(parent, data_version=wanted).model.facts[tags.SNAPSHOT] == other.uri


def test_a_data_version_that_nobody_has(trained: Callable[..., TrainedModel], again: Callable[..., Candidate]) -> None:
    with pytest.raises(SnapshotError, match="No snapshot of tidy has data version 00000000: look below"):
        again(trained(), data_version="0" * 8)


def test_the_best_of_a_search_becomes_the_candidate(
    client: MlflowClient, trained: Callable[..., TrainedModel], again: Callable[..., Candidate], tmp_path: Path
) -> None:
    parent = trained(params={"C": 1e-6})
    space = {"C": [1e-6, 1.0], "fit_intercept": [True, False], "max_iter": [200]}
    found = again(parent, search_space=space)
    told = evidence_of(client, found.model, "search/search.json", tmp_path)
    assert (told["metric"], told["folds"], told["space"], len(told["trials"])) == ("roc_auc", "TimeSeriesSplit", 4, 4)
    best = max(trial["mean"] for trial in told["trials"])
    assert told["best"]["mean"] == best
    assert found.model.spec.params == {**parent.spec.params, **told["best"]["params"]}
    assert found.model.facts[tags.PARENT] == parent.model_id
    assert again(found.model, search_space={"C": [1e-6, 1.0]}).sentence == (
        f"No new candidate: the best of 2 sets of parameters is that of {found.model.model_id} itself."
    )


def test_a_search_reads_no_row_of_the_test(store: UPath) -> None:
    """The rows of the test say the opposite in one of the two."""
    found = []
    for flip in (None, "2026-02-26"):
        source = CallableSource(f"{__name__}.days", ["id"], {"flip": flip})
        rows = ingest(store, name="days", source=source, as_of=instant(AS_OF), window=WINDOW, event_time="day")
        found.append((search(rows, spec_of("m"), {"C": [0.01, 1.0]}, metric="log_loss"), rows.manifest.data_version))
    assert found[0][0] == found[1][0]
    assert found[0][1] != found[1][1]


def test_a_search_goes_by_the_time_of_the_rows_and_not_by_their_order(store: UPath) -> None:
    """Forty days in four parts: the third says the opposite of the first two, which no mixture of days would show."""
    scores = []
    for order in ("id", "n"):
        source = CallableSource(f"{__name__}.days", [order], {"flip": "2026-02-05"})
        rows = ingest(store, name=order, source=source, as_of=instant(AS_OF), window=WINDOW, event_time="day")
        (trial,) = search(rows, spec_of("m"), {"C": [1.0]}, metric="roc_auc").trials
        scores.append(trial.scores)
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    assert scores[0][0] > 0.75
    assert scores[0][1] < 0.25


def test_a_search_is_bounded_seeded_and_takes_the_lowest_loss(
    client: MlflowClient, store: UPath, trained: Callable[..., TrainedModel], again: Callable[..., Candidate]
) -> None:
    rows = ingest(store, name="all", source=CallableSource(f"{__name__}.days", ["id"]), as_of=instant(AS_OF))
    parent = trained(
        "mae", rows, **{**REGRESSION, "exclude": ["id", "y", "word", "day"]}, estimator="sklearn.linear_model.Ridge"
    )
    how = {
        "evaluation": EvaluationSpec("mae"),
        "policy": GatePolicy("mae", min_rows=50),
        "max_fits": 11,
    }
    space = {"alpha": [0.1, 1e3, 1e5, 1e7, 1e9]}
    first, second = (again(parent, how, search_space=space).search for _ in range(2))
    assert first is not None
    assert first == second
    assert (first.space, len(first.trials), first.folds) == (5, 3, "KFold")
    assert first.best.mean == min(trial.mean for trial in first.trials)


@pytest.mark.parametrize(
    ("space", "max_fits", "kind", "complaint"),
    [
        ({"C": [1.0, 2.0]}, 2, ConfigurationError, "2 fits do not try one set of parameters, which takes 3"),
        ({"C": [1.0, -1.0]}, 60, TrainingError, "'C' parameter"),
        ({"nonsense": [1]}, 60, TrainingError, "refused its parameters: .*nonsense"),
        ({"penalty": ["l1"], "solver": ["lbfgs"]}, 60, TrainingError, "Search: .* with .*l1.* failed"),
    ],
)
def test_a_search_that_cannot_work(
    space: Any, max_fits: int, kind: type[MlopsError], complaint: str, trained: Callable[..., TrainedModel],
    again: Callable[..., Candidate],
) -> None:  # fmt: skip
    with pytest.raises(kind, match=complaint):
        again(trained(), {"max_fits": max_fits}, search_space=space)


def test_a_parent_that_was_never_judged_does_not_say_how(
    trained: Callable[..., TrainedModel], again: Callable[..., Candidate]
) -> None:
    with pytest.raises(ConfigurationError, match="was never judged, and nothing says how"):
        again(trained(), {"policy": None}, params={"C": 2.0})


def test_a_source_behind_a_connection_is_asked_from_airflow() -> None:
    with pytest.raises(ConfigurationError, match="needs a connection: ask it from Airflow"):
        plain_source({"sql": "SELECT 1", "conn_id": "warehouse", "order_by": ["a"]}, None)


@pytest.mark.parametrize("estimator", [f"{__name__}.touch", "sklearn.utils._testing.check_output"])
def test_a_record_alone_makes_nobody_import_an_estimator(
    estimator: str, client: MlflowClient, trained: Callable[..., TrainedModel], again: Callable[..., Candidate],
    tmp_path: Path,
) -> None:  # fmt: skip
    """Whoever writes to MLflow could have any function called; scikit-learn's modules hold other people's too."""
    model, trace = trained(), tmp_path / "trace"
    params = {"path": str(trace)} if estimator.endswith("touch") else {"args": ["touch", str(trace)]}
    record = json.loads(model.facts[tags.SPEC]) | {"estimator": estimator, "params": params}
    client.tracking.tag_model(model.model_id, {tags.SPEC: json.dumps(record)})
    with pytest.raises(UntrustedRecord, match=f"the estimator {estimator}, which was not imported"):
        repeat(client, model)
    with pytest.raises(UntrustedRecord, match="Name it in functions"):
        again(model, seed=4)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ({"prepare": f"{__name__}.touch", "kwargs": {}, "inputs": ["path"]}, "the function .*touch, which was not"),
        ({"callable": f"{__name__}.touch", "kwargs": {}, "order_by": ["id"]}, "a source, callable .*touch, which was"),
        ({"callable": f"{__name__}.days", "kwargs": {"flip": AS_OF}, "order_by": ["id"]}, "a source, callable"),
        ({"sql": "DROP TABLE t", "connection": "warehouse", "order_by": ["id"]}, "a query on connection warehouse"),
        ({"files": "s3://vault@secrets/all"}, "files s3://vault@secrets/all, which was not read"),
    ],
)
def test_a_manifest_alone_makes_nobody_read_a_source(
    source: dict[str, Any], complaint: str, snapshot: Callable[..., Snapshot], store: UPath
) -> None:
    made = snapshot()
    table = made.table()
    forged = write_snapshot(store, table.to_batches(), table.schema, replace(made.manifest, source=source, files=[]))
    with pytest.raises(UntrustedRecord, match=complaint):
        Sources(store, declared=DECLARED, functions=NAMED).overridden(forged, Overrides(as_of=LATER))
