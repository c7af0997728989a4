"""Arrow types as people write them, and instants as values of a column's type."""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING, Any

from airflow_mlops.exceptions import ConfigurationError, SnapshotError

if TYPE_CHECKING:
    import pyarrow as pa

_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns)(?:, ?(?:tz=)?([^\]]+))?\]")
_DECIMAL = re.compile(r"decimal(?:128)?\((\d{1,2}), ?(\d{1,2})\)")


def read_type(text: str) -> pa.DataType:
    """The Arrow type that a name means, in Arrow's own spelling.

    >>> read_type("int64"), read_type("timestamp[us, tz=UTC]"), read_type("decimal128(12, 2)")
    (DataType(int64), TimestampType(timestamp[us, tz=UTC]), Decimal128Type(decimal128(12, 2)))
    """
    import pyarrow as pa

    try:
        if found := _TIMESTAMP.fullmatch(text):
            return pa.timestamp(found[1], found[2])
        if found := _DECIMAL.fullmatch(text):
            return pa.decimal128(int(found[1]), int(found[2]))
        return pa.type_for_alias(text)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{text!r} is not a type: write one such as int64, double, string, bool, date32, timestamp[us, tz=UTC] or "
            "decimal128(12, 2)."
        ) from error


def describe_schema(schema: pa.Schema) -> list[dict[str, Any]]:
    """A schema as plain data."""
    return [{"name": f.name, "type": str(f.type), "nullable": f.nullable} for f in schema]


def check_schema(schema: pa.Schema, what: str) -> None:
    """Refuse rows that no later step could name the columns of.

    :raises SnapshotError: there is no column, or two share a name
    """
    if not schema.names:
        raise SnapshotError(f"{what} has no columns.")
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise SnapshotError(f"{what} has more than one column named {', '.join(twice)}: rename them at the source.")


def difference(expected: pa.Schema, found: pa.Schema) -> str:
    """What differs between two schemas, in words; empty if nothing does."""
    ours, theirs = ({f.name: str(f.type) for f in schema} for schema in (expected, found))
    changed = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    if changed:
        return ", ".join(f"{n} was {ours.get(n, 'missing')}, is {theirs.get(n, 'missing')}" for n in changed)
    return "" if expected.names == found.names else "their order"


def as_scalar(moment: Any, type_: pa.DataType) -> pa.Scalar:
    """An instant as a scalar of a column's type: with a zone, without one (then UTC), or a date."""
    import pyarrow as pa

    if pa.types.is_date(type_):
        return pa.scalar(moment.date(), type_)
    if pa.types.is_timestamp(type_):
        return pa.scalar(moment if type_.tz else moment.astimezone(UTC).replace(tzinfo=None), type_)
    raise SnapshotError(f"A time column of type {type_} cannot be compared: store it as a timestamp or a date.")
