"""Columns that engines disagree on, and every core expectation asked about each of them in several ways."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

N, NAN, INF = None, float("nan"), float("inf")
DAYS = (3, 1, 2, 2, 5, 7)

COLUMNS: dict[str, pa.Array] = {
    "whole": pa.array([3, 1, 2, 2, 5, 7]),
    "whole_null": pa.array([3, N, 2, 2, 5, 7]),
    "long": pa.array([2**53 + 1, 2**53, 3, 3, -5, 2**62]),
    "long_null": pa.array([2**53 + 1, 2**53, 3, N, -5, 2**62]),
    "tiny": pa.array([3, 1, 2, 2, 120, 125], pa.int8()),
    "unsigned": pa.array([3, 1, 2, 2, 5, 250], pa.uint8()),
    "rising": pa.array([1, 2, 3, 4, 5, 6]),
    "real": pa.array([3.0, 1.5, 2.0, 2.0, 5.0, 7.0]),
    "real_nan": pa.array([3.0, NAN, 2.0, N, 5.0, 7.0]),
    "real_inf": pa.array([3.0, INF, 2.0, N, -5.0, 7.0]),
    "both_inf": pa.array([3.0, INF, 2.0, -INF, -5.0, 7.0]),
    "single": pa.array([3.0, 1.1, 2.0, 2.0, 5.0, 7.0], pa.float32()),
    "tenths": pa.array([0.1, 0.2, 0.3, 0.4, 0.1, 0.7]),
    "zeros": pa.array([-0.0, 0.0, 0.0, 1.0, 1.0, 2.0]),
    "nan": pa.array([NAN] * 6),
    "null_real": pa.nulls(6, pa.float64()),
    "null_whole": pa.nulls(6, pa.int64()),
    "null_text": pa.nulls(6, pa.string()),
    "null_flag": pa.nulls(6, pa.bool_()),
    "null_moment": pa.nulls(6, pa.timestamp("us")),
    "null_day": pa.nulls(6, pa.date32()),
    "nothing": pa.nulls(6),
    "text": pa.array(["b", "a", "é", "a", "", "B c"]),
    "text_null": pa.array(["b", N, "日本", "a", " ", "B%_"]),
    "emoji": pa.array(["👍🏽", "e\u0301", "é", "ß", "SS", "a\nb"]),
    "digits": pa.array(["1", "2", "10", "2", "1.0", "x"]),
    "dates": pa.array(["2013-01-01", "2013-01-02 10:00", "x", "2013", N, "2013-13-01"]),
    "json": pa.array(['{"a": 1}', "[1]", "x", "NaN", N, '"s"']),
    "same": pa.array(["k"] * 6),
    "large_text": pa.array(["b", "a", "é", "a", "", "B c"], pa.large_string()),
    "category": pa.array(["b", "a", "é", "a", "", "B c"]).dictionary_encode(),
    "category_null": pa.array(["b", "a", N, "a", "", "B c"]).dictionary_encode(),
    "flag": pa.array([True, False, True, True, False, True]),
    "flag_null": pa.array([True, False, N, True, False, True]),
    "day": pa.array([date(2013, 1, d) for d in DAYS]),
    "day_null": pa.array([N, *(date(2013, 1, d) for d in DAYS[1:])]),
    "moment": pa.array([datetime(2013, 1, d) for d in DAYS]),
    "moment_null": pa.array([N, *(datetime(2013, 1, d, 3, 4, 5, 678) for d in DAYS[1:])]),
    "moment_ns": pa.array([datetime(2013, 1, d) for d in DAYS], pa.timestamp("ns")),
    "zoned": pa.array([datetime(2013, 1, d, tzinfo=UTC) for d in DAYS]),
    "paris": pa.array([N, *(datetime(2013, 1, d, tzinfo=UTC) for d in DAYS[1:])], pa.timestamp("us", "Europe/Paris")),
    "money": pa.array([Decimal(x) for x in ("3.10", "1.00", "2.20", "2.20", "5.00", "7.00")], pa.decimal128(9, 2)),
    "money_null": pa.array([N, *(Decimal(x) for x in ("1.00", "2.20", "2.20", "5.00", "7.00"))], pa.decimal128(9, 2)),
    "clock": pa.array([time(h) for h in DAYS]),
    "bytes": pa.array([b"a", b"b", b"b", N, b"", b"\xff"]),
    "list": pa.array([[1], [2], [1], N, [], [3, 4]]),
    "struct": pa.array([{"a": 1}, {"a": 2}, {"a": 1}, N, {"a": 1}, {"a": 1}]),
    "wait": pa.array([timedelta(d) for d in DAYS]),
    "Case": pa.array([1, 2, 2, 3, 3, 4]),
    "select": pa.array([1, 2, 2, 3, 3, 4]),
    'od"d <b>': pa.array([1, 2, 2, 3, 3, 4]),
}  # fmt: skip
#: Those of the short walk: one of each kind that the routes tell apart.
FEW = (
    "whole", "whole_null", "long", "real_nan", "real_inf", "single", "null_real", "text", "text_null", "emoji",
    "digits",     "category_null", "flag_null", "day", "moment_null", "zoned", "money", "nothing",
)  # fmt: skip

BOUNDS: list[dict[str, Any]] = [
    {"min_value": 2, "max_value": 6},
    {"min_value": 0},
    {"max_value": 3, "strict_max": True},
    {"min_value": "2013-01-02T00:00:00", "max_value": "2013-01-06 12:30:00.5"},
    {"min_value": "2013-01-02", "max_value": "2013-01-06"},
    {"min_value": "2013-01-01T00:00:00+00:00", "max_value": "2013-01-07T00:00:00+00:00"},
    {"min_value": 1.8},
    {"max_value": 2**53},
    {"min_value": -1e300, "max_value": 1e300},
]
FIGURES: list[dict[str, Any]] = [
    {"min_value": 0.2, "max_value": 4},
    {"min_value": 5},
    {"max_value": 1, "strict_max": True},
]
SETS: list[list[Any]] = [
    [3, 1, 2, 5, 7], ["a", "b", "é", "", "B c"], [2], ["1", "2"], [1.5, 3.0], [True, False], [True], [1, "a", None],
    ["2013-01-02"], ["2013-01-02T00:00:00+00:00"], [2**53 + 1], ["k"], [0], [2.2], ["A"], ["a", None],
]  # fmt: skip
EACH_SET = [{"value_set": values} for values in SETS]
REGEX = [{"regex": one} for one in ("^[a-z]", r"\w", "(?=b)b", "(", "(?i)b", ".b", "^$")]
LIKE: list[dict[str, Any]] = [{"like_pattern": "a%"}, {"like_pattern": "_"}, {"like_pattern": "B!%_", "escape": "!"}]
QUANTILES: list[dict[str, Any]] = [
    {"quantile_ranges": {"quantiles": [0.5], "value_ranges": [[1, 3]]}},
    {"quantile_ranges": {"quantiles": [0, 0.25, 1], "value_ranges": [[0, 2], [1, 3], [5, None]]}},
]
PARTITIONS: list[dict[str, Any]] = [
    {"partition_object": {"values": ["a", "b"], "weights": [0.5, 0.5]}, "threshold": 0.5},
    {"partition_object": {"bins": [0, 2, 4, 8], "weights": [0.3, 0.3, 0.4]}, "threshold": 1.5},
    {"partition_object": {"values": [True, False], "weights": [0.6, 0.4]}, "threshold": 0.1},
]
MOST = [{}, {"mostly": 0.5}]


def where(column: str, operator: str, parameter: Any) -> dict[str, Any]:
    comparison = {"type": "comparison", "column": {"name": column}, "operator": operator, "parameter": parameter}
    return {"row_condition": comparison}


NULL_TEXT = {"type": "nullity", "column": {"name": "text_null"}, "is_null": True}
CONDITIONS: list[dict[str, Any]] = [
    where("whole", ">", 2),
    where("whole_null", "==", 2),
    where("real_nan", "<", 4),
    where("real_nan", "!=", 2),
    where("text_null", "==", "a"),
    where("text_null", "!=", "a"),
    where("text_null", "IN", ["a", "b"]),
    where("text_null", "NOT_IN", ["a", "b"]),
    where("whole", ">", 100),
    where("digits", "==", 2),
    where("money", ">", 2),
    where("moment", ">", "2013-01-02"),
    {"row_condition": NULL_TEXT},
    {"row_condition": {**NULL_TEXT, "is_null": False}},
    {"row_condition": {"type": "or", "conditions": [NULL_TEXT, where("whole", ">", 2)["row_condition"]]}},
    {"row_condition": {"type": "and", "conditions": [NULL_TEXT, where("real_nan", "!=", 2)["row_condition"]]}},
]

OF_COLUMN: dict[str, list[dict[str, Any]]] = {
    "column_distinct_values_to_be_in_set": EACH_SET,
    "column_distinct_values_to_contain_set": EACH_SET,
    "column_distinct_values_to_equal_set": EACH_SET,
    "column_kl_divergence_to_be_less_than": PARTITIONS,
    "column_max_to_be_between": BOUNDS,
    "column_mean_to_be_between": [*BOUNDS, {"min_value": 0.3, "max_value": 0.3}],
    "column_median_to_be_between": BOUNDS,
    "column_min_to_be_between": BOUNDS,
    "column_sum_to_be_between": [*BOUNDS, {"max_value": 1.8}],
    "column_most_common_value_to_be_in_set": [*EACH_SET, *({**one, "ties_okay": True} for one in EACH_SET)],
    "column_proportion_of_non_null_values_to_be_between": FIGURES,
    "column_proportion_of_unique_values_to_be_between": FIGURES,
    "column_quantile_values_to_be_between": QUANTILES,
    "column_stdev_to_be_between": FIGURES,
    "column_to_exist": [{}, {"column_index": 0}],
    "column_type_to_be": [{"type_": one} for one in ("int64", "str", "BIGINT")],
    "column_unique_value_count_to_be_between": [{"min_value": 5}, {"max_value": 3}],
    "column_value_lengths_to_be_between": [{"min_value": 1, "max_value": 2}, {"max_value": 1, "mostly": 0.5}],
    "column_value_lengths_to_equal": [{"value": 1}],
    "column_value_z_scores_to_be_less_than": [{"threshold": 1, "double_sided": True}],
    "column_values_to_be_between": [*BOUNDS, {"min_value": 2, "mostly": 0.5}],
    "column_values_to_be_dateutil_parseable": MOST,
    "column_values_to_be_decreasing": [{}, {"strictly": True}],
    "column_values_to_be_in_set": [*EACH_SET, {"value_set": [2], "mostly": 0.3}],
    "column_values_to_be_in_type_list": [{"type_list": ["int64", "str"]}, {"type_list": ["float64", "VARCHAR"]}],
    "column_values_to_be_increasing": [{}, {"strictly": True}],
    "column_values_to_be_json_parseable": MOST,
    "column_values_to_be_null": MOST,
    "column_values_to_be_of_type": [{"type_": one} for one in ("str", "int64", "datetime64", "Decimal")],
    "column_values_to_be_unique": MOST,
    "column_values_to_match_json_schema": [{"json_schema": {"type": "object"}}],
    "column_values_to_match_like_pattern": LIKE,
    "column_values_to_match_like_pattern_list": [{"like_pattern_list": ["a%", "b%"]}],
    "column_values_to_match_regex": REGEX,
    "column_values_to_match_regex_list": [{"regex_list": ["^a", "b"]}, {"regex_list": ["a", "."], "match_on": "all"}],
    "column_values_to_match_strftime_format": [{"strftime_format": "%Y-%m-%d"}],
    "column_values_to_not_be_in_set": EACH_SET,
    "column_values_to_not_be_null": MOST,
    "column_values_to_not_be_outliers": [{"method": "iqr", "multiplier": 1.5}, {"method": "std", "multiplier": 1.0}],
    "column_values_to_not_match_like_pattern": LIKE,
    "column_values_to_not_match_like_pattern_list": [{"like_pattern_list": ["a%", "b%"]}],
    "column_values_to_not_match_regex": REGEX,
    "column_values_to_not_match_regex_list": [{"regex_list": ["^a", "b"]}],
}
PAIRS = [
    ("whole", "rising"), ("whole_null", "real_nan"), ("real", "whole"), ("text", "large_text"), ("text", "category"),
    ("text", "text_null"), ("moment", "zoned"), ("moment", "moment_null"), ("day", "moment"), ("money", "real"),
    ("digits", "whole"), ("null_real", "real"), ("long", "long_null"), ("real_inf", "real"), ("nan", "null_real"),
    ("single", "real"), ("flag", "flag_null"), ("unsigned", "tiny"), ("zeros", "real"),
]  # fmt: skip
OF_PAIR: dict[str, list[dict[str, Any]]] = {
    "column_pair_values_a_to_be_greater_than_b": [{}, {"or_equal": True}, {"mostly": 0.5}],
    "column_pair_values_to_be_equal": [{}, {"mostly": 0.3}],
    "column_pair_values_to_be_in_set": [{"value_pairs_set": [[3, 1], [2, 3]]}, {"value_pairs_set": [["b", "b"]]}],
}
OF_LIST: dict[str, list[dict[str, Any]]] = {
    "compound_columns_to_be_unique": [{}, {"mostly": 0.5}],
    "multicolumn_sum_to_equal": [{"sum_total": 4}],
    "multicolumn_values_to_be_equal": [{}],
    "select_column_values_to_be_unique_within_record": [{}],
}
IGNORED = {"pair": ("both_values_are_missing", "either_value_is_missing", "neither"),
           "list": ("all_values_are_missing", "any_value_is_missing", "never")}  # fmt: skip
OF_TABLE: dict[str, list[dict[str, Any]]] = {
    "table_column_count_to_be_between": [{"min_value": 1, "max_value": 100}, {"max_value": 2}],
    "table_column_count_to_equal": [{"value": 3}, {"value": len(COLUMNS)}],
    "table_columns_to_match_ordered_list": [{"column_list": list(COLUMNS)}, {"column_list": ["whole"]}],
    "table_columns_to_match_set": [{"column_set": list(COLUMNS)}, {"column_set": ["whole"], "exact_match": False}],
    "table_row_count_to_be_between": [{"min_value": 1, "max_value": 6}, {"max_value": 2}],
    "table_row_count_to_equal": [{"value": 6}, {"value": 0}],
    "table_row_count_to_equal_other_table": [{"other_table_name": "snapshot"}],
    "query_results_to_match_comparison": [
        {"base_query": "select 1", "comparison_data_source_name": "x", "comparison_query": "select 1"}
    ],
}


def items(columns: tuple[str, ...], most: int | None = None) -> Iterator[dict[str, Any]]:
    """Checks on some columns, each with its first ``most`` arguments: all of them unless told otherwise."""
    for kind, options in OF_COLUMN.items():
        for column in columns:
            yield from (_item(kind, column=column, **one) for one in options[:most])
    for kind, options in OF_PAIR.items():
        for a, b in PAIRS if most is None else PAIRS[: 2 * most]:
            for one in [*options[:most], *({**options[0], "ignore_row_if": word} for word in IGNORED["pair"])]:
                yield _item(kind, column_A=a, column_B=b, **one)
    for kind, options in OF_LIST.items():
        for names in [*(PAIRS if most is None else PAIRS[: 2 * most]), ("whole", "real_nan", "null_real")]:
            for one in [*options[:most], *({**options[0], "ignore_row_if": word} for word in IGNORED["list"])]:
                yield _item(kind, column_list=list(names), **one)
    for kind, options in OF_TABLE.items():
        yield from (_item(kind, **one) for one in options)
    yield {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": "select * from {batch}"}}
    chosen = ("column_values_to_be_between", "column_values_to_be_in_set", "column_values_to_match_regex",
              "column_mean_to_be_between", "column_values_to_not_be_null", "column_values_to_be_unique")  # fmt: skip
    for kind in chosen:
        for column in ("whole", "real_nan", "text_null"):
            for condition in CONDITIONS:
                yield _item(kind, column=column, **OF_COLUMN[kind][0], **condition)


def _item(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_{kind}", "kwargs": kwargs}
