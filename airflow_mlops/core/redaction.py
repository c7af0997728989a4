"""What may be told of an error that a library raised on somebody's rows."""

from __future__ import annotations

import re

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")


def redact(error: BaseException) -> str:
    """The first line of an error without anything in quotes: libraries quote the value that they stumbled over.

    >>> redact(ValueError("could not convert string to float: 'Alice'"))
    "could not convert string to float: '…'"
    """
    lines = str(error).splitlines()
    return _QUOTED.sub("'…'", lines[0]).rstrip(".") if lines else type(error).__name__
