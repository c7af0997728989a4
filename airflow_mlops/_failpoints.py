"""Places where a test kills the process: right before and right after each write to a store or to MLflow.

``AIRFLOW_MLOPS_FAILPOINT=alias.before`` ends the process there as ``kill -9`` would, ``upload.after:2`` at the second
time. Without the variable a point does nothing.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal, get_args

VARIABLE: Final = "AIRFLOW_MLOPS_FAILPOINT"

#: Every write to the outside, in the order of a first training.
Write = Literal[
    "file", "manifest",
    "experiment", "run", "log", "dataset", "model", "output", "upload", "ready", "finish", "model_tag",
    "registered_model", "version", "tag", "alias", "ledger",
]  # fmt: skip
POINTS: Final = tuple(f"{write}.{side}" for write in get_args(Write) for side in ("before", "after"))

_reached: Counter[str] = Counter()


def point(name: str) -> None:
    """Die here if the environment says so."""
    wanted, _, time = os.environ.get(VARIABLE, "").partition(":")
    if name == wanted:
        _reached[name] += 1
        if _reached[name] == int(time or 1):
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def around(write: Write) -> Iterator[None]:
    """A point on each side of a write."""
    point(f"{write}.before")
    yield
    point(f"{write}.after")
