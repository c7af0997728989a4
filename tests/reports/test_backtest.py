import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from airflow_mlops.core.backtest import Backtest, BacktestSpec, Cell, PastModel, conclude, plan
from airflow_mlops.core.windows import Bounds
from airflow_mlops.reports.backtest import backtest_page

EVIL = "<script>alert('x')</script>"
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def asked(count: int = 8, loss: float = 0.01, metric: str = "roc_auc", days: int = 7) -> Backtest:
    """Models that lose so much with each period of age."""

    def model(number: int) -> PastModel:
        as_of = FIRST + timedelta(days=days * number)
        return PastModel(f"m-{number}", as_of, as_of - timedelta(days=8), Bounds(as_of - timedelta(days=7), as_of))

    made = plan([model(number) for number in range(count)])
    cells = [
        Cell(w.number, age, 0.7 - loss * age + 0.002 * math.sin(3 * w.number + age))
        for w in made.windows
        for age in made.judged(w)
    ]
    rows = {window.number: 1000 for window in made.windows}
    return conclude("flights", metric, made, BacktestSpec(cadences=[1, 2]), cells, rows=rows)


def test_the_page_loads_and_runs_nothing():
    html = backtest_page(asked())
    assert not re.search(r"https?://|//[a-z]|src=|href=|url\(|@import|<script|<link|<iframe|\bon[a-z]+=", html)


def test_everything_from_outside_is_escaped():
    html = backtest_page(replace(asked(), model=EVIL, left_out=[EVIL]))
    assert EVIL not in html
    assert html.count("&lt;script&gt;") == 3


def test_the_sentence_comes_first_and_the_numbers_behind_it():
    found = asked()
    html = backtest_page(found)
    assert 'class="card verdict good"' in html
    assert html.index(found.recommendation.sentence) < html.index("What retraining more often gains")
    assert "Weekly instead of every 2 weeks" in html
    assert "8 without a common row, 8,000 rows, 2025-12-25 to 2026-02-19" in html
    assert '<span class="pill good">gains</span>' in html


def test_the_matrix_has_a_cell_for_each_model_and_window_and_no_model_of_the_future():
    html = backtest_page(asked())
    cells = re.findall(r'<td class="(\w*)" style="--depth:(\d+)%"', html)
    assert len(cells) == 8 * 9 / 2
    assert [kind for kind, _ in cells].count("own") == 8
    assert {kind for kind, _ in cells} == {"own", "lose"}
    assert html.count("<td></td>") == 8 * 7 / 2
    assert max(int(depth) for _, depth in cells) == 62


def test_the_curve_stays_in_its_frame_and_falls():
    html = backtest_page(asked())
    (frame,) = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', html)
    (path,) = re.findall(r'class="path" points="([^"]+)"', html)
    (band,) = re.findall(r'class="band" points="([^"]+)"', html)
    places = [tuple(map(float, pair.split(","))) for pair in (path + " " + band).split()]
    assert all(0 < x < float(frame[0]) and 0 < y < float(frame[1]) for x, y in places)
    line = places[:8]
    assert [y for _, y in line] == sorted(y for _, y in line)
    assert len(band.split()) == 2 * 7  # the oldest age has one window, and so no interval


def test_worse_newer_models_are_called_that():
    html = backtest_page(asked(loss=-0.01))
    assert '<span class="pill bad">loses</span>' in html
    assert 'class="win"' in html


def test_a_lower_metric_that_rises_is_a_loss():
    assert 'class="lose"' in backtest_page(asked(loss=-0.01, metric="log_loss"))
    assert 'class="win"' not in backtest_page(asked(loss=-0.01, metric="log_loss"))


@pytest.mark.parametrize("count", [1, 2])
def test_a_past_that_cannot_tell_is_a_page_too(count):
    html = backtest_page(asked(count))
    assert 'class="card verdict caution"' in html
    assert "Cannot tell" in html
    assert not re.search(r"\bnan\b", html)


def test_a_window_that_says_nothing_is_shown_as_that():
    found = asked()
    html = backtest_page(replace(found, cells=[*found.cells[:-1], replace(found.cells[-1], value=math.nan)]))
    assert "no number" in html
    assert not re.search(r"\bnan\b", html)


def test_many_windows_are_set_small():
    assert 'class="matrix dense"' in backtest_page(asked(20))
    assert 'class="matrix"' in backtest_page(asked(8))
