"""What is loaded before Airflow forks its tasks: all that is slow, where tasks are forked; and a fork can use it."""

from __future__ import annotations

import subprocess
import sys

from airflow_mlops.preload import LIBRARIES, preload

#: A fork that uses what keeps threads: BLAS, Arrow and the OpenMP of a fit.
PROGRAM = """
import os, sys
from airflow_mlops.preload import LIBRARIES, preload
assert preload(["scheduler"])
assert set(LIBRARIES) <= set(sys.modules)
for _ in range(3):
    if not (child := os.fork()):
        import numpy as np, pyarrow as pa
        from sklearn.ensemble import HistGradientBoostingClassifier
        rows = np.random.default_rng(0).normal(size=(500, 20))
        table = pa.table({"y": (rows @ rows.T)[0] > 0}).sort_by("y").to_pandas()
        HistGradientBoostingClassifier(max_iter=3).fit(rows, table["y"])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
print("done")
"""


def test_a_fork_of_the_scheduler_works_with_what_is_loaded() -> None:
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    assert answer.stdout == "done\n", answer.stderr
    assert "Skipping registering" not in answer.stderr


def test_processes_that_run_no_task_load_nothing() -> None:
    assert LIBRARIES
    for command in (["dag-processor"], ["api-server"], ["triggerer"], ["celery", "flower"], ["dags", "list"], []):
        assert not preload(command)
