"""How honest is the demo's model? Twelve monthly retrains against the simple baseline, a leak, and shuffled labels.

AUC on four weeks that the model never saw, with the 95 % interval from resampling whole days; the same model with
``dep_delay`` among its features, which nobody knows before departure; the same on labels in random order.
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

from airflow_mlops.core.evaluation import fit_baseline, interval, metrics  # noqa: E402
from airflow_mlops.core.training import TrainingSpec  # noqa: E402
from airflow_mlops.core.windows import TrainingWindow, instant  # noqa: E402
from airflow_mlops.steps.projects import load_project  # noqa: E402
from airflow_mlops.steps.rows import features_of, labelled, target_of  # noqa: E402
from projects import flight_delays  # noqa: E402

PROJECT = load_project(ROOT / "dags" / "projects" / "flight_delays.yaml")
TRAINING = PROJECT.training.model_dump(include={"estimator", "parameters", "task", "target", "features", "seed"})
SPEC = TrainingSpec(model=PROJECT.name, params=TRAINING.pop("parameters"), **TRAINING)


def month(as_of: str) -> dict[str, Any]:
    windows = TrainingWindow.from_json(PROJECT.window).at(instant(as_of))
    seen = {"start": windows.whole.start, "end": windows.whole.end, "as_of": windows.as_of}
    table = flight_delays.prepare_leaky(flight_delays.flights(**seen), flight_delays.weather(**seen))
    moments = table["time_hour"].to_numpy()
    cut = [np.datetime64(bound.replace(tzinfo=None)) for bound in (windows.train.end, windows.test.start)]
    train, test = (
        labelled(part, SPEC)
        for part in (table.filter(pa.array(moments < cut[0])), table.filter(pa.array(moments >= cut[1])))
    )
    truth, days = target_of(test, SPEC), test["date"].to_pylist()

    def scores(features: list[str], labels: Any) -> Any:
        model = flight_delays.model(**SPEC.params, random_state=SPEC.seed).fit(features_of(train, features), labels)
        return model.predict_proba(features_of(test, features))[:, 1]

    honest, labels = list(SPEC.features or []), target_of(train, SPEC)
    ours = scores(honest, labels)
    base = fit_baseline(train, "late", PROJECT.evaluation.baseline).predict(test)
    low, high = interval("roc_auc", truth, ours, clusters=days, seed=0)
    auc = {
        "model": ours,
        "baseline": base,
        "with dep_delay": scores([*honest, "dep_delay"], labels),
        "shuffled labels": scores(honest, np.random.default_rng(0).permutation(labels)),
    }
    return {
        "as_of": as_of,
        "test_rows": test.num_rows,
        **{name: metrics("classification", truth, values)["roc_auc"] for name, values in auc.items()},
        "interval": [low, high],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--year", type=int, default=2026)
    year = parser.parse_args().year
    rows: list[dict[str, Any]] = []
    print("as of        rows   AUC   95 % interval   baseline   with dep_delay   shuffled labels")
    for number in range(1, 13):
        row = month(f"{year}-{number:02d}-01")
        low, high = row["interval"]
        print(
            f"{row['as_of']}  {row['test_rows']:6,}  {row['model']:.3f}  {low:.3f} to {high:.3f}  "
            f" {row['baseline']:.3f}      {row['with dep_delay']:.3f}            {row['shuffled labels']:.3f}",
            flush=True,
        )
        rows.append(row)
    target = ROOT / "build" / "bench" / "flight_delays.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(rows, indent=2) + "\n")
    for name in ("model", "baseline", "with dep_delay", "shuffled labels"):
        values = [row[name] for row in rows]
        print(f"{name:16} mean {np.mean(values):.3f}, {min(values):.3f} to {max(values):.3f}")


if __name__ == "__main__":
    main()
