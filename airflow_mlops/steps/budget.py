"""CPU seconds of a step, by what they went into."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager


class CpuBudget:
    """Adds up the process's CPU time, all threads, under a few names.

    >>> budget = CpuBudget()
    >>> with budget("fit"):
    ...     _ = sum(range(1000))
    >>> sorted(budget.seconds)
    ['fit']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        before = _cpu()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + _cpu() - before

    def report(self) -> dict[str, float]:
        """Seconds by name, and ``total`` for the whole process, its start included."""
        return {name: round(value, 3) for name, value in {**self.seconds, "total": _cpu()}.items()}


def _cpu() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime
