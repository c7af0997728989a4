"""Which way a check takes: SQL where its verdict is known to be that of pandas, else pandas on as little as it needs.

The table was made by asking both engines about every core expectation on hostile columns, and a test asks them again.
What differs takes the second way, and so does everything that is not listed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_mlops.core.validation.suite import Expectation


class Way(StrEnum):
    """How a check is answered when the table is not loaded.

    ``SQL``: by the SQL engine; ``CHUNKS``: by pandas, chunk by chunk, the counts added up; ``COLUMNS``: by pandas, on
    the columns that it reads; ``NAMES``: by pandas on the table without its rows; ``TABLE``: by pandas on everything.
    """

    SQL = "sql"
    CHUNKS = "chunks"
    COLUMNS = "columns"
    NAMES = "names"
    TABLE = "table"


@dataclass(frozen=True)
class Route:
    """What is known of one type of expectation.

    :param second: the way where SQL would not do
    :param sql: kinds of columns on which both engines agree
    :param splits: whether it tells which rows break it, so that they can be split off
    :param slack: largest difference of the two engines' rounding, as a share of the column's largest absolute value
    """

    second: Way
    sql: frozenset[str] = frozenset()
    splits: bool = False
    slack: float | None = None


_NUMBERS = frozenset({"integer", "float"})
_MOMENTS = frozenset({"timestamp"})
_TEXT = frozenset({"text"})
_ANY = frozenset(
    {"integer", "float", "text", "timestamp", "boolean", "long", "single", "zoned", "date", "decimal", "nanos"}
)
_KEYS = frozenset({"integer", "text", "timestamp"})

_ROW = Route(Way.CHUNKS, splits=True)
_MAP = Route(Way.COLUMNS, splits=True)
_WHOLE = Route(Way.COLUMNS)
_NAMED = Route(Way.NAMES)

ROUTES: Mapping[str, Route] = {
    # each row alone
    "expect_column_values_to_not_be_null": Route(Way.CHUNKS, _ANY, splits=True),
    "expect_column_values_to_be_null": Route(Way.CHUNKS, _ANY, splits=True),
    "expect_column_values_to_be_between": Route(Way.CHUNKS, _NUMBERS | _MOMENTS, splits=True),
    "expect_column_values_to_be_in_set": Route(Way.CHUNKS, _NUMBERS | _TEXT, splits=True),
    "expect_column_values_to_not_be_in_set": Route(Way.CHUNKS, _NUMBERS | _TEXT, splits=True),
    "expect_column_value_lengths_to_be_between": Route(Way.CHUNKS, _TEXT, splits=True),
    "expect_column_value_lengths_to_equal": Route(Way.CHUNKS, _TEXT, splits=True),
    "expect_column_values_to_match_regex": _ROW,
    "expect_column_values_to_not_match_regex": _ROW,
    "expect_column_values_to_match_regex_list": _ROW,
    "expect_column_values_to_not_match_regex_list": _ROW,
    "expect_column_values_to_match_strftime_format": _ROW,
    "expect_column_values_to_be_dateutil_parseable": _ROW,
    "expect_column_values_to_be_json_parseable": _ROW,
    "expect_column_values_to_match_json_schema": _ROW,
    "expect_column_pair_values_a_to_be_greater_than_b": _ROW,
    "expect_column_pair_values_to_be_equal": _ROW,
    "expect_column_pair_values_to_be_in_set": _ROW,
    "expect_multicolumn_sum_to_equal": _ROW,
    "expect_multicolumn_values_to_be_equal": _ROW,
    "expect_select_column_values_to_be_unique_within_record": _ROW,
    # rows that are judged beside the others
    "expect_column_values_to_be_unique": Route(Way.COLUMNS, _KEYS, splits=True),
    "expect_compound_columns_to_be_unique": Route(Way.COLUMNS, _KEYS, splits=True),
    "expect_column_values_to_be_increasing": _MAP,
    "expect_column_values_to_be_decreasing": _MAP,
    "expect_column_value_z_scores_to_be_less_than": _MAP,
    "expect_column_values_to_not_be_outliers": _MAP,
    # one figure of a column
    "expect_column_min_to_be_between": Route(Way.COLUMNS, _NUMBERS | _MOMENTS),
    "expect_column_max_to_be_between": Route(Way.COLUMNS, _NUMBERS | _MOMENTS),
    "expect_column_mean_to_be_between": Route(Way.COLUMNS, _NUMBERS, slack=1e-7),
    "expect_column_median_to_be_between": Route(Way.COLUMNS, _NUMBERS, slack=1e-12),
    "expect_column_sum_to_be_between": Route(Way.COLUMNS, _NUMBERS, slack=1e-7),
    "expect_column_stdev_to_be_between": Route(Way.COLUMNS, _NUMBERS, slack=1e-6),
    "expect_column_quantile_values_to_be_between": _WHOLE,
    "expect_column_kl_divergence_to_be_less_than": _WHOLE,
    "expect_column_unique_value_count_to_be_between": Route(Way.COLUMNS, _NUMBERS | _KEYS),
    "expect_column_proportion_of_unique_values_to_be_between": Route(Way.COLUMNS, _NUMBERS | _KEYS),
    "expect_column_proportion_of_non_null_values_to_be_between": Route(Way.COLUMNS, _ANY),
    "expect_column_distinct_values_to_be_in_set": Route(Way.COLUMNS, _NUMBERS | _TEXT),
    "expect_column_distinct_values_to_contain_set": Route(Way.COLUMNS, _NUMBERS | _TEXT),
    "expect_column_distinct_values_to_equal_set": Route(Way.COLUMNS, _NUMBERS | _TEXT),
    "expect_column_most_common_value_to_be_in_set": Route(Way.COLUMNS, _NUMBERS | _TEXT),
    # pandas' types, which a null anywhere may change
    "expect_column_type_to_be": _WHOLE,
    "expect_column_values_to_be_of_type": _WHOLE,
    "expect_column_values_to_be_in_type_list": _WHOLE,
    # the table
    "expect_table_row_count_to_be_between": Route(Way.COLUMNS, _ANY),
    "expect_table_row_count_to_equal": Route(Way.COLUMNS, _ANY),
    "expect_column_to_exist": _NAMED,
    "expect_table_column_count_to_be_between": _NAMED,
    "expect_table_column_count_to_equal": _NAMED,
    "expect_table_columns_to_match_ordered_list": _NAMED,
    "expect_table_columns_to_match_set": _NAMED,
    # pandas has no answer to these, so they crash as they do there
    "expect_column_values_to_match_like_pattern": _NAMED,
    "expect_column_values_to_not_match_like_pattern": _NAMED,
    "expect_column_values_to_match_like_pattern_list": _NAMED,
    "expect_column_values_to_not_match_like_pattern_list": _NAMED,
    "expect_table_row_count_to_equal_other_table": _NAMED,
    "expect_query_results_to_match_comparison": _NAMED,
    "unexpected_rows_expectation": _NAMED,
}

#: Names that no SQL dialect could take for something else.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
#: An instant without a zone; pandas compares no timestamp with a day.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?")
#: Beyond it, floats skip whole numbers, and numpy compares as floats.
EXACT = 2**53


def kind_of(type_: str) -> str:
    """The kind of a column by Arrow's name of its type.

    >>> [kind_of(name) for name in ("int64", "double", "dictionary<values=string, indices=int8, ordered=0>", "list<x>")]
    ['integer', 'float', 'other', 'other']
    """
    if re.fullmatch(r"u?int(8|16|32|64)", type_):
        return "integer"
    if type_.startswith("timestamp"):
        return "zoned" if "tz=" in type_ else "nanos" if "[ns" in type_ else "timestamp"
    if type_.startswith("decimal"):
        return "decimal"
    words = {
        "double": "float", "float": "single", "bool": "boolean", "string": "text", "large_string": "text",
        "date32[day]": "date",
    }  # fmt: skip
    return words.get(type_, "other")


def way(check: Expectation, kinds: Mapping[str, str]) -> Way:
    """The way that a check takes through a table, by the kinds of its columns.

    >>> mean = Expectation("expect_column_mean_to_be_between", {"column": "temp", "min_value": 0})
    >>> way(mean, {"temp": "float"}), way(mean, {"temp": "decimal"})
    (<Way.SQL: 'sql'>, <Way.COLUMNS: 'columns'>)
    """
    route = ROUTES.get(check.type)
    if route is None:
        return Way.TABLE
    return Way.SQL if route.sql and _in_sql(check, route, kinds) else route.second


def is_rounded(check: Expectation) -> bool:
    """Whether a check judges a figure that the engines may round differently."""
    return check.type in ROUTES and ROUTES[check.type].slack is not None


def too_close(check: Expectation, observed: float, rows: int, largest: float) -> bool:
    """Whether the engines' rounding could put a figure on two sides of a bound; ``largest`` in absolute value.

    >>> mean = Expectation("expect_column_mean_to_be_between", {"column": "temp", "min_value": 0.3})
    >>> too_close(mean, 0.1 + 0.2, 3, 0.2), too_close(mean, 0.31, 3, 0.5)
    (True, False)
    """
    if not is_rounded(check):
        return False
    slack = (ROUTES[check.type].slack or 0.0) * largest
    if check.type == "expect_column_sum_to_be_between":
        if rows * largest >= 2**62:
            return True  # pandas' whole numbers turn around at 2**63
        slack *= rows
    bounds = [check.kwargs.get(key) for key in ("min_value", "max_value")]
    numbers = [float(bound) for bound in bounds if isinstance(bound, int | float)]
    return not math.isfinite(observed + slack) or any(abs(observed - bound) <= slack for bound in numbers)


def _in_sql(check: Expectation, route: Route, kinds: Mapping[str, str]) -> bool:
    folded = [name.casefold() for name in kinds]
    columns = {*check.columns, *check.condition_columns}
    # DuckDB does not tell upper from lower case in names.
    plain = all(_PLAIN.fullmatch(name) and folded.count(name.casefold()) == 1 and name in kinds for name in columns)
    if not plain or not {kinds[name] for name in check.columns} <= route.sql:
        return False
    if not _condition_in_sql(check.kwargs.get("row_condition"), kinds):
        return False
    operands = [bound for key in ("min_value", "max_value") if (bound := check.kwargs.get(key)) is not None]
    operands += check.kwargs.get("value_set") or []
    counted = check.type.startswith(("expect_column_value_lengths", "expect_table", "expect_column_unique_value_count"))
    counted = counted or check.type.startswith("expect_column_proportion")
    return counted or all(_fits(value, kinds[name]) for name in check.columns for value in operands)


def _condition_in_sql(condition: Any, kinds: Mapping[str, str]) -> bool:
    """Comparisons that a missing value does not fulfil in either engine, of numbers with numbers and text with text."""
    if condition is None:
        return True
    if not isinstance(condition, Mapping):
        return False
    if condition.get("type") in ("and", "or"):
        return all(_condition_in_sql(part, kinds) for part in condition.get("conditions") or [None, False])
    kind = kinds.get(str((condition.get("column") or {}).get("name")), "other")
    if condition.get("type") == "nullity":
        return kind in _ANY
    value = condition.get("parameter")
    values = value if isinstance(value, list) else [value]
    return (
        condition.get("operator") in ("==", "<", "<=", ">", ">=", "IN")
        and kind in _NUMBERS | _TEXT
        and all(_fits(one, kind) for one in values)
    )


def _fits(value: Any, kind: str) -> bool:
    """Whether a value is of a column's own kind, so that no engine has to convert it."""
    if kind in _NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < EXACT
    if kind in _MOMENTS:
        return isinstance(value, str) and _MOMENT.fullmatch(value) is not None
    return kind == "text" and isinstance(value, str)
