"""A made-up series, one row an hour, and a project on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

FIRST = datetime(2026, 1, 1, tzinfo=UTC)

PROJECT = """
name: {name}
schedule: "0 0 1 * *"
window: {{ label_delay: 2d, test: 14d, gap: 1d, lookback: 40d }}
sources:
  beats: {{ callable: {module}.beats, order_by: [at], event_time: at, min_rows: 1300 }}
prepare: {{ function: {module}.prepare }}
validation: {{ suite: beats.suite.yaml }}
training: {{ estimator: sklearn.linear_model.LogisticRegression, target: high, features: [signal] }}
evaluation: {{ metric: roc_auc, secondary: [log_loss] }}
gate:
  metric: roc_auc
  at_least: {{ roc_auc: 0.6 }}
  min_rows: 50
  min_positives: 20
  champion: {{ rule: non_inferior, margin: 0.2 }}
"""
SUITE = """
name: beats
expectations: [{type: expect_column_values_to_not_be_null, kwargs: {column: signal}}]
"""


def beats(*, start: datetime, end: datetime, as_of: datetime) -> pa.Table:
    hours = range(max(0, (start - FIRST) // timedelta(hours=1)), max(0, (end - FIRST) // timedelta(hours=1)))
    signal = np.random.default_rng(0).normal(size=10_000)[hours.start : hours.stop]
    return pa.table({"at": [FIRST + timedelta(hours=hour) for hour in hours], "signal": signal, "hour": list(hours)})


def prepare(beats: pa.Table) -> pa.Table:
    chance = np.random.default_rng(1).normal(size=10_000)[beats["hour"].to_numpy()]
    return beats.append_column("high", pa.array((beats["signal"].to_numpy() + chance > 0).astype(int)))
