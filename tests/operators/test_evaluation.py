"""Evaluation as a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core.evaluation import Evaluation


def test_candidate_and_baseline_are_measured_on_the_held_out_days(chain: Callable[..., Any], ti: Any) -> None:
    found = chain("evaluate")
    evaluation = Evaluation.from_json({k: v for k, v in found["evaluate"].items() if k != "model"})
    assert evaluation.rows == 20 * 12
    assert evaluation.candidate["roc_auc"] > 0.7
    assert evaluation.champion_version is None
    assert set(evaluation.comparisons) == {"baseline"}
    assert evaluation.cluster_name == "days"
    assert found["evaluate"]["model"]["model_id"] == found["train"]["model_id"]
    assert {"predict", "compare", "total"} <= set(ti.pushed["cpu_seconds"])


def test_the_same_question_has_the_same_answer(chain: Callable[..., Any]) -> None:
    first, again = ({**chain("evaluate")["evaluate"], "model": None} for _ in range(2))
    assert first == again


def test_a_later_candidate_meets_the_champion_on_the_same_rows(chain: Callable[..., Any]) -> None:
    chain()
    found = chain("evaluate", params={"as_of": "2026-04-10"}, ingest={"window": {"lookback": "60d", "test": "5d"}})
    assert found["evaluate"]["champion_version"] == "1"
    assert set(found["evaluate"]["comparisons"]) == {"champion", "baseline"}


def test_a_champion_that_was_trained_on_these_rows_is_left_out_with_the_reason(chain: Callable[..., Any]) -> None:
    chain()
    found = chain("evaluate", params={"as_of": "2026-03-10"})
    assert found["evaluate"]["champion_version"] is None
    assert "was trained on rows of this test" in found["evaluate"]["champion_excluded"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"metric": "roc_auk"}, "roc_auk"),
        ({"clusters": "night"}, "no column night"),
        ({"alpha": "{{ 'small' }}"}, "alpha 'small' is not a number"),
        ({"baseline": ["absent"]}, "absent"),
        ({"model": {"model": "m"}}, "not the output of the training task"),
        ({"model": None}, "not the output of the training task"),
    ],
)
def test_what_a_retry_cannot_mend_fails_at_once(
    changes: dict[str, Any], complaint: str, chain: Callable[..., Any]
) -> None:
    with pytest.raises(AirflowFailException, match=complaint):
        chain("evaluate", evaluate=changes)


def test_files_that_were_changed_are_not_loaded(
    make_tasks: Callable[..., Any], execute: Callable[..., Any], client: MlflowClient
) -> None:
    tasks = make_tasks()
    for word in ("ingest", "prepare", "train"):
        found = execute(tasks[word], params={"as_of": "2026-04-01"})
    path = found["artifact_uri"].removeprefix("mlflow-artifacts:/").lstrip("/")
    client.http.put_file(f"{path}/model.skops", b"something else")
    with pytest.raises(AirflowFailException, match="are not those that were trained"):
        execute(tasks["evaluate"])


def test_a_test_without_a_label_skips(chain: Callable[..., Any]) -> None:
    with pytest.raises(AirflowSkipException, match="no row of this window has a label in y"):
        chain("evaluate", prepare={"function": f"{__name__}.unlabelled"})


def unlabelled(days: Any) -> Any:
    """The labels of the last days are not in yet."""
    import pyarrow as pa
    import pyarrow.compute as pc

    late = pc.greater_equal(days["day"], pa.scalar(days["day"][-1].as_py().replace(day=1), days["day"].type))
    return days.set_column(days.column_names.index("y"), "y", pc.if_else(late, None, days["y"]))
