"""What the drift check finds, and how often it alarms without drift: windows of a table of 50 columns.

Every window goes the real way: rows, profile, verdict. The columns: 30 numbers of ten shapes and 20 categories of 2 to
20,000 values, with 0, 1, 10 or 30 % nulls. A change counts as found when its column calls for action (``medium``), and
a window without one is a false alarm when any column does.

    python bench/detection.py [--draws 200] [--windows 200] [--seed 1]

prints a table and writes ``build/bench/detection.json``.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from airflow_mlops.core.drift import DriftPolicy, DriftReport, check_drift
from airflow_mlops.core.profiles import Plan, Profile, Profiler, fit_plan

Draw = Callable[[np.random.Generator, int], np.ndarray]

SHAPES: dict[str, Draw] = {
    "normal": lambda g, n: g.normal(size=n),
    "rounded": lambda g, n: np.round(g.normal(size=n) * 10),
    "lognormal": lambda g, n: g.lognormal(size=n),
    "pareto": lambda g, n: g.pareto(1.5, size=n),
    "student": lambda g, n: g.standard_t(3, size=n),
    "cauchy": lambda g, n: g.standard_cauchy(size=n),
    "poisson": lambda g, n: g.poisson(3, size=n),
    "counts": lambda g, n: g.poisson(400, size=n),
    "zeros": lambda g, n: np.where(g.random(n) < 0.8, 0.0, g.exponential(size=n)),
    "two_humps": lambda g, n: g.normal(size=n) + 4 * (g.random(n) < 0.3),
}
CATEGORIES = (2, 3, 5, 10, 20, 40, 80, 200, 1000, 5000, 20_000)
NULLS = (0.0, 0.01, 0.1, 0.3)


def _columns() -> dict[str, tuple[Draw, float]]:
    """The table: by name how a column is drawn, and its share of nulls."""
    shapes = list(SHAPES.items())
    numbers = {f"{shapes[i % 10][0]}_{i // 10}": (shapes[i % 10][1], NULLS[(i + i // 10) % 4]) for i in range(30)}
    words = {f"category_{i}_{CATEGORIES[i % 11]}": (_words(CATEGORIES[i % 11], i % 2), NULLS[i % 4]) for i in range(20)}
    return numbers | words


def _words(count: int, skewed: int) -> Draw:
    """So many categories: of equal share, or as words of a language."""
    names = np.array([f"v{i}" for i in range(count)])
    weights = 1 / (1 + np.arange(count)) if skewed else np.ones(count)
    below = np.cumsum(weights / weights.sum())
    return lambda g, n: names[np.minimum(count - 1, np.searchsorted(below, g.random(n)))]


COLUMNS = _columns()
#: The changes to be found: which column, and what becomes of its values.
CHANGES: dict[str, tuple[str, Callable[[np.random.Generator, np.ndarray], object]]] = {
    "mean moved by 0.25 sd": ("normal_0", lambda g, x: x + 0.25),
    "sd times 1.25": ("normal_1", lambda g, x: x * 1.25),
    "top 1 % of a normal tenfold": ("normal_2", lambda g, x: np.where(x > 2.326348, 10 * x, x)),
    "top 1 % of a lognormal tenfold": ("lognormal_1", lambda g, x: np.where(x > math.exp(2.326348), 10 * x, x)),
    "new category of 1 %, 10 known": ("category_3_10", lambda g, x: np.where(g.random(len(x)) < 0.01, "new", x)),
    "new category of 1 %, 5,000 known": ("category_9_5000", lambda g, x: np.where(g.random(len(x)) < 0.01, "new", x)),
    "nulls from 1 % to 3 %": ("lognormal_0", lambda g, x: pa.array(x, mask=g.random(len(x)) < 0.03)),
}


def batch(g: np.random.Generator, rows: int, changed: str = "") -> pa.RecordBatch:
    """A window; ``changed`` names one of the changes."""
    found = {}
    for name, (draw, nulls) in COLUMNS.items():
        values: object = draw(g, rows)
        if changed and CHANGES[changed][0] == name:
            values = CHANGES[changed][1](g, values)  # type: ignore[arg-type]
        if isinstance(values, np.ndarray):
            values = pa.array(values, mask=g.random(rows) < nulls) if nulls else pa.array(values)
        found[name] = values
    return pa.record_batch(found)


def profile(plan: Plan, rows: pa.RecordBatch) -> Profile:
    profiler = Profiler(plan)
    profiler.update(rows)
    return profiler.profile()


def reference(g: np.random.Generator, rows: int) -> Profile:
    """A baseline as the product makes it: the plan from its rows, then the counts."""
    drawn = batch(g, rows)
    return profile(fit_plan([drawn]), drawn)


def alarms(report: DriftReport) -> set[str]:
    """The columns that call for action."""
    return {column.name for column in report.columns if column.severity in ("medium", "large")}


def detection(g: np.random.Generator, change: str, rows: int, draws: int, per_reference: int = 10) -> int:
    """In how many windows a change is found; every so many there is another baseline."""
    found, base = 0, None
    for i in range(draws):
        base = reference(g, rows) if base is None or i % per_reference == 0 else base
        report = check_drift(base, profile(base.plan, batch(g, rows, change)), DriftPolicy())
        found += CHANGES[change][0] in alarms(report)
    return found


def false_alarms(g: np.random.Generator, rows: int, times: int, windows: int) -> tuple[int, list[str]]:
    """How many windows without drift alarm, and which columns did; each has a baseline of its own."""
    found: list[set[str]] = []
    for _ in range(windows):
        base = reference(g, rows * times)
        found.append(alarms(check_drift(base, profile(base.plan, batch(g, rows)), DriftPolicy())))
    return sum(bool(names) for names in found), sorted({name for names in found for name in names})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    g, result = (
        np.random.default_rng(asked.seed),
        {"seed": asked.seed, "columns": len(COLUMNS), "rows": [], "quiet": []},
    )
    for change in CHANGES:
        began, found = time.perf_counter(), detection(g, change, 10_000, asked.draws)
        share = found / asked.draws
        result["rows"].append({"change": change, "n": 10_000, "found": found, "draws": asked.draws, "share": share})
        took = time.perf_counter() - began
        print(f"{change:36} n = 10,000   found {found:4} of {asked.draws} ({share:.1%})  {took:.0f} s", flush=True)
    for rows, times in ((1_000, 1), (1_000, 10), (10_000, 1), (10_000, 10), (100_000, 1)):
        windows = max(20, asked.windows // 4) if rows * times > 10_000 else asked.windows
        began, (found, names) = time.perf_counter(), false_alarms(g, rows, times, windows)
        row = {"n": rows, "m": rows * times, "alarms": found, "windows": windows, "share": found / windows}
        result["quiet"].append({**row, "columns": names})
        print(
            f"no drift: n = {rows:7,}, m = {rows * times:7,}   alarms {found:3} of {windows} ({found / windows:.1%})  "
            f"{time.perf_counter() - began:.0f} s  {', '.join(names)}"
        )
    path = Path("build/bench/detection.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
