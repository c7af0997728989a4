"""A small share of ``bench/detection.py``: the changes are found, and a table without drift is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from bench.detection import CHANGES, detection, false_alarms

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_one_column_among_fifty_is_found(change: str) -> None:
    assert detection(np.random.default_rng(11), change, 10_000, draws=6, per_reference=3) >= 5


@pytest.mark.parametrize(("rows", "times", "windows"), [(1_000, 1, 20), (10_000, 1, 10), (100_000, 1, 2)])
def test_a_table_without_drift_is_left_alone(rows: int, times: int, windows: int) -> None:
    alarms, columns = false_alarms(np.random.default_rng(12), rows, times, windows)
    assert alarms <= max(1, windows // 10), columns
