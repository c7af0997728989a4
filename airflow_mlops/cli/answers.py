"""What a command answers, as text for people and as JSON for programs."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlops.core.windows import instant


@dataclass(frozen=True)
class Answer:
    """Lines to read, the same as plain data, and whether all is well (the exit code)."""

    lines: Sequence[str]
    data: Any
    ok: bool = True

    def render(self, as_json: bool) -> str:
        return json.dumps(self.data, indent=1, allow_nan=False) if as_json else "\n".join(self.lines)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns by their longest cell; numbers to the right; the last column is wrapped to what is left.

    >>> for line in table(["MODEL", "ROWS"], [["a", "10"], ["longer", "1,000"]]): print(line)
    MODEL    ROWS
    a          10
    longer  1,000
    """
    cells = [list(row) for row in rows]
    widths = [max(len(line[column]) for line in [header, *cells]) for column in range(len(header))]
    right = [_numeric([row[column] for row in cells]) for column in range(len(header))]
    before = sum(widths[:-1]) + 2 * (len(widths) - 1)
    lines = []
    for row in [list(header), *cells]:
        first, *more = textwrap.wrap(row[-1], max(width() - before, 24)) or [""]
        pairs = zip([*row[:-1], first], widths, right, strict=True)
        line = "  ".join(cell.rjust(size) if numeric else cell.ljust(size) for cell, size, numeric in pairs)
        lines += [line.rstrip(), *(" " * before + text for text in more)]
    return lines


def _numeric(column: Sequence[str]) -> bool:
    told = [cell for cell in column if cell not in ("", "-")]
    return bool(told) and all(cell.replace(",", "").replace(".", "").lstrip("-").isdecimal() for cell in told)


def facts(pairs: Iterable[tuple[str, str]], indent: str = "  ") -> list[str]:
    """Names and what they are, aligned and wrapped."""
    known = list(pairs)
    size = max((len(name) for name, _ in known), default=0)
    lines = []
    for name, text in known:
        lead = f"{indent}{name.ljust(size)}  "
        lines += textwrap.wrap(text, width(), initial_indent=lead, subsequent_indent=" " * len(lead)) or [lead.rstrip()]
    return lines


def paragraph(text: str, indent: str = "") -> list[str]:
    """A sentence within the width of the terminal."""
    return textwrap.wrap(text, width(), initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def day(value: datetime | str | None) -> str:
    """An instant as people write it: a day where it is one.

    >>> day("2026-11-01T00:00:00+00:00"), day("2026-11-02T06:30:12+00:00"), day("unknown")
    ('2026-11-01', '2026-11-02 06:30', 'unknown')
    """
    if value is None or value == "unknown":
        return str(value or "-")
    moment = instant(value)
    return f"{moment:%Y-%m-%d}" if (moment.hour, moment.minute) == (0, 0) else f"{moment:%Y-%m-%d %H:%M}"


def width() -> int:
    """Columns of the terminal, within reason."""
    return max(60, min(shutil.get_terminal_size((100, 24)).columns, 140))
