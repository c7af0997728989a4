"""Two listings of installed distributions, and what changed between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: Distributions that can change what a fit gives; the estimator's own comes on top.
DECISIVE = ("scikit-learn", "numpy", "scipy", "pandas", "pyarrow", "skops")


@dataclass(frozen=True)
class PackageChange:
    """One distribution then and now; None where it was not installed.

    :param decisive: whether it can change a fit
    """

    name: str
    was: str | None
    now: str | None
    decisive: bool

    def __str__(self) -> str:
        if self.was and self.now:
            return f"{self.name} {self.was} -> {self.now}"
        return f"{self.name} {self.now} added" if self.now else f"{self.name} {self.was} removed"


def environment_changes(was: str, now: str, decisive: Iterable[str] = DECISIVE) -> tuple[PackageChange, ...]:
    """What differs between two listings of ``name==version``, those that can change a fit first.

    >>> then = "anyio==4.0\\nnumpy==2.3.4\\npandas==2.3.0"
    >>> now = "anyio==4.1\\nnumpy==2.3.5\\npandas==2.3.0\\nrich==14.0"
    >>> [str(change) for change in environment_changes(then, now)]
    ['numpy 2.3.4 -> 2.3.5', 'anyio 4.0 -> 4.1', 'rich 14.0 added']
    """
    before, after, able = _versions(was), _versions(now), set(decisive)
    found = [
        PackageChange(name, before.get(name), after.get(name), name in able)
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
    ]
    return tuple(sorted(found, key=lambda change: (not change.decisive, change.name)))


def _versions(listing: str) -> dict[str, str]:
    pairs = (line.partition("==") for line in listing.splitlines() if "==" in line)
    return {name.strip(): version.strip() for name, _, version in pairs}
