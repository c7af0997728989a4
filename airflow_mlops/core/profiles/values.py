"""What the types of Arrow mean to a profile: one name for each meaning, whoever wrote the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from airflow_mlops.core.profiles.plan import ColumnPlan
from airflow_mlops.exceptions import ProfileError

if TYPE_CHECKING:
    import pyarrow as pa

Family = Literal["number", "time", "text", "bool", "opaque"]
_NUMBERS: Final = ("int", "uint", "float", "double", "half", "decimal")
_TIMES: Final = ("timestamp", "date", "time", "duration")


def logical_type(type_: pa.DataType) -> str:
    """The meaning of a type: a dictionary is its values, every text is ``string``, every time counts microseconds.

    >>> import pyarrow as pa
    >>> [logical_type(t) for t in (pa.dictionary(pa.int8(), pa.large_string()), pa.timestamp("ns", "Europe/Paris"))]
    ['string', 'timestamp[us, UTC]']
    """
    import pyarrow as pa

    kind = pa.types
    if kind.is_dictionary(type_) or kind.is_run_end_encoded(type_):
        return logical_type(type_.value_type)
    if kind.is_string(type_) or kind.is_large_string(type_) or kind.is_string_view(type_):
        return "string"
    if kind.is_binary(type_) or kind.is_large_binary(type_) or kind.is_binary_view(type_):
        return "binary"
    if kind.is_fixed_size_binary(type_) and not kind.is_decimal(type_):
        return "binary"
    if kind.is_timestamp(type_):
        return "timestamp[us, UTC]" if type_.tz else "timestamp[us]"
    if kind.is_date(type_):
        return "date"
    if kind.is_time(type_):
        return "time[us]"
    if kind.is_duration(type_):
        return "duration[us]"
    if kind.is_nested(type_):
        # Not the names of the parts: Parquet gives others than Arrow.
        inside = (logical_type(type_.field(i).type) for i in range(type_.num_fields))
        return f"{str(type_).partition('<')[0].removeprefix('large_')}<{', '.join(inside)}>"
    return str(type_)


def family_of(logical: str) -> Family:
    """What may stand in for each other: an ``int64`` column with a null often comes back as ``double``."""
    if logical == "bool":
        return "bool"
    if logical in ("string", "binary"):
        return "text"
    if logical.startswith(_TIMES):
        return "time"
    return "number" if logical.startswith(_NUMBERS) else "opaque"


def check_type(plan: ColumnPlan, type_: pa.DataType) -> None:
    """Refuse a column that cannot be counted as planned.

    :raises ProfileError: such as text where the plan has numbers
    """
    if plan.kind in ("withheld", "opaque"):
        return
    found, planned = logical_type(type_), plan.type
    families = {family_of(found), family_of(planned)}
    fits = found == planned if "time" in families else len(families) == 1
    if not fits and found != "null":  # as the column of a file without any value comes
        raise ProfileError(
            f"Column {plan.source or plan.name} is {found}, its plan was made of {planned}: "
            "bring it back to that type, or make a new baseline."
        )
