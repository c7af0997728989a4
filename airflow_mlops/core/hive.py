"""Folders that are columns: ``year=2024/month=01``, their types, and which of them a window can do without."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow_mlops.core.snapshots import read_type
from airflow_mlops.core.windows import Bounds
from airflow_mlops.exceptions import ConfigurationError, SnapshotError

if TYPE_CHECKING:
    import pyarrow as pa

_FOLDER = re.compile(r"([^=/]+)=([^/]*)")
_WHOLE = re.compile(r"-?\d{1,9}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_NULL = "__HIVE_DEFAULT_PARTITION__"


def folders_of(path: str) -> dict[str, str | None]:
    """What the folders of a file say, as text.

    >>> folders_of("lake/year=2024/month=01/part-0.parquet")
    {'year': '2024', 'month': '01'}
    >>> folders_of("lake/city=S%C3%A3o%20Paulo/zone=__HIVE_DEFAULT_PARTITION__/0.csv")
    {'city': 'São Paulo', 'zone': None}
    """
    found = (_FOLDER.fullmatch(part) for part in path.split("/")[:-1])
    return {unquote(one[1]): None if one[2] == _NULL else unquote(one[2]) for one in found if one}


@dataclass(frozen=True)
class Partitions:
    """The columns that the folders of some files make.

    :param types: Arrow's name of each column's type
    :param values: the folders of each file
    """

    types: Mapping[str, str]
    values: Mapping[str, Mapping[str, str | None]]

    @classmethod
    def of(cls, paths: Sequence[str], declared: Mapping[str, str] | None = None) -> Partitions:
        """The partitions of some files: declared types, else int32, date32 or string, whichever fits every folder.

        >>> Partitions.of(["a/day=2024-01-01/x=1/f", "a/day=2024-01-02/x=b/f"]).types
        {'day': 'date32', 'x': 'string'}
        """
        values = {path: folders_of(path) for path in paths}
        names = list(next(iter(values.values()), {}))
        for path, found in values.items():
            if list(found) != names:
                raise SnapshotError(
                    f"The folders of {path} make the columns {', '.join(found) or 'none'}, those of the first file "
                    f"{', '.join(names) or 'none'}: name a folder below which they agree."
                )
        types = {name: (declared or {}).get(name) or _type([v[name] for v in values.values()]) for name in names}
        return cls(types, values)

    def column(self, path: str, name: str, rows: int) -> pa.Array:
        """The column that a folder makes of a file's rows."""
        import pyarrow as pa

        text, type_ = self.values[path][name], read_type(self.types[name])
        try:
            scalar = pa.scalar(text, pa.string()).cast(type_)
        except pa.ArrowInvalid:
            raise SnapshotError(f"The folder {name}={text} of {path} is no {type_}.") from None
        return pa.repeat(scalar, rows)

    def within(self, bounds: Bounds, prune: Sequence[str]) -> list[str]:
        """The files whose folders may hold rows of the bounds, by the date that the named columns make.

        A day more on both sides is kept: the folder may be of another time zone than the rows.

        >>> from airflow_mlops.core.windows import instant
        >>> found = Partitions.of([f"t/year=2024/month={month:02}/f" for month in range(1, 13)])
        >>> len(found.within(Bounds(instant("2024-03-01"), instant("2024-05-01")), ["year", "month"]))
        4
        """
        first, last = bounds.start.date() - timedelta(1), bounds.end.date() + timedelta(1)
        return [path for path in self.values if _overlaps(self._span(path, prune), first, last)]

    def _span(self, path: str, prune: Sequence[str]) -> tuple[date, date] | None:
        """First and last day that a file's folders stand for; None if they say nothing."""
        texts: list[Any] = [self._text(path, name) for name in prune]
        if any(text is None for text in texts):
            return None
        try:
            if len(texts) == 1 and _DAY.fullmatch(texts[0]):
                return date.fromisoformat(texts[0]), date.fromisoformat(texts[0])
            year, month, day = (int(texts[at]) if at < len(texts) else None for at in range(3))
            first = date(year or 1, month or 1, day or 1)
        except ValueError as error:
            raise ConfigurationError(
                f"The folders {', '.join(prune)} of {path} are no date: prune by a day such as 2024-01-31, or by year, "
                "month and day."
            ) from error
        return first, first if day else _end(first, whole_year=month is None)

    def _text(self, path: str, name: str) -> str | None:
        if name not in self.types:
            raise ConfigurationError(f"prune names {name}; the folders make the columns {', '.join(self.types)}.")
        return self.values[path][name]


def _type(texts: Sequence[str | None]) -> str:
    told = [text for text in texts if text is not None]
    for pattern, name in ((_WHOLE, "int32"), (_DAY, "date32")):
        if told and all(pattern.fullmatch(text) for text in told):
            return name
    return "string"


def _end(first: date, *, whole_year: bool) -> date:
    following = first.replace(year=first.year + 1) if whole_year else (first + timedelta(31)).replace(day=1)
    return following - timedelta(1)


def _overlaps(span: tuple[date, date] | None, first: date, last: date) -> bool:
    return span is None or (span[0] <= last and span[1] >= first)
