"""What a whole process costs, from its start to its end: wall, CPU and the peak memory of it and its children.

The measurements that compare programs stand on this: each run is a fresh process, imports included, because that is
what a task pays. CPU is what the system counted for the process and every child it waited for; memory is the largest
sum of proportional set sizes seen over the tree (a page that two processes share counts once), or the high-water mark
of its first process, if that is more.
"""

from __future__ import annotations

import os
import resource
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from airflow_mlops.testing.servers.process import clean_environment

#: Between two looks at the memory of a tree, and at the high-water mark of its first process.
LOOK, GLANCE = 0.05, 0.005
#: Every side computes on as many threads.
THREADS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), str(os.cpu_count())
)


@dataclass(frozen=True)
class Measured:
    """One run of a program. ``failure`` says why there is no result, in one line; ``out`` is what it printed."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    rss_mb: float
    load: float
    out: str
    failure: str | None = None


def measure(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    seconds: float = 600,
    memory_gb: float | None = None,
) -> Measured:
    """Run a command to its end, or until it takes longer than ``seconds`` or asks for more than ``memory_gb``."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        begin = time.perf_counter()
        child = subprocess.Popen(
            [str(part) for part in command],
            env={**_environment(), **THREADS, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        if memory_gb and hasattr(resource, "prlimit"):
            resource.prlimit(child.pid, resource.RLIMIT_AS, (int(memory_gb * 2**30),) * 2)
        watch = Watch(child.pid, seconds)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begin
        watch.end()
        child.returncode = os.waitstatus_to_exitcode(status)
        failure = None
        if watch.overtime:
            failure = f"not done after {seconds:.0f} s"
        elif child.returncode:
            err.seek(0)
            failure = f"exit code {child.returncode}: {_last_line(err.read())}"
        out.seek(0)
        return Measured(
            wall_s=wall,
            cpu_s=used.ru_utime + used.ru_stime,
            # Between two looks a short run may have held more: the mark of its first process says how much.
            peak_mb=max(watch.peak, watch.mark) / 1e6,
            rss_mb=watch.mark / 1e6,
            load=load,
            out=out.read(),
            failure=failure,
        )


def _environment() -> dict[str, str]:
    """The caller's, but modules are compiled once, and not by every process anew."""
    return {name: value for name, value in clean_environment().items() if name != "PYTHONDONTWRITEBYTECODE"}


class Watch(threading.Thread):
    """Looks at the memory of a process and its children, and ends them all when their time is over."""

    def __init__(self, pid: int, seconds: float) -> None:
        super().__init__(daemon=True)
        self.peak = self.mark = 0
        self.overtime = False
        self._pid, self._deadline = pid, time.monotonic() + seconds
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        look = time.perf_counter() + LOOK
        while not self._ended.wait(GLANCE):
            self.mark = max(self.mark, high_water(self._pid))
            if (begin := time.perf_counter()) >= look:
                self.peak = max(self.peak, tree_memory(self._pid))
                # The kernel holds the process up while it counts the pages of a large one.
                end = time.perf_counter()
                look = end + max(LOOK, 25 * (end - begin))
            if time.monotonic() > self._deadline:
                self.overtime = True
                self._kill()
                return

    def end(self) -> None:
        """Stop looking; whatever the process left behind ends too."""
        self._ended.set()
        self.join()
        self._kill()

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)


def high_water(pid: int) -> int:
    """The most bytes that a process ever held since it runs its program.

    What ``wait4`` says of it will not do: there a process starts with what the one that started it held. 0 where the
    system has no ``/proc``.
    """
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def tree_memory(pid: int) -> int:
    """Bytes that a process and its descendants hold: their proportional set sizes, where the system tells them."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                memory = process.memory_full_info()
                total += getattr(memory, "pss", memory.uss)
    return total


def alternate(sides: Mapping[str, Callable[[], Measured]], rounds: int, before: int = 0) -> dict[str, list[Measured]]:
    """Run every side once in each round, so that all of them meet the same machine; one that fails runs no more."""
    found: dict[str, list[Measured]] = {side: [] for side in sides}
    for number in range(before, before + rounds):
        for side, run in sides.items():
            if not any(measured.failure for measured in found[side]):
                found[side].append(run())
                print(f"round {number + 1}: {side}: {_told(found[side][-1])}", flush=True)
    return found


def row(system: str, work: str, runs: Sequence[Measured], **more: Any) -> dict[str, Any]:
    """A line of the result: medians, how far the runs lay apart, and why there is none."""
    failure = next((run.failure for run in runs if run.failure), None)
    good = [run for run in runs if not run.failure] or list(runs)
    return {
        "system": system,
        "work": work,
        **{name: middle([getattr(run, name) for run in good]) for name in ("wall_s", "cpu_s", "peak_mb", "rss_mb")},
        "spread": {
            name: [round(pick(getattr(run, name) for run in good), 3) for pick in (min, max)]
            for name in ("wall_s", "cpu_s", "peak_mb")
        },
        "runs": len(good),
        "load": [round(run.load, 1) for run in runs],
        **({"failure": failure} if failure else {}),
        **more,
    }


def middle(values: Sequence[float], digits: int = 3) -> float:
    return round(statistics.median(values), digits)


def _told(measured: Measured) -> str:
    spent = f"{measured.wall_s:.2f} s, {measured.cpu_s:.2f} s CPU, {measured.peak_mb:.0f} MB"
    return f"{measured.failure} ({spent})" if measured.failure else spent


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")[:200]
