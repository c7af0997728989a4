"""The lookup gives what comparing gives, on edges that are made to break it; the sums are those of exact numbers."""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from airflow_mlops.core.profiles import ColumnPlan, Profiler, fit_plan
from airflow_mlops.core.profiles.arrays import Numbers
from airflow_mlops.core.profiles.binning import Workspace
from airflow_mlops.core.profiles.counting import NumericCounter

LARGEST = float(np.finfo("f8").max)
EDGES: dict[str, Any] = {
    "normal": lambda r, n: r.normal(0, 1, n),
    "heavy tails around a sharp peak": lambda r, n: r.standard_cauchy(n) ** 3,
    "atoms with an edge on both sides": lambda r, n: np.concatenate([
        v := r.integers(-50, 50, n).astype(float), np.nextafter(v, -np.inf)
    ]),
    "subnormal": lambda r, n: r.normal(0, 100, n) * 5e-324,
    "huge": lambda r, n: r.normal(0, 1, n) * 1e300,
    "many magnitudes": lambda r, n: r.lognormal(0, 5, n),
    "far from zero": lambda r, n: 1e9 + r.normal(0, 1, n),
    "around zero and at the ends": lambda r, n: np.array([0.0, -5e-324, 5e-324, LARGEST, -LARGEST]),
}  # fmt: skip


def counts(plan: ColumnPlan, values: np.ndarray) -> list[int]:
    counter = NumericCounter(plan, Workspace())
    for part in np.array_split(values, 3):
        counter.add(Numbers(part))
    return list(counter.profile().counts)


def plan_of(edges: list[Any], center: float, scale: float, type_: str = "double") -> ColumnPlan:
    return ColumnPlan("x", type_, "numeric", tuple(edges), (False,) * (len(edges) + 1), center, scale)


@pytest.mark.parametrize("shape", EDGES)
def test_floats_are_looked_up_exactly(shape: str) -> None:
    r = np.random.default_rng(7)
    for _ in range(20):
        edges = np.unique(EDGES[shape](r, r.integers(1, 300)) + 0.0)
        with np.errstate(over="ignore"):
            beside = [edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf)]
            near = r.choice(edges, 200) * (1 + r.normal(0, 0.1, 200))
        ends = [0.0, -0.0, np.inf, -np.inf, LARGEST, -LARGEST, 5e-324]
        values = r.permutation(np.concatenate([*beside, near, ends, r.normal(0, 1, 500)]))
        scale = 2.0 ** float(r.integers(-900, 900) if shape in ("subnormal", "huge") else r.integers(-30, 30))
        plan = plan_of(edges.tolist(), float(r.choice([0, np.median(edges)])), scale)
        expected = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
        assert counts(plan, values) == expected.tolist()


@pytest.mark.parametrize("near", [0, 10**6, 2**53, 2**62, 2**63 - 1, -(2**62), -(2**63)])
@pytest.mark.parametrize("spread", [30, 1000, 2**40])
def test_integers_are_looked_up_exactly_as_floats_are_against_integer_edges(near: int, spread: int) -> None:
    r = np.random.default_rng(7)
    for beyond in ((), (2**70, -(2**70), 2**64)):
        drawn = {near + int(step) for step in r.integers(-spread, spread, 60)}
        edges = sorted({*drawn, *beyond})
        values = [edge + step for edge in edges for step in (-1, 0, 1)] + [
            near + int(s) for s in r.integers(-99, 99, 99)
        ]
        fit = np.array([value for value in values if -(2**63) <= value < 2**63], "i8")
        plan = plan_of(edges, 0, 1024.0, "int64")
        for numbers in (fit, fit.astype("f8")):
            expected = [0] * (len(edges) + 1)
            for number in numbers.tolist():
                expected[bisect_left(edges, number)] += 1
            assert counts(plan, numbers) == expected


@pytest.mark.parametrize("size", [1, 1e-8, 1e8])
@pytest.mark.parametrize("offset", [0, 3, 1e4, 1e9])
def test_mean_and_deviation_are_those_of_exact_numbers(size: float, offset: float) -> None:
    values = (np.random.default_rng(1).normal(0, 1, 20_000) + offset) * size
    batch = pa.record_batch({"x": values})
    profiler = Profiler(fit_plan([batch]))
    profiler.update(batch)
    column = profiler.profile().column("x")
    mean = sum(map(Fraction, values.tolist())) / len(values)
    assert abs(Fraction(column.mean or 0) - mean) <= Fraction(column.plan.scale) / 2**20 + abs(mean) / 2**52
    assert column.std == pytest.approx(values.std(), rel=1e-5)
    assert column.clipped == 0


def test_integers_add_up_without_any_rounding() -> None:
    values = np.random.default_rng(1).poisson(7, 20_000) * 3
    batch = pa.record_batch({"x": values})
    profiler = Profiler(fit_plan([batch]))
    profiler.update(batch)
    column = profiler.profile().column("x")
    assert column.mean == int(values.sum()) / len(values)
    assert column.std == pytest.approx(values.std(), rel=1e-14)


def test_what_is_absurdly_far_away_is_clipped_and_counted() -> None:
    reference = pa.record_batch({"x": np.linspace(0, 1, 1000)})
    profiler = Profiler(fit_plan([reference]))
    profiler.update(pa.record_batch({"x": [0.5, 1e308, -1e308]}))
    column = profiler.profile().column("x")
    assert (column.clipped, column.minimum, column.maximum) == (2, -1e308, 1e308)
    assert column.counts[0] == column.counts[-1] == 1
