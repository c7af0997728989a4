"""When a repetition counts as the same, what its sentence says, and what overrides make of a record."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from airflow_mlops.core.reproduction import (
    MetricPair,
    Overrides,
    PackageChange,
    PredictionDifference,
    Reproduction,
    compare_metrics,
    compare_predictions,
    environment_changes,
    window_of,
)
from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.core.windows import TrainingWindow, instant
from airflow_mlops.exceptions import ConfigurationError

SAME = Reproduction(
    model="m",
    model_id="m-1",
    version=3,
    metrics={"roc_auc": MetricPair(0.7061, 0.7061), "log_loss": MetricPair(0.5, 0.5 + 1e-14)},
    predictions=PredictionDifference(28310, 0, 0.0),
    tolerance=1e-9,
    code_then="git:abcdef0123456789abcdef",
    code_now="git:abcdef0123456789abcdef",
    data_version="d" * 64,
    environment=(PackageChange("numpy", "2.3.4", "2.3.5", True),),
    seed=0,
    threads=1,
    at="2026-11-21T00:00:00+00:00",
)


def test_the_same_model_is_told_with_what_surrounds_it() -> None:
    assert SAME.reproduced
    assert SAME.sentence == (
        "Reproduced: 2 metrics equal to 1e-12, 28,310 predictions identical; code and data the same, "
        "1 package differs (numpy 2.3.4 -> 2.3.5)."
    )


def test_another_model_is_told_by_its_numbers() -> None:
    other = replace(
        SAME,
        metrics={"roc_auc": MetricPair(0.7061, 0.7058), "log_loss": MetricPair(0.5, 0.5)},
        predictions=PredictionDifference(28310, 1204, 0.0031),
        code_now="git:abcdef0123456789abcdef+7e57",
        environment=(),
    )
    assert not other.reproduced
    assert other.sentence == (
        "Not reproduced: roc_auc 0.7061 -> 0.7058, 1,204 of 28,310 predictions differ by up to 0.0031; "
        "the code differs: git:abcdef012345 -> git:abcdef012345+7e57, data the same, no package differs."
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"predictions": PredictionDifference(5, 0, 1e-12)}, "5 predictions within 1e-09"),
        ({"metrics": {}}, "Reproduced: no metric was recorded, 28,310 predictions identical"),
        ({"metrics": {"ece": MetricPair(math.nan, math.nan)}}, "no metric was recorded"),
        ({"metrics": {"mae": MetricPair(1.0, 1.0)}}, "1 metric equal"),
        ({"code_then": "unknown"}, "the code of then or now unknown, data the same"),
        ({"environment": None}, "the packages of then unknown"),
        ({"environment": ()}, "no package differs"),
        (
            {"environment": environment_changes("", "a==1\nb==1\nnumpy==1\npandas==1\nz==1")},
            "5 packages differ (numpy 1 added, pandas 1 added, a 1 added, 2 more)",
        ),
    ],
)
def test_what_the_sentence_says_of_a_reproduction(change: Any, said: str) -> None:
    found = replace(SAME, **change)
    assert found.reproduced
    assert said in found.sentence


def test_of_many_metrics_the_first_are_named() -> None:
    other = replace(SAME, metrics={name: MetricPair(0.1, 0.2) for name in "abcde"})
    assert "Not reproduced: a 0.1 -> 0.2, b 0.1 -> 0.2, c 0.1 -> 0.2, 2 more; code" in other.sentence


@pytest.mark.parametrize(
    ("then", "now"), [(0.5, 0.5 + 2e-12), (0.5, math.nan), (math.nan, 0.5), (1e9, 1e9 + 0.01), (0.7061, 0.7061000001)]
)
def test_a_number_that_is_another(then: float, now: float) -> None:
    found = replace(SAME, metrics={"roc_auc": MetricPair(then, now)})
    assert not found.reproduced
    was, _, is_now = found.sentence.split("roc_auc ")[1].split(";")[0].partition(" -> ")
    assert was != is_now


def test_sums_in_another_order_are_the_same_number() -> None:
    assert MetricPair(1e9, 1e9 + 1e-4).equal
    assert MetricPair(0.0, 1e-13).equal


def test_the_advice_comes_only_where_nothing_else_explains_it() -> None:
    other = replace(SAME, predictions=PredictionDifference(10, 10, 0.5))
    assert "random" not in other.sentence
    assert "takes no random_state" in replace(other, environment=()).sentence
    assert "random" not in replace(other, environment=(), code_now="git:1").sentence


def test_evidence_is_json_without_infinities() -> None:
    found = replace(SAME, predictions=PredictionDifference(4, 1, math.inf), metrics={"r2": MetricPair(math.nan, 1.0)})
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["predictions"] == {"rows": 4, "differing": 1, "largest": None, "share": 0.25}
    assert told["metrics"]["r2"] == {"recorded": None, "now": 1.0}
    assert (told["reproduced"], told["code"], told["sentence"]) == (False, "same", found.sentence)


def test_recorded_nulls_are_numbers_that_are_none() -> None:
    found = compare_metrics({"roc_auc": None, "brier": 0.2, "old": 1.0}, {"roc_auc": math.nan, "brier": 0.2})
    assert [name for name, pair in found.items() if not pair.equal] == ["old"]


@pytest.mark.parametrize(
    ("then", "now", "differing", "largest"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0, 0.0),
        ([1e6, 2.0], [1e6 + 1e-4, 2.0], 0, 1e-4),
        ([0.0, 2.0], [1e-4, 2.0], 1, 1e-4),
        ([math.nan, 2.0], [math.nan, 2.0], 0, 0.0),
        ([math.nan, 2.0], [1.0, 2.0], 1, math.inf),
        ([[0.1, 0.9], [0.5, 0.5]], [[0.1, 0.9], [0.4, 0.6]], 1, 0.1),
        ([[0.1, 0.9]], [[0.1, 0.8, 0.1]], 1, math.inf),
        ([], [], 0, 0.0),
    ],
)
def test_predictions_row_by_row(then: Any, now: Any, differing: int, largest: float) -> None:
    found = compare_predictions(then, now, 1e-9)
    assert (found.rows, found.differing) == (len(then), differing)
    assert found.largest == pytest.approx(largest, rel=1e-4)


def test_environments_differ_by_what_can_change_a_fit_first() -> None:
    found = environment_changes("lightgbm==4\nzlib==1\nsame==1\n", "same==1\nattrs==2\n", ["lightgbm"])
    assert [(str(change), change.decisive) for change in found] == [
        ("lightgbm 4 removed", True), ("attrs 2 added", False), ("zlib 1 removed", False),
    ]  # fmt: skip


SPEC = TrainingSpec("m", "a.B", {"C": 1.0, "tol": 0.1}, target="y", seed=3)


def test_overrides_take_the_place_of_the_record() -> None:
    assert not Overrides().given
    assert Overrides().applied(SPEC) == SPEC
    changed = Overrides(params={"C": 2.0, "new": None}, seed=0)
    assert changed.given
    assert changed.applied(SPEC) == replace(SPEC, params={"C": 2.0, "tol": 0.1, "new": None}, seed=0)
    assert changed.to_json() == {"params": {"C": 2.0, "new": None}, "seed": 0}


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"data_version": "d" * 64, "as_of": "2026-11-01"}, "window and as_of read new ones"),
        ({"params": {"C": 1}, "search_space": {"C": [1, 2]}}, "C is both set and searched"),
        ({"search_space": {"C": []}}, "search_space.C .* not a list"),
        ({"search_space": {"C": "many"}}, "search_space.C .* not a list"),
        ({"search_space": {"C": 3}}, "search_space.C .* not a list"),
        ({"window": {"lookbak": "3d"}}, "lookbak"),
        ({"as_of": "soon"}, "'soon' is not a date"),
    ],
)
def test_overrides_that_mean_nothing(overrides: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        Overrides(**overrides)


@pytest.mark.parametrize("timezone", ["UTC", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("as_of", ["2026-11-01", "2026-04-08T03:04:05", "2026-11-15", "2027-03-20T17:30:00"])
@pytest.mark.parametrize(
    "window",
    [
        {"test": "28d", "lookback": "255d", "gap": "1d", "label_delay": "7d"},
        {"test": "2w", "lookback": "90d", "validation": "14d", "knowledge_time": "known"},
        {"test": "36h", "lookback": "30d", "label_delay": "5h"},
    ],
)
def test_a_recorded_window_moves_as_the_one_that_it_came_from(
    window: dict[str, str], as_of: str, timezone: str
) -> None:
    original = TrainingWindow.from_json({**window, "timezone": timezone})
    found = window_of(original.at(instant(as_of)), window.get("knowledge_time"), timezone)
    for later in (as_of, "2026-12-06", "2027-03-14T12:00:00", "2027-06-30"):
        assert found.at(instant(later)) == original.at(instant(later))
    assert found.knowledge_time == original.knowledge_time


def test_a_window_that_no_span_tells_has_to_be_named() -> None:
    windows = TrainingWindow(test="2d", start="2026-01-01").at(instant("2026-06-01T03:04:05"))
    with pytest.raises(ConfigurationError, match="name a window"):
        window_of(windows)
