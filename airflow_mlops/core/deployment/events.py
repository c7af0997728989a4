"""What asset events told of a model's champion; news, not orders: they may be late, doubled or about the past."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Told:
    """Versions that events named champion, in the order in which they came, each once.

    :param count: events that were told, those that named no version too
    """

    versions: tuple[int, ...] = ()
    count: int = 0

    def sentence(self, champion: int | None) -> str:
        """What the events are worth beside the alias of now.

        >>> Told((3, 2), 3).sentence(3)
        '3 events named version 3, version 2; the alias points at version 3.'
        """
        named = ", ".join(f"version {number}" for number in self.versions) or "no version"
        alias = "nothing" if champion is None else f"version {champion}"
        return f"{self.count} event{'s' * (self.count != 1)} named {named}; the alias points at {alias}."


def told_versions(extras: Iterable[Mapping[str, Any] | None], name: str) -> Told:
    """Walk over the ``extra`` of all events that triggered a run; what is no event of this model names nothing.

    >>> told_versions([{"name": "m", "champion": 2}, {"name": "m", "champion": 2}, {"name": "n", "champion": 9}], "m")
    Told(versions=(2,), count=3)
    >>> told_versions([{"payload": {"name": "m", "version": 4}, "from_trigger": True}, None, {}], "m")
    Told(versions=(4,), count=3)
    """
    seen = list(extras)
    found = [_version(extra, name) for extra in seen]
    return Told(tuple(dict.fromkeys(number for number in found if number is not None)), len(seen))


def _version(extra: Mapping[str, Any] | None, name: str) -> int | None:
    if not isinstance(extra, Mapping):
        return None
    told = extra["payload"] if isinstance(extra.get("payload"), Mapping) else extra
    number = told.get("champion", told.get("version"))
    return number if told.get("name") == name and isinstance(number, int) else None
