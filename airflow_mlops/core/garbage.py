"""Which snapshots of a store nobody needs any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow_mlops.exceptions import ConfigurationError


@dataclass(frozen=True)
class Stored:
    """A folder of snapshots in a store.

    :param id: the name of the folder
    :param changed: when a file in it was last written, seconds since 1970
    :param parents: ids of the snapshots that it was made from
    :param finished: whether it has a manifest
    """

    name: str
    id: str
    changed: float
    bytes: int
    parents: tuple[str, ...] = ()
    finished: bool = True


@dataclass(frozen=True)
class Removal:
    """A snapshot to remove, and why."""

    name: str
    id: str
    bytes: int
    why: str


@dataclass(frozen=True)
class Garbage:
    """What a garbage collection found, or removed.

    :param removed: the snapshots, the oldest first
    :param spools: temporary folders of dead writers on this machine
    :param kept: how many snapshots stay, by reason
    :param dry: whether nothing was removed
    """

    store: str
    removed: list[Removal]
    spools: list[str] = field(default_factory=list)
    kept: Mapping[str, int] = field(default_factory=dict)
    dry: bool = True

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.removed)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "bytes": self.bytes}


def judge_garbage(
    stored: Iterable[Stored], named: Iterable[str], *, now: datetime, keep: timedelta, grace: timedelta
) -> tuple[list[Removal], dict[str, int]]:
    """What may go, the oldest first, and how many stay, by reason.

    What is named stays, and what it was made from; so does what was written less than ``keep`` ago, and its parents.
    A folder without a manifest is a writer at work for ``grace``, and a remnant after that.

    >>> day = 86400.0
    >>> there = [Stored("a", "old", 0, 10), Stored("a", "new", 99 * day, 10), Stored("b", "base", 0, 10),
    ...          Stored("b", "made", 1, 10, ("base",)), Stored("c", "half", 0, 5, finished=False)]
    >>> gone, kept = judge_garbage(there, ["made"], now=datetime.fromtimestamp(100 * day), keep=timedelta(30),
    ...                            grace=timedelta(1))
    >>> [one.id for one in gone], kept
    (['half', 'old'], {'named': 2, 'recent': 1, 'at work': 0})
    """
    if keep < timedelta(0) or grace <= timedelta(0):
        raise ConfigurationError("keep may not be negative, and grace must be longer than any writer takes.")
    known = {one.id: one for one in stored}
    age = {id_: timedelta(seconds=now.timestamp() - one.changed) for id_, one in known.items()}
    needed = _with_parents(set(named) & known.keys(), known)
    at_work = {id_ for id_, one in known.items() if not one.finished and age[id_] < grace} - needed
    recent = {id_ for id_, one in known.items() if one.finished and age[id_] < max(keep, grace)}
    recent = _with_parents(recent, known) - needed
    gone = sorted((known[i] for i in known.keys() - needed - at_work - recent), key=lambda one: (one.changed, one.id))
    removals = [Removal(one.name, one.id, one.bytes, _why(one, age[one.id])) for one in gone]
    return removals, {"named": len(needed), "recent": len(recent), "at work": len(at_work)}


def _with_parents(wanted: Iterable[str], known: Mapping[str, Stored]) -> set[str]:
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        id_ = waiting.pop()
        if id_ in known and id_ not in found:
            found.add(id_)
            waiting += known[id_].parents
    return found


def _why(one: Stored, age: timedelta) -> str:
    return f"named by no model, {age.days} days old" if one.finished else f"unfinished for {age.days} days"
