"""What a training is made of: its key, its columns, its record."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from airflow_mlops.core import tags
from airflow_mlops.core.signatures import Column, output_type, signature_columns, synthetic_example
from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.core.training import RunFacts, TrainedModel, TrainingSpec, training_facts
from airflow_mlops.core.trust import trusted_types
from airflow_mlops.exceptions import ConfigurationError, TrainingError

SPEC = TrainingSpec("m", "a.b", {"depth": 3, "rate": 0.1}, target="y")
CODE = "git:abc"
MANIFEST = Manifest("rows", "d" * 64, 9, [], {}, as_of="2026-10-01T00:00:00+00:00")
WINDOWS = {
    "as_of": "2026-10-01T00:00:00+00:00",
    "train": ["2026-08-01T00:00:00+00:00", "2026-09-01T00:00:00+00:00"],
    "validation": None,
    "test": ["2026-09-02T00:00:00+00:00", "2026-09-30T00:00:00+00:00"],
}


def test_the_key_knows_no_order_of_parameters_and_survives_json() -> None:
    other = replace(SPEC, params={"rate": 0.1, "depth": 3})
    again = TrainingSpec.from_json(json.loads(json.dumps(SPEC.to_json())))
    assert SPEC.key(MANIFEST, CODE) == other.key(MANIFEST, CODE) == again.key(MANIFEST, CODE)
    assert len(SPEC.key(MANIFEST, CODE)) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"}, {"estimator": "a.c"}, {"params": {"depth": 4, "rate": 0.1}}, {"params": {"depth": "3"}},
        {"task": "regression"}, {"target": "z"}, {"features": ["x"]}, {"exclude": ["x"]}, {"seed": 1},
        {"test_size": 0.3},
    ],
)  # fmt: skip
def test_whatever_changes_the_model_changes_the_key(change: dict[str, Any]) -> None:
    assert replace(SPEC, **change).key(MANIFEST, CODE) != SPEC.key(MANIFEST, CODE)


@pytest.mark.parametrize(
    "change", [{"as_of": "2026-10-02T00:00:00+00:00"}, {"data_version": "e" * 64}, {"windows": {}}, {"event_time": "t"}]
)
def test_as_of_data_windows_and_code_change_the_key(change: dict[str, Any]) -> None:
    assert SPEC.key(replace(MANIFEST, **change), CODE) != SPEC.key(MANIFEST, CODE)
    assert SPEC.key(MANIFEST, "git:other") != SPEC.key(MANIFEST, CODE)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model": "../x"}, "Model name '../x' is not allowed"),
        ({"model": "a b"}, "is not allowed"),
        ({"task": "regresion"}, "task 'regresion' is not one of classification, regression, clustering"),
        ({"target": None}, "classification needs a target column"),
        ({"test_size": 0}, "test_size 0 is not between 0 and 1"),
        ({"test_size": 1}, "test_size 1 is not between 0 and 1"),
        ({"test_size": float("nan")}, "test_size nan is not between"),
    ],
)
def test_a_spec_that_cannot_work(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        replace(SPEC, **change)


def test_a_task_without_a_target() -> None:
    spec = TrainingSpec("m", "sklearn.cluster.KMeans", task="clustering")
    assert spec.feature_columns(["day", "x", "z"], "day") == ["x", "z"]


COLUMNS = ["day", "id", "x", "z", "y"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, ["id", "x", "z"]),
        ({"exclude": ["id"]}, ["x", "z"]),
        ({"features": ["z", "x"]}, ["z", "x"]),
        ({"features": ["day"]}, ["day"]),
    ],
)
def test_the_features(change: dict[str, Any], found: list[str]) -> None:
    assert replace(SPEC, **change).feature_columns(COLUMNS, "day") == found


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"target": "label"}, "no column label; the snapshot has day, id, x, z, y"),
        ({"features": ["x", "w"]}, "no column w"),
        ({"features": ["x", "y"]}, "the target y is among the features"),
        ({"features": []}, "no feature is left"),
        ({"exclude": ["id", "x", "z"]}, "no feature is left"),
    ],
)
def test_features_that_are_not_there(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(TrainingError, match=f"Model m: {complaint}"):
        replace(SPEC, **change).feature_columns(COLUMNS, "day")


@pytest.mark.parametrize(
    ("arrow", "mlflow"),
    [
        ("bool", "boolean"), ("int8", "double"), ("int64", "double"), ("uint32", "double"), ("uint64", "double"),
        ("halffloat", "double"), ("float", "double"), ("double", "double"), ("decimal128(10, 2)", "double"),
        ("timestamp[us, tz=UTC]", "datetime"), ("date32[day]", "datetime"), ("string", "string"),
        ("large_string", "string"), ("dictionary<values=string, indices=int32, ordered=0>", "string"),
    ],
)  # fmt: skip
def test_every_type_of_a_feature_has_a_place_in_the_signature(arrow: str, mlflow: str) -> None:
    columns = signature_columns([{"name": "x", "type": arrow}], ["x"])
    assert columns == [Column("x", mlflow)]
    assert set(synthetic_example(columns)) == {"x"}


@pytest.mark.parametrize("arrow", ["list<item: int64>", "struct<a: int64>", "binary", "null"])
def test_what_no_model_takes(arrow: str) -> None:
    with pytest.raises(TrainingError, match="Feature x has type"):
        signature_columns([{"name": "x", "type": arrow}], ["x"])


@pytest.mark.parametrize(
    ("task", "arrow", "kind"),
    [
        ("classification", "int8", "long"), ("classification", "int64", "long"), ("classification", "bool", "boolean"),
        ("classification", "large_string", "string"), ("classification", "double", "double"),
        ("regression", "int64", "double"), ("regression", "float", "double"), ("clustering", "int64", "long"),
    ],
)  # fmt: skip
def test_the_type_of_a_prediction_is_that_of_the_target(task: str, arrow: str, kind: str) -> None:
    assert output_type([{"name": "y", "type": arrow}], replace(SPEC, task=task)) == kind


def test_what_nobody_knows_is_stored_as_unknown() -> None:
    facts = training_facts(MANIFEST, "/store/x", SPEC, RunFacts(), "key")
    unknown = {name for name, value in facts.items() if value == tags.UNKNOWN}
    assert unknown == {
        tags.CODE_VERSION, tags.CODE_DIRTY, tags.RUN_URL, tags.OWNER, tags.NOTE,
        tags.TRAIN_START, tags.TRAIN_END, tags.TEST_START, tags.TEST_END,
    }  # fmt: skip
    assert all(isinstance(value, str) and value for value in facts.values())
    assert set(tags.REQUIRED) - set(facts) == {tags.DIGEST, tags.ENVIRONMENT, tags.METRICS}


@pytest.mark.parametrize(
    ("version", "dirty"),
    [
        ("git:abc", "false"), ("git:abc+12", "true"), ("bundle:1+2", "unknown"), ("files:abc", "unknown"),
        ("unknown", "unknown"),
    ],
)  # fmt: skip
def test_whether_the_code_was_committed(version: str, dirty: str) -> None:
    facts = training_facts(MANIFEST, "/store/x", SPEC, RunFacts(code_version=version), "key")
    assert facts[tags.CODE_DIRTY] == dirty


def test_the_windows_are_part_of_the_record() -> None:
    facts = training_facts(replace(MANIFEST, windows=WINDOWS), "/store/x", SPEC, RunFacts(run_type="backfill"), "key")
    ends = [facts[tag] for tag in (tags.TRAIN_START, tags.TRAIN_END, tags.TEST_START, tags.TEST_END)]
    assert ends == [*WINDOWS["train"], *WINDOWS["test"]]  # type: ignore[misc]
    assert facts[tags.RUN_TYPE] == "backfill"


def test_a_trained_model_travels_as_json() -> None:
    facts = training_facts(MANIFEST, "/store/x", SPEC, RunFacts(), "key") | {tags.FEATURES: '["x"]'}
    model = TrainedModel("m", "m-1", "r", "1", "mlflow-artifacts:/1", facts, created=False)
    told = json.loads(json.dumps(model.to_json()))
    assert (told["as_of"], told["run_type"], told["train_rows"]) == (MANIFEST.as_of, "live", None)
    again = TrainedModel.from_json(told)
    assert again == model
    assert again.spec == SPEC
    assert again.features == ["x"]


@pytest.mark.parametrize(
    "name",
    [
        "os.system", "builtins.eval", "subprocess.Popen", "posix.system", "pickle.loads", "importlib.import_module",
        "Thing", "a..b", "a.b()", "a b.c", "", "../x.y", "a.b; import os", 3,
    ],
)  # fmt: skip
def test_what_no_project_may_trust(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="is not allowed: name a class of your own"):
        trusted_types([name])
