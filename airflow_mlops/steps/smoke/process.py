"""The clean process: our interpreter without anybody's environment, with limits, and a way to stop it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_mlops import exceptions
from airflow_mlops.core.golden import Golden
from airflow_mlops.core.packages import Package
from airflow_mlops.core.smoke import SmokeBudget
from airflow_mlops.exceptions import SecurityError

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Findings:
    """What the process saw.

    :param problem: why it did not come to an end
    :param stage: the check that this is about
    """

    problem: str | None = None
    stage: str = "loads"
    values: list[Any] | None = None
    scores: list[float] | None = None
    latency_ms: float | None = None
    memory_mb: float | None = None


def try_package(
    private: Path, package: Package, golden: Golden | None, trusted: Iterable[str], budget: SmokeBudget
) -> Findings:
    """Load a fetched package and have it predict, in a process of its own.

    :param private: a folder of ours alone; the package lies in ``model`` below it
    :raises SecurityError: the process refused the files
    """
    trusted = list(trusted)
    order = {
        "folder": str(private / "model"),
        "package": package.to_json(),
        "golden": golden.to_json() if golden else None,
        "trusted": trusted,
        "paths": _paths(trusted),
        "memory_mb": budget.memory_mb,
        "seconds": budget.seconds,
    }
    home = private / "home"
    home.mkdir(mode=0o700)
    clean = {
        "HOME": str(home),
        "TMPDIR": str(home),
        "LC_ALL": "C.UTF-8",
        "PATH": os.defpath,
        **dict.fromkeys(_THREADS, "1"),
    }
    # -I: neither the current folder, nor PYTHONPATH, nor a user's own packages.
    command = [sys.executable, "-I", "-m", "airflow_mlops.steps.smoke.child"]
    try:
        ended = subprocess.run(
            command, input=json.dumps(order), capture_output=True, text=True, errors="replace", env=clean, cwd=home,
            timeout=budget.seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Findings(f"It took longer than {budget.seconds:g} s to load and predict.", "time")
    return _read(ended, budget)


def _read(ended: subprocess.CompletedProcess[str], budget: SmokeBudget) -> Findings:
    try:
        answer = json.loads(ended.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        if ended.returncode < 0:
            return Findings(f"Its process was ended by signal {-ended.returncode}.")
        return Findings(f"Its process ended with {ended.returncode} and no answer.")
    if kind := answer.pop("error", None):
        error = getattr(exceptions, kind, None)
        if isinstance(error, type) and issubclass(error, SecurityError):
            raise error(answer["problem"])
        if kind == MemoryError.__name__:
            return Findings(f"It needs more than the {budget.memory_mb:g} MB that are allowed.", "memory")
    return Findings(**answer)


def _paths(trusted: Iterable[str]) -> list[str]:
    """Where the project's own classes are imported from: of all that this process could import, no more."""
    found = []
    for name in {path.partition(".")[0] for path in trusted}:
        try:
            spec = importlib.util.find_spec(name)
        except ValueError:
            spec = None
        if spec and spec.submodule_search_locations:
            found += [str(Path(place).parent) for place in spec.submodule_search_locations]
        elif spec and spec.origin:
            found.append(str(Path(spec.origin).parent))
    return sorted(set(found))
