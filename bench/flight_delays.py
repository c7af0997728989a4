"""How honest are the models of the shipped projects? Twelve monthly retrains, the simple baseline, a leak, no signal.

The project's metric on four weeks that the model never saw, with the 95 % interval from resampling whole days, and what
the gate says to it as the first champion; the same model with ``dep_delay`` among its features, which nobody knows
before departure; the same on labels in random order.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "dags"))

from airflow_mlops.core.evaluation import evaluate, fit_baseline  # noqa: E402
from airflow_mlops.core.evaluation.measures import find  # noqa: E402
from airflow_mlops.core.gate import GatePolicy, judge  # noqa: E402
from airflow_mlops.core.projects import Project  # noqa: E402
from airflow_mlops.core.training import TrainingSpec  # noqa: E402
from airflow_mlops.core.windows import TrainingWindow, instant  # noqa: E402
from airflow_mlops.steps.evaluation import predict  # noqa: E402
from airflow_mlops.steps.projects import load_project  # noqa: E402
from airflow_mlops.steps.rows import features_of, labelled, target_of  # noqa: E402
from projects import flight_delays  # noqa: E402


def month(project: Project, as_of: str) -> dict[str, Any]:
    training = project.training.model_dump(include={"estimator", "parameters", "task", "target", "features", "seed"})
    spec = TrainingSpec(model=project.name, params=training.pop("parameters"), **training)
    windows = TrainingWindow.from_json(project.window).at(instant(as_of))
    seen = {"start": windows.whole.start, "end": windows.whole.end, "as_of": windows.as_of}
    sources = flight_delays.flights(**seen), flight_delays.weather(**seen)
    table = flight_delays.prepare(*sources, outcomes=["dep_delay", "arr_delay"])
    moments = table["time_hour"].to_numpy()
    cut = [np.datetime64(bound.replace(tzinfo=None)) for bound in (windows.train.end, windows.test.start)]
    train, test = (
        labelled(part, spec)
        for part in (table.filter(pa.array(moments < cut[0])), table.filter(pa.array(moments >= cut[1])))
    )
    how, days = project.evaluation, test["date"].to_pylist()
    baseline = fit_baseline(train, spec.target or "", how.baseline, guess=find(how.metric)[1].guess).predict(test)

    def judged(features: list[str], labels: Any) -> tuple[Any, str]:
        model = flight_delays.model(**spec.params, random_state=spec.seed).fit(features_of(train, features), labels)
        found = evaluate(
            spec.task,
            how.metric,
            target_of(test, spec),
            predict(model, spec, features_of(test, features)),
            baseline=baseline,
            clusters=days,
            secondary=how.secondary,
            alpha=project.look_alpha,
            seed=0,
        )
        return found, judge(found, GatePolicy.from_json(project.gate)).decision

    honest, labels = list(spec.features or []), target_of(train, spec)
    ours, decision = judged(honest, labels)
    leaky, at_leak = judged([*honest, "dep_delay"], labels)
    shuffled, at_noise = judged(honest, np.random.default_rng(0).permutation(labels))
    return {
        "as_of": as_of,
        "test_rows": test.num_rows,
        "model": ours.candidate[how.metric],
        "interval": list(ours.intervals[how.metric]),
        "baseline": (ours.baseline or {})[how.metric],
        "with dep_delay": leaky.candidate[how.metric],
        "shuffled labels": shuffled.candidate[how.metric],
        "verdicts": [decision, at_leak, at_noise],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", choices=["flight_delays", "arrival_delay"], default="flight_delays")
    parser.add_argument("--year", type=int, default=2026)
    asked = parser.parse_args()
    project = load_project(ROOT / "dags" / "projects" / f"{asked.project}.yaml")
    rows: list[dict[str, Any]] = []
    metric = project.evaluation.metric
    print(f"as of        rows  {metric:>8}   95 % interval      baseline  with dep_delay  shuffled labels  verdicts")
    for number in range(1, 13):
        row = month(project, f"{asked.year}-{number:02d}-01")
        low, high = row["interval"]
        print(
            f"{row['as_of']}  {row['test_rows']:6,}  {row['model']:7.3f}  {low:7.3f} to {high:6.3f}  "
            f"{row['baseline']:7.3f}     {row['with dep_delay']:7.3f}         {row['shuffled labels']:7.3f}      "
            f"{', '.join(row['verdicts'])}",
            flush=True,
        )
        rows.append(row)
    target = ROOT / "build" / "bench" / f"{project.name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(rows, indent=2) + "\n")
    for name in ("model", "baseline", "with dep_delay", "shuffled labels"):
        values = [row[name] for row in rows]
        print(f"{name:16} mean {np.mean(values):.3f}, {min(values):.3f} to {max(values):.3f}")


if __name__ == "__main__":
    main()
