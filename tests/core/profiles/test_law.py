"""The merge of parts is the profile of the whole, integer for integer, and both are what plain counting gives."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlops.core.profiles import Plan, Profile, Profiler, fit_plan, profile_batches
from tests.core.profiles.plainly import counted

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
FLOATS = [0.0, -0.0, 1.5, -2.25, 1e300, -1e300, 5e-324, 1e-9, math.nan, math.inf, -math.inf, 7.0, 2.0**53]
TEXTS = ["", "a", "é", "e\u0301", "日本", "a" * 300, "NaN", "null", "\x00", "ab", "ba"]
MOMENTS = [datetime(1969, 12, 31, 23, 59), datetime(2013, 1, 1), datetime(2026, 7, 4, 12, 30, 1, 250_000)]
#: A strategy of values for each type that there is.
TYPES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.float64(): st.sampled_from(FLOATS) | st.floats(width=64),
    pa.float32(): st.floats(width=32),
    pa.float16(): st.sampled_from([0.0, 1.5, math.nan, math.inf]),
    pa.int64(): st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1),
    pa.int8(): st.integers(-128, 127),
    pa.int32(): st.integers(0, 5),
    pa.uint64(): st.sampled_from([0, 2**63 - 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1),
    pa.uint16(): st.integers(0, 2**16 - 1),
    pa.bool_(): st.booleans(),
    pa.string(): st.sampled_from(TEXTS) | st.text(max_size=5),
    pa.large_string(): st.sampled_from(TEXTS),
    pa.string_view(): st.sampled_from(TEXTS),
    pa.binary(): st.binary(max_size=3),
    pa.dictionary(pa.int8(), pa.string()): st.sampled_from(TEXTS),
    pa.dictionary(pa.int32(), pa.int64()): st.integers(0, 30),
    pa.decimal128(10, 2): st.decimals(-99_999, 99_999, places=2, allow_nan=False),
    pa.decimal128(38, 4): st.sampled_from([Decimal(10) ** 33, Decimal("-0.0001"), Decimal(7), -(Decimal(10) ** 30)]),
    pa.decimal256(50, 0): st.integers(-(10**49), 10**49).map(Decimal),
    pa.timestamp("us"): st.sampled_from(MOMENTS) | st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),
    pa.timestamp("s", "Europe/Paris"): st.sampled_from([m.replace(microsecond=0, tzinfo=UTC) for m in MOMENTS]),
    pa.timestamp("ns", "UTC"): st.sampled_from([moment.replace(tzinfo=UTC) for moment in MOMENTS]),
    pa.date32(): st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    pa.date64(): st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    pa.time64("us"): st.times(),
    pa.duration("ms"): st.timedeltas().map(lambda d: d - d % (d.resolution * 1000)),
    pa.list_(pa.int64()): st.lists(st.integers(0, 3), max_size=2),
    pa.struct([("a", pa.int8())]): st.fixed_dictionaries({"a": st.none() | st.integers(0, 3)}),
    pa.null(): st.none(),
}
#: Where a column of one type meets a plan of another, as when a file of integers has a null and comes as floats.
KIN = {pa.int64(): pa.float64(), pa.int32(): pa.float64(), pa.float64(): pa.float32(), pa.string(): pa.large_string()}


@st.composite
def tables(draw: st.DrawFn) -> tuple[pa.RecordBatch, pa.RecordBatch, list[int]]:
    """A reference, other rows, and where these are cut into parts."""
    types = draw(st.lists(st.sampled_from(list(TYPES)), min_size=1, max_size=3))
    reference, rows = draw(st.integers(0, 24)), draw(st.integers(0, 24))
    batches = []
    for size in (reference, rows):
        columns = [draw(st.lists(st.none() | TYPES[type_], min_size=size, max_size=size)) for type_ in types]
        arrays = [pa.array(values, type_) for values, type_ in zip(columns, types, strict=True)]
        batches.append(pa.RecordBatch.from_arrays(arrays, [f"c{i}" for i in range(len(types))]))
    cuts = draw(st.lists(st.integers(0, rows), max_size=6))
    return batches[0], batches[1], sorted(cuts)


def profile(plan: Plan, *batches: pa.RecordBatch) -> Profile:
    profiler = Profiler(plan, AS_OF)
    for batch in batches:
        profiler.update(batch)
    return profiler.profile()


@settings(max_examples=500)
@given(tables(), st.randoms(use_true_random=False))
def test_parts_add_up_to_the_whole_in_any_order_and_grouping(
    drawn: tuple[pa.RecordBatch, pa.RecordBatch, list[int]], chance: Any
) -> None:
    reference, rows, cuts = drawn
    plan = fit_plan([reference], sensitive=["c2"], as_of=AS_OF)
    bounds = [0, *cuts, rows.num_rows]
    batches = [rows.slice(low, high - low) for low, high in pairwise(bounds)]
    whole = profile(plan, rows)
    assert profile(plan, *batches) == whole
    parts = [profile(plan, batch) for batch in batches]
    chance.shuffle(parts)
    while len(parts) > 1:
        one, other = parts.pop(chance.randrange(len(parts))), parts.pop(chance.randrange(len(parts)))
        parts.append(one.merge(other))
    assert parts == [whole]
    told = json.dumps(whole.to_json(), allow_nan=False)
    assert Profile.from_json(json.loads(told)) == whole
    assert profile_batches(json.loads(json.dumps(plan.to_json())), batches, AS_OF.isoformat()) == json.loads(told)
    for column in whole.columns:
        if not column.plan.derived:
            assert_equal(column, counted(column.plan, rows.column(column.name)))
        assert column.rows == rows.num_rows
        assert column.kind != "numeric" or sum(column.counts) == column.values
        assert column.kind != "categorical" or sum(column.counts) + column.rest == column.values


def assert_equal(column: Any, plainly: dict[str, Any]) -> None:
    for name, expected in plainly.items():
        found = getattr(column, name)
        found = found.entries if name == "sketch" else found
        if name in ("minimum", "maximum") and found is not None:
            found = float(found)
        assert found == expected, (column.plan, name)


@settings(max_examples=60)
@given(st.sampled_from(list(KIN)), st.data())
def test_the_type_of_a_file_changes_no_count(type_: pa.DataType, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | TYPES[type_], max_size=30))
    if type_ != pa.string():
        values = [v if v is None or float(v) == v or math.isnan(v) else 3 for v in values]
    own = pa.array(values, type_)
    try:
        other = own.cast(KIN[type_])
    except pa.ArrowInvalid:
        return  # some of the values are not numbers of that type
    if type_ == pa.float64() and other.cast(type_).to_pylist() != own.to_pylist():
        return
    plan = fit_plan([pa.record_batch({"c": own})])
    one, two = (profile(plan, pa.record_batch({"c": array})) for array in (own, other))
    assert one == two


def test_ages_hours_and_weekdays_are_told_beside_the_time() -> None:
    times = pa.array([datetime(2026, 2, 28, 23, 30), None, datetime(2026, 2, 22, 0, 0, 1)], pa.timestamp("ms"))
    batch = pa.record_batch({"t": times})
    found = profile(fit_plan([batch], as_of=AS_OF), batch)
    hours, weekdays, ages = (found.column(f"t.{how}") for how in ("hour", "weekday", "age"))
    assert [i for i, count in enumerate(hours.counts) if count] == [0, 23]
    assert [i for i, count in enumerate(weekdays.counts) if count] == [5, 6]  # Saturday and Sunday
    assert (ages.minimum, ages.maximum, ages.nulls) == (1800, 7 * 86_400 - 1, 1)
    assert Fraction(ages.mean or 0) == Fraction(1800 + 7 * 86_400 - 1, 2)
