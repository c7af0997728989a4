"""The matrix, the decay, the cadences and the sentence, on numbers whose truth is known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlops.core.backtest import Backtest, BacktestSpec, Cell, PastModel, Period, Plan, conclude, plan
from airflow_mlops.core.windows import Bounds
from airflow_mlops.exceptions import ConfigurationError

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
AUC = BacktestSpec(cadences=[1, 2, 3])


def month(number: int, **changes: object) -> PastModel:
    """The model of a monthly schedule: a week of delay, four weeks of test, a day between."""
    as_of = FIRST.replace(year=2026 + number // 12, month=number % 12 + 1)
    return made(as_of, f"m-{number}", **changes)


def made(as_of: datetime, name: str = "m", *, test: int = 28, delay: int = 7, created: int = 0) -> PastModel:
    end = as_of - timedelta(days=delay)
    start = end - timedelta(days=test)
    return PastModel(name, as_of, start - timedelta(days=1), Bounds(start, end), created)


def asked(
    value: Callable[[int, int], float],
    months: Iterable[int] = range(12),
    spec: BacktestSpec = AUC,
    metric: str = "roc_auc",
) -> Backtest:
    """A backtest where a model of an age scores ``value(window, age)``."""
    found = plan([month(number) for number in months], spec.max_age)
    cells = [Cell(w.number, age, value(w.number, age)) for w in found.windows for age in found.judged(w)]
    return conclude("m", metric, found, spec, cells)


def wobble(window: int) -> float:
    """Easy and hard months."""
    return 0.7 + 0.05 * math.sin(5 * window)


def jitter(window: int, age: int) -> float:
    return 0.001 * math.sin(7 * window + 3 * age)


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_a_model_is_asked_only_about_windows_from_its_own_on() -> None:
    found = plan([month(number) for number in range(4)])
    assert [[model.model_id for model in found.judged(window).values()] for window in found.windows] == [
        ["m-0"], ["m-1", "m-0"], ["m-2", "m-1", "m-0"], ["m-3", "m-2", "m-1", "m-0"],
    ]  # fmt: skip
    assert (found.period, found.delay) == (Period(365.2425 / 12, "month"), 1)


def test_a_model_whose_own_test_begins_after_the_window_is_not_asked() -> None:
    """The project's test was made shorter: the newer model was trained on rows of the older one's window."""
    longer, shorter = made(FIRST, "long", test=28), made(FIRST + timedelta(days=10), "short", test=2)
    again = made(FIRST + timedelta(days=20), "again", test=28)
    found = plan([longer, shorter, again])
    for window in found.windows:
        assert all(model.test.start <= window.bounds.start for model in found.judged(window).values())
    assert [m.model_id for m in found.judged(found.windows[2]).values()] == ["again", "short", "long"]


@given(
    gaps=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    tests=st.lists(st.integers(1, 60), min_size=13, max_size=13),
)
@settings(max_examples=200, deadline=None)
def test_no_row_is_in_two_windows_and_none_was_seen(gaps: list[int], tests: list[int]) -> None:
    as_ofs = [FIRST + timedelta(days=sum(gaps[:place])) for place in range(len(gaps) + 1)]
    found = plan([made(as_of, f"m-{i}", test=tests[i]) for i, as_of in enumerate(as_ofs)])
    bounds = [window.bounds for window in found.windows]
    assert all(one.end <= later.start for one, later in pairwise(bounds))
    for window in found.windows:
        assert window.bounds.start < window.bounds.end
        for age, model in found.judged(window).items():
            assert age >= 0
            assert model.test.start <= window.bounds.start
            assert model.train_end < window.bounds.start


def test_weekly_tests_of_four_weeks_are_cut_to_their_last_week() -> None:
    found = plan([made(FIRST + timedelta(weeks=number), f"m-{number}") for number in range(5)])
    assert found.period == Period(7.0, "week")
    assert [(w.bounds.end - w.bounds.start).days for w in found.windows] == [28, 7, 7, 7, 7]
    assert found.delay == 2  # the middle of such a window lies ten and a half days before its as-of


def test_a_missing_month_leaves_a_gap_and_moves_nobody() -> None:
    found = plan([month(number) for number in (0, 1, 3, 4, 30)])
    assert list(found.models) == [0, 1, 3, 4, 30]
    assert list(found.judged(found.windows[2])) == [0, 2, 3]


def test_of_two_models_about_one_as_of_the_newer_counts() -> None:
    old, new = month(0, created=1), PastModel("again", *_facts(month(0)), created=2)
    found = plan([new, old, month(1)])
    assert found.models[0].model_id == "again"
    assert found.left_out == ["Model m-0 as of 2026-01-01: a newer one has the same as-of."]


def test_of_two_models_in_one_month_the_one_on_schedule_counts() -> None:
    odd = made(FIRST + timedelta(days=40), "by-hand")
    found = plan([*(month(number) for number in range(5)), odd])
    assert [model.model_id for model in found.models.values()] == [f"m-{number}" for number in range(5)]
    assert found.left_out == ["Model by-hand as of 2026-02-10: another one lies nearer to its month."]


def _facts(model: PastModel) -> tuple[datetime, datetime, Bounds]:
    return model.as_of, model.train_end, model.test


def test_old_models_are_left_alone_beyond_the_greatest_age() -> None:
    found = plan([month(number) for number in range(6)], max_age=2)
    assert list(found.judged(found.windows[-1])) == [0, 1, 2]


@pytest.mark.parametrize(
    "wrong",
    [{"metric": "roc_auk"}, {"metric": "mean_error"}, {"cadences": []}, {"cadences": [0]}, {"max_age": -1},
     {"margin": 0.0}, {"margin": math.nan}],
)  # fmt: skip
def test_questions_without_an_answer_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        BacktestSpec(**wrong)  # type: ignore[arg-type]


# --- what follows from the matrix -------------------------------------------------------------------------------------


def test_a_steady_decay_is_found_as_it_is() -> None:
    found = asked(lambda window, age: wobble(window) - 0.01 * age + jitter(window, age))
    assert [age.difference for age in found.decay] == pytest.approx([-0.01 * age.age for age in found.decay], abs=0.002)
    assert found.decay[0].difference == found.decay[0].lower == 0
    # Monthly has age 1 in force, quarterly 1, 2 and 3 in turn.
    assert found.gain(1, 3).difference == pytest.approx(0.01, abs=0.001)
    assert found.gain(1, 3).windows == 9
    assert found.recommendation.every == 1
    assert found.recommendation.headline == "Retrain monthly."
    assert found.recommendation.sentence.startswith(
        "Retraining monthly instead of every 2 months is worth +0.5 AUC points ("
    )
    assert found.recommendation.sentence.endswith("; nothing faster than monthly was tried.")


def test_what_does_not_age_need_not_be_retrained() -> None:
    found = asked(lambda window, age: wobble(window) + jitter(window, age))
    assert {gain.answer for gain in found.gains} == {"nothing"}
    assert found.recommendation.every == 3
    assert found.recommendation.headline == "Retraining quarterly is enough."
    assert found.recommendation.sentence.startswith("Monthly instead of quarterly adds nothing measurable: ")


def test_what_ages_after_two_months_is_retrained_every_two_months() -> None:
    found = asked(lambda window, age: wobble(window) - (0.03 if age > 2 else 0.0) + jitter(window, age))
    assert found.recommendation.every == 2
    assert found.recommendation.sentence == (
        "Retraining every 2 months instead of quarterly is worth +1.0 AUC points (+1.0 to +1.0, 9 windows); monthly "
        "instead of every 2 months adds nothing measurable: -0.01 AUC points (-0.1 to +0.04, 10 windows)."
    )


def test_months_that_differ_too_much_cannot_tell() -> None:
    found = asked(lambda window, age: 0.7 + 0.05 * math.sin(9 * window * age))
    assert {gain.answer for gain in found.gains} == {"cannot_tell"}
    assert found.recommendation.every is None
    assert found.recommendation.sentence.startswith("Cannot tell: monthly instead of quarterly is worth ")
    assert "where +0.7 would matter: backfill more dates." in found.recommendation.sentence


def test_the_margin_decides_between_nothing_and_cannot_tell() -> None:
    noise = np.random.default_rng(5).normal(0, 0.004, (12, 12))

    def answers(margin: float) -> set[str]:
        spec = BacktestSpec(cadences=[1, 2, 3], margin=margin)
        return {gain.answer for gain in asked(lambda w, age: 0.7 + noise[w, age], spec=spec).gains}

    assert (answers(0.0001), answers(0.1)) == ({"cannot_tell"}, {"nothing"})


def test_lower_is_better_turns_the_sign() -> None:
    found = asked(lambda window, age: wobble(window) + 0.02 * age + jitter(window, age), metric="log_loss")
    assert all(age.difference < 0 for age in found.decay[1:])
    assert found.gain(1, 3).difference > 0
    assert found.recommendation.every == 1
    assert "is worth +0.010 in log loss" in found.recommendation.sentence


def test_newer_models_that_are_a_little_worse_are_no_reason_to_retrain() -> None:
    found = asked(lambda window, age: wobble(window) + 0.005 * age + jitter(window, age))
    assert found.recommendation.every == 3
    assert -found.margin < found.gain(1, 3).upper < 0


def test_older_models_that_are_much_better_are_a_reason_to_look_at_the_data() -> None:
    """As when the data repeat, and an old model was trained on a window's twin."""
    found = asked(lambda window, age: wobble(window) + 0.05 * (age > 2) + jitter(window, age))
    assert found.recommendation.every is None
    assert found.recommendation.headline == "Older models do better than newer ones here."
    assert found.recommendation.sentence.startswith("Monthly instead of quarterly loses: -1.7 AUC points (")
    assert "look for data that repeat" in found.recommendation.sentence


@pytest.mark.parametrize("months", [[0], [0, 1], [0, 1, 2]])
def test_a_short_past_cannot_tell(months: list[int]) -> None:
    found = asked(lambda window, age: 0.7 - 0.01 * age, months)
    assert found.recommendation.every is None
    assert found.recommendation.sentence.startswith("Cannot tell: ")
    assert found.recommendation.sentence.endswith("backfill more dates.")


def test_a_cadence_that_no_window_can_show_is_named() -> None:
    found = asked(lambda window, age: 0.7, range(6), BacktestSpec(cadences=[1, 12]))
    assert found.gains == []
    assert found.recommendation.every is None
    assert found.left_out == [
        "Monthly: no window has models of 1 month to 1 month.", "Yearly: no window has models of 1 month to 12 months.",
    ]  # fmt: skip


def test_a_window_that_says_nothing_counts_for_nothing() -> None:
    found = asked(lambda window, age: math.nan if window == 5 else wobble(window) - 0.01 * age)
    assert (found.gain(1, 3).windows, asked(lambda w, age: wobble(w) - 0.01 * age).gain(1, 3).windows) == (8, 9)
    assert math.isfinite(found.gain(1, 3).difference)
    empty = asked(lambda window, age: math.nan)
    assert empty.recommendation.every is None
    assert empty.decay == []


def test_everything_can_be_told_as_json() -> None:
    for months in (range(12), [0]):
        data = json.loads(
            json.dumps(asked(lambda w, age: math.nan if age == 4 else 0.7, months).to_json(), allow_nan=False)
        )
        assert data["models"][0]["as_of"] == FIRST.isoformat()
        assert data["windows"][0]["end"] == (FIRST - timedelta(days=7)).isoformat()


def test_the_same_matrix_gives_the_same_answer_whatever_phase_a_cadence_begins_in() -> None:
    """The mean over ages is the mean over the phases of a schedule, simulated here."""
    values = np.random.default_rng(1).normal(0.7, 0.02, (24, 24))
    found = asked(lambda window, age: values[window, age], range(24), BacktestSpec(cadences=[1, 3]))
    phases = []
    for phase in range(3):
        in_force = {w: max(m for m in range(w) if m % 3 == phase) for w in range(3, 24)}
        phases.append(np.mean([values[w, 1] - values[w, w - model] for w, model in in_force.items()]))
    assert found.gain(1, 3).difference == pytest.approx(np.mean(phases))


def test_models_that_are_only_lucky_or_not_seldom_make_a_gain() -> None:
    """No drift, but each model has a luck of its own that stays with it: hardly any false gain over any cadence."""
    random, false, rounds = np.random.default_rng(11), 0, 300
    for _ in range(rounds):
        luck, noise = random.normal(0, 0.01, 12), random.normal(0, 0.005, (12, 12))
        found = asked(lambda w, age, luck=luck, noise=noise: wobble(w) + luck[w - age] + noise[w, age])  # type: ignore[misc]
        false += any(gain.answer == "gain" for gain in found.gains)
    assert false <= rounds * 0.05


def test_a_plan_without_models_is_no_error() -> None:
    assert plan([]) == Plan({}, [], None, left_out=[])
