"""What the reading commands say of real models on a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_mlops.clients.mlflow import MlflowClient
from tests.cli.conftest import Reply, Shelf

Call = Callable[..., Reply]


def test_status_says_what_is_in_production_and_what_became_of_the_others(call: Call, shelf: Shelf) -> None:
    found = call("status", shelf.name)
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[0].startswith(f"{shelf.name}: version 2 is champion since 20")
    rows = [line.split() for line in lines if shelf.refused in line or shelf.historical in line or "promote" in line]
    assert [(row[0], row[1], row[2], row[4]) for row in rows] == [
        ("-", "2026-08-01", "reject", "refused"),
        ("2", "2026-07-01", "promote", "champion"),
        ("1", "2026-06-01", "promote", "approved"),
        ("-", "2026-05-01", "promote", "historical"),
    ]
    assert "ROC_AUC" in found.out
    assert max(map(len, lines)) <= 100


def test_status_without_a_name_has_a_line_for_each_model(
    call: Call, client: MlflowClient, shelf: Shelf, model_name: str
) -> None:
    client.registry.ensure_model(model_name)  # nothing in it yet
    client.registry.ensure_model(f"another's {model_name}")
    found = call("status")
    assert (found.code, found.err) == (0, "")
    assert f"\n{model_name} " in found.out
    assert "another's" not in found.out
    (line,) = [line for line in found.out.splitlines() if line.startswith(f"{shelf.name} ")]
    assert "version 2  2026-07-01" in line
    assert line.endswith("2026-08-01: refused")


def test_status_as_json_ends_at_the_limit(call: Call, shelf: Shelf) -> None:
    data = call("status", shelf.name, "--limit", "2", "--json").data
    assert (data["champion"], data["since"]["version"], data["pin"]) == (2, 2, None)
    assert [model["state"] for model in data["models"]] == ["refused", "champion"]
    assert data["models"][1]["metrics"]["roc_auc"] > 0.7


@pytest.mark.parametrize("command", ["status", "history"])
def test_a_model_that_is_not_there_is_one_line_and_is_not_made(
    call: Call, client: MlflowClient, model_name: str, command: str
) -> None:
    found = call(command, model_name)
    assert (found.code, found.out) == (1, "")
    assert found.err.count("\n") == 1
    assert f"There is no model {model_name}. Did you mean" in found.err
    assert client.tracking.find_experiment(model_name) is None
    assert model_name not in client.registry.names()


def test_history_tells_every_change_with_who_and_why(call: Call, shelf: Shelf) -> None:
    text = call("history", shelf.name).out
    assert "nothing → version 1 (as-of 2026-06-01)" in text
    assert "version 1 → version 2 (as-of 2026-07-01)" in text
    assert text.count("by   http://airflow/run") == 2
    data = call("history", shelf.name, "--json").data
    assert [(entry["previous"], entry["champion"]) for entry in data] == [(None, 1), (1, 2)]
    assert "first champion" in data[0]["reason"]


def test_in_force_answers_for_an_instant(call: Call, shelf: Shelf) -> None:
    first, second = call("history", shelf.name, "--json").data
    found = call("in-force", shelf.name, "--at", first["at"])
    assert f"version 1 was in production, since {first['at'][:10]}" in found.out
    reign = call("in-force", shelf.name, "--at", first["at"], "--json").data["reign"]
    assert (reign["version"], reign["until"]) == (1, second["at"])
    before = call("in-force", shelf.name, "--at", "2020-01-01")
    assert (before.code, before.out) == (0, f"{shelf.name} had no version in production at 2020-01-01.\n")


def test_best_finds_historical_models_with_what_made_them(call: Call, shelf: Shelf) -> None:
    data = call("best", shelf.name, "--metric", "roc_auc", "--json").data
    figures = [one["metrics"]["roc_auc"] for one in (data["best"], *data["others"])]
    assert (len(figures), figures) == (4, sorted(figures, reverse=True))
    may = call("best", shelf.name, "--metric", "log_loss", "--to", "2026-05-01")
    assert f"model       {shelf.historical} (historical)" in may.out
    assert "estimator   sklearn.linear_model.LogisticRegression" in may.out
    august = call("best", shelf.name, "--metric", "roc_auc", "--from", "2026-08-01")
    assert "parameters  C=0.5" in august.out


def test_best_of_the_registered_only(call: Call, shelf: Shelf) -> None:
    data = call("best", shelf.name, "--metric", "log_loss", "--registered", "--json").data
    found = [data["best"], *data["others"]]
    assert {one["version"] for one in found} == {1, 2}
    assert found[0]["metrics"]["log_loss"] < found[1]["metrics"]["log_loss"]  # less is better


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--metric", "rok_auc"], "Metric 'rok_auc' is unknown"),
        (["--metric", "roc_auc", "--from", "2027-01-01"], "No model of .* from 2027-01-01 has a roc_auc"),
        (["--metric", "mae"], "Metrics of its models: roc_auc, log_loss"),
    ],
)
def test_best_says_why_there_is_none(call: Call, shelf: Shelf, arguments: list[str], reason: str) -> None:
    found = call("best", shelf.name, *arguments)
    assert found.code == 1
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.err)


def test_compare_marks_what_differs_and_nothing_else(call: Call, shelf: Shelf) -> None:
    found = call("compare", shelf.name, "champion", shelf.refused)
    lines = found.out.splitlines()
    (params,) = [line.split() for line in lines if " C " in line]
    assert params == ["*", "C", "-", "0.5"]
    assert "   seed               0" in found.out
    assert "*  as-of              2026-07-01" in found.out
    assert max(map(len, lines)) <= 100
    rows = call("compare", shelf.name, "v2", shelf.refused, "--json").data["rows"]
    assert {row["fact"]: row["differs"] for row in rows}.items() >= {"C": True, "code version": False}.items()
    unknown = call("compare", shelf.name, "1", "9")
    assert (unknown.code, unknown.err) == (
        1,
        f"airflow-mlops: Model {shelf.name} has no 9: name a version number, champion, or a model id (m-…).\n",
    )
