"""The page of a drift check: self-contained, in the order of what matters, and silent about sensitive columns."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest

from airflow_mlops.core.drift import DriftPolicy, check_drift
from airflow_mlops.core.profiles import Profile, Profiler, fit_plan
from airflow_mlops.reports.distributions import picture_of
from airflow_mlops.reports.drift import drift_page

EVIL = "<script>alert('x')</script>"


def rows(shift: float, n: int = 900) -> pa.RecordBatch:
    g = np.random.default_rng(int(shift) + 3)
    return pa.record_batch(
        {
            EVIL: np.round(g.normal(size=n) + shift, 3),
            "words": np.array([EVIL, "a name that is long enough for a line of its own", "b"])[g.integers(0, 3, n)],
            "secret": pa.array(["SECRET-1" if shift == 0 or i % 3 else None for i in range(n)]),
            "hour": g.integers(0, 24, n),
            "tails": np.exp(3 * g.normal(size=n)),
            "zeros": np.where(g.random(n) < 0.9, 0.0, g.normal(size=n)),
            "constant": np.ones(n),
            "nothing": pa.array([None] * n, pa.float64()),
            "at": pa.array(g.integers(0, 10**9, n), pa.timestamp("s")),
            "infinite": np.where(g.random(n) < 0.01, np.inf, g.normal(size=n)),
        }
    )


def profile(plan, batch: pa.RecordBatch) -> Profile:
    profiler = Profiler(plan)
    profiler.update(batch)
    return profiler.profile()


def page(reference: pa.RecordBatch, current: pa.RecordBatch, policy: DriftPolicy | None = None) -> str:
    plan = fit_plan([reference], sensitive=[name for name in ("secret",) if name in reference.schema.names])
    sides = profile(plan, reference), profile(plan, current)
    return drift_page(check_drift(*sides, policy), *sides, title=f"flights {EVIL}", facts=[("Baseline", EVIL)])


@pytest.fixture(scope="module")
def drifted() -> str:
    return page(rows(0), rows(2))


def test_the_page_loads_and_runs_nothing(drifted):
    assert not re.search(r"https?://|//[a-z]|src=|href=|url\(|@import|<script|<link|<iframe|\bon[a-z]+=", drifted)
    assert """content="default-src 'none'; style-src 'unsafe-inline'">""" in drifted


def test_the_verdict_comes_first_and_then_what_matters_most(drifted):
    text = re.sub(r"<[^>]+>", " ", drifted)
    places = [text.index(words) for words in ("The data have drifted: 2 of ", "What changed", "As before")]
    assert places == sorted(places)
    assert "The median rose from" in text
    assert "The share of nulls rose from 0% to 33%" in text


def test_nothing_of_a_sensitive_column_is_shown(drifted):
    assert "secret" in drifted
    assert "SECRET-1" not in drifted


def test_every_picture_is_whole(drifted):
    pictures = re.findall(r"<svg.*?</svg>", drifted, re.DOTALL)
    assert len(pictures) >= 7
    for picture in pictures:
        root = ElementTree.fromstring(picture)
        numbers = [float(x) for node in root.iter() for x in re.findall(r"-?[\d.]+", node.get("points") or "")]
        numbers += [float(node.get(name) or 0) for node in root.iter("rect") for name in ("x", "y", "width", "height")]
        assert all(-1 <= number <= 400 for number in numbers)


def test_both_sides_of_a_column_are_drawn_to_one_scale():
    base = pa.record_batch({"x": np.arange(1000.0)})
    plan = fit_plan([base])
    now = profile(plan, pa.record_batch({"x": np.arange(1000.0) / 2}))
    drawn = picture_of(profile(plan, base).columns[0], now.columns[0])
    assert drawn is not None
    assert drawn.areas is not None
    heights = [drawn.base - float(area.split()[20].split(",")[1]) for area in drawn.areas]
    assert heights[1] == pytest.approx(2 * heights[0], rel=0.2)


def test_a_window_without_drift_and_one_too_small():
    assert "columns look like the reference" in page(rows(0), rows(0))
    small = page(rows(0), rows(0, 50))
    assert "Too little to tell." in small
    assert "too few values to tell" in small.lower()
    assert "What changed" not in small


def test_weights_are_shown():
    assert "score" in page(rows(0), rows(2), DriftPolicy(importance={"words": 3, "hour": 1}))


def test_a_table_of_many_columns_is_told_and_not_all_drawn():
    g = np.random.default_rng(0)
    names = [f"c{i}" for i in range(400)]
    base, now = ({name: g.normal(size=250) + shift for name in names} for shift in (0, 1))
    html = page(pa.record_batch(base), pa.record_batch(now))
    assert html.count("<svg") == 200
    assert all(f"<strong>c{i}</strong>" in html for i in range(400))
    assert "The first 200 columns are drawn" in html
