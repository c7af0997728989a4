"""MLflow's ``/invocations`` protocol: a body as rows of the model's columns, or a short reason why not."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from airflow_mlops.core.signatures import Column
from airflow_mlops.exceptions import PredictionError
from airflow_mlops.serving.values import Values, from_text, taker_of

_FORMS: Final = ("dataframe_split", "dataframe_records", "instances", "inputs")


class Refused(Exception):
    """A request that is answered with a status and a reason; neither holds anything that was sent.

    :param code: a word for programs
    """

    def __init__(self, status: int, code: str, reason: str, **headers: str) -> None:
        super().__init__(reason)
        self.status, self.code, self.reason = status, code, reason
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(frozen=True)
class Rows:
    """Rows of a request, by column in the model's order."""

    count: int
    columns: tuple[Values, ...]


@dataclass(frozen=True)
class Reader:
    """Reads bodies for one signature.

    :param columns: what the model takes
    :param rows: how many rows a request may have
    :param extra: ``refuse`` or ``ignore`` columns that the model does not take
    """

    columns: tuple[Column, ...]
    rows: int = 10_000
    extra: str = "refuse"
    _takers: tuple[Any, ...] = field(init=False, repr=False, compare=False)
    _names: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_takers", tuple(taker_of(column) for column in self.columns))
        object.__setattr__(self, "_names", frozenset(column.name for column in self.columns))

    def read(self, body: bytes, kind: str = "application/json") -> Rows:
        """Rows of a body of JSON or CSV.

        :raises Refused: it is not what the model takes
        """
        media = kind.partition(";")[0].strip().lower()
        if media == "text/csv":
            return self._taken(*self._csv(body))
        if media != "application/json":
            raise Refused(415, "media_type", "Send application/json or text/csv.")
        return self._json(_parsed(body))

    def _json(self, data: Any) -> Rows:
        given = [form for form in _FORMS if form in data] if isinstance(data, dict) else []
        if len(given) != 1:
            raise Refused(400, "format", f"Send a JSON object with one of {', '.join(_FORMS)}.")
        if data.keys() - {given[0], "params"}:
            raise Refused(400, "format", f"Send nothing beside {given[0]} and params.")
        if data.get("params"):
            raise Refused(422, "params", "The model takes no params.")
        content = data[given[0]]
        if given[0] == "dataframe_split":
            return self._split(content)
        if isinstance(content, dict) and given[0] == "inputs":
            return self._by_column(content)
        if not isinstance(content, list):
            raise Refused(400, "format", f"{given[0]} is a list of rows.")
        self._check_count(len(content))
        if given[0] != "dataframe_records" and isinstance(content[0], list):
            return self._positional(content)
        return self._records(content)

    def _split(self, content: Any) -> Rows:
        if not isinstance(content, dict) or content.keys() - {"columns", "data", "index"}:
            raise Refused(400, "format", "dataframe_split is an object with columns and data.")
        names, rows = content.get("columns"), content.get("data")
        if not isinstance(names, list) or not isinstance(rows, list) or set(map(type, names)) - {str}:
            raise Refused(400, "format", "dataframe_split has a list of column names and a list of rows.")
        if len(set(names)) < len(names):
            raise Refused(422, "columns", "A column is named twice.")
        self._check_count(len(rows))
        _check_width(rows, len(names))
        return self._taken(len(rows), dict(zip(names, zip(*rows, strict=True), strict=True)))

    def _by_column(self, content: Mapping[str, Any]) -> Rows:
        if not content or any(not isinstance(values, list) for values in content.values()):
            raise Refused(400, "format", "inputs has a list of values for each column.")
        lengths = set(map(len, content.values()))
        if len(lengths) > 1:
            raise Refused(422, "ragged", "The columns are not of one length.")
        self._check_count(max(lengths))
        return self._taken(max(lengths), content)

    def _positional(self, rows: Sequence[Any]) -> Rows:
        _check_width(rows, len(self.columns))
        names = (column.name for column in self.columns)
        return self._taken(len(rows), dict(zip(names, zip(*rows, strict=True), strict=True)))

    def _records(self, rows: Sequence[Any]) -> Rows:
        if set(map(type, rows)) - {dict}:
            raise Refused(422, "ragged", "Each row is an object of column names and values.")
        known = [column.name for column in self.columns]
        try:
            values = {name: [row[name] for row in rows] for name in known}
        except KeyError:
            values = {name: [row.get(name) for row in rows] for name in known}
            for number, row in enumerate(rows):
                self._check_names(row, f"Row {number}: ")
        else:
            if max(map(len, rows)) > len(known) and self.extra == "refuse":
                raise self._unknown()
        return self._taken(len(rows), values)

    def _csv(self, body: bytes) -> tuple[int, dict[str, Sequence[Any]]]:
        try:
            lines = [line for line in csv.reader(io.StringIO(body.decode(), newline=""), strict=True) if line]
        except (UnicodeDecodeError, csv.Error):
            raise Refused(400, "csv", "The body is not CSV in UTF-8.") from None
        if not lines:
            raise Refused(422, "rows", "The request has no rows.")
        names, *rows = lines
        if len(set(names)) < len(names):
            raise Refused(422, "columns", "A column is named twice.")
        self._check_count(len(rows))
        _check_width(rows, len(names))
        texts = dict(zip(names, zip(*rows, strict=True), strict=True))
        known = {column.name: column for column in self.columns}
        return len(rows), {n: from_text(known[n], its) if n in known else its for n, its in texts.items()}

    def _taken(self, count: int, values: Mapping[str, Sequence[Any]]) -> Rows:
        if len(values) != len(self.columns) or not self._names.issuperset(values):
            self._check_names(values)
        nothing = [None] * count
        try:
            found = tuple(
                take(values.get(column.name, nothing)) for take, column in zip(self._takers, self.columns, strict=True)
            )
        except PredictionError as error:
            raise Refused(422, "value", str(error)) from None
        return Rows(count, found)

    def _check_names(self, names: Mapping[str, Any], where: str = "") -> None:
        missing = [c.name for c in self.columns if c.required and c.name not in names]
        if missing:
            raise Refused(422, "columns", f"{where}{'no' if where else 'No'} {', '.join(missing[:20])}.")
        if self.extra == "refuse" and names.keys() - self._names:
            raise self._unknown(where)

    def _unknown(self, where: str = "") -> Refused:
        takes = ", ".join(column.name for column in self.columns[:50])
        return Refused(
            422, "columns", f"{where}{'a' if where else 'A'} column that the model does not take; it takes {takes}."
        )

    def _check_count(self, count: int) -> None:
        if count == 0:
            raise Refused(422, "rows", "The request has no rows.")
        if count > self.rows:
            raise Refused(413, "rows", f"At most {self.rows} rows in a request.")


def _parsed(body: bytes) -> Any:
    import orjson

    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "depth" in str(error) or "recursion" in str(error).lower():
            raise Refused(422, "depth", "The body is nested too deeply.") from None
        raise Refused(400, "json", "The body is not JSON: numbers are finite, text is UTF-8.") from None


def _check_width(rows: Sequence[Any], width: int) -> None:
    if set(map(type, rows)) - {list} or set(map(len, rows)) != {width}:
        raise Refused(422, "ragged", f"Each row is a list of {width} values.")
