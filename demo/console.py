"""What the person at the terminal sees, and how they end it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType


class Progress:
    """One line that changes where there is a terminal, a line for each change where there is none."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._last = ""
        self._live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin

    def say(self, text: str) -> None:
        """What goes on at the moment."""
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            print("\r\033[K" + f"{self.seconds:4.0f} s  {text}"[:width], end="", flush=True)
        elif text != self._last:
            print(f"{self.seconds:4.0f} s  {text}", flush=True)
        self._last = text

    def done(self, text: str) -> None:
        """What stays to be read."""
        print(("\r\033[K" if self._live else "") + f"{self.seconds:4.0f} s  {text}", flush=True)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    ruled = [heads, ["─" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in ruled
    )


def _nothing(number: int, frame: FrameType | None) -> None:
    """A second signal changes nothing."""


def end_on_signals() -> None:
    """Make of Ctrl-C, of a kill and of a closed terminal one orderly exit, which a second one does not disturb."""

    def leave(number: int, frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, _nothing)  # not SIG_IGN: a signal that is under way already would complain
        os.write(2, b"\nstopping every process, this takes some seconds\n")  # print is not safe in a signal handler
        raise SystemExit(128 + number)

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for each in signals:
        signal.signal(each, leave)
