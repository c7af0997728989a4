"""One result in, one self-contained page out: everything escaped, no script, nothing loaded from anywhere."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: Any) -> str:
    """Fill one of the templates beside this module.

    Every page extends ``base.html.j2`` and needs its values: ``kind`` and ``title``; ``tone`` (good, caution or bad),
    ``headline`` and ``text`` of the verdict; ``facts``, a list of (label, value).
    """
    return _environment().get_template(template).render(values)


def number(value: float) -> str:
    """A number for people.

    >>> number(27004), number(0.10999), number(12.0), number(1234567.5)
    ('27,004', '0.11', '12', '1,234,567.5')
    """
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 10_000 else f"{value:,.4g}"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("airflow_mlops", "reports/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
