from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.snapshots import DataVersion, Manifest
from airflow_mlops.exceptions import SnapshotError
from tests.core.golden import COLUMNS, version

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())


TABLE = pa.table(
    {
        "whole": pa.array([1, None, 3], pa.int64()),
        "text": ["x", None, "yé"],
        "number": [1.5, float("nan"), None],
        "flag": [True, None, False],
        "moment": pa.array([dt.datetime(2020, 1, 1), None, None], pa.timestamp("us", "UTC")),
        "day": [dt.date(2020, 1, 1), None, None],
        "list": [[1, 2], None, []],
        "struct": [{"q": 1, "w": "a"}, None, {"q": None, "w": "b"}],
        "money": [Decimal("1.20"), None, Decimal("3.40")],
        "nothing": pa.nulls(3),
    }
)


def test_golden_vector() -> None:
    """The hash is a promise: data versions of today must be found again by later releases."""
    assert version(TABLE) == "63edd03c2ada7148ab109573462b0428e79f3ba948623e35845a2dc05ad6054b"


@pytest.mark.parametrize("name", COLUMNS)
def test_golden_vector_of_each_type(name: str) -> None:
    assert version(pa.table({"c": COLUMNS[name]})) == GOLDEN[name]


def test_every_golden_vector_is_another_one() -> None:
    assert set(GOLDEN) == set(COLUMNS)
    assert len(set(GOLDEN.values())) == len(COLUMNS)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_chunks_do_not_matter(rows: int) -> None:
    assert version(TABLE, rows) == version(TABLE)


def test_a_slice_is_its_own_rows() -> None:
    long = pa.concat_tables([TABLE, TABLE, TABLE]).combine_chunks()
    assert version(long.slice(3, 3)) == version(TABLE)


@pytest.mark.parametrize("storage", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_how_arrow_keeps_text_does_not_matter(storage: pa.DataType) -> None:
    index = TABLE.column_names.index("text")
    assert version(TABLE.set_column(index, "text", TABLE["text"].cast(storage))) == version(TABLE)


def test_what_lies_under_a_null_does_not_matter() -> None:
    left = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.array([7, 8]).buffers()[1]])
    right = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.array([7, 9]).buffers()[1]])
    assert version(pa.table({"a": left})) == version(pa.table({"a": right}))


def test_every_nan_is_the_same_nan() -> None:
    odd = np.array([0x7FF8000000000001], "u8").view("f8")
    assert version(pa.table({"a": odd})) == version(pa.table({"a": [float("nan")]}))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.slice(0, 2),
        lambda t: t.take([1, 0, 2]),
        lambda t: t.rename_columns(["other", *t.column_names[1:]]),
        lambda t: t.select([*t.column_names[1:], "whole"]),
        lambda t: t.set_column(0, "whole", t["whole"].cast(pa.int32())),
        lambda t: t.set_column(1, "text", pa.array(["x", "", "yé"])),
        lambda t: t.set_column(2, "number", pa.array([1.5, None, float("nan")])),
        lambda t: t.set_column(6, "list", pa.array([[1], None, [2]])),
        lambda t: t.set_column(1, "text", pa.array(["xy", None, "é"])),
    ],
)
def test_any_change_changes_the_version(change: object) -> None:
    assert version(change(TABLE)) != version(TABLE)  # type: ignore[operator]


@given(
    values=st.lists(st.none() | st.floats(allow_nan=True) | st.just(-0.0), min_size=1, max_size=40),
    at=st.integers(0, 39),
    rows=st.integers(1, 7),
)
def test_one_changed_cell_changes_the_version(values: list[float | None], at: int, rows: int) -> None:
    table = pa.table({"a": pa.array(values, pa.float64())})
    assert version(table, rows) == version(table)
    at %= len(values)
    other = [*values[:at], 12345.678 if values[at] != 12345.678 else None, *values[at + 1 :]]
    assert version(pa.table({"a": pa.array(other, pa.float64())})) != version(table)


LONG = pa.table(
    {
        "moment": pa.array(range(20_000), pa.int64()).cast(pa.timestamp("us")),
        "flag": [i % 2 == 0 for i in range(20_000)],
        "kind": pa.array([f"k{i % 7}" for i in range(20_000)]).dictionary_encode(),
        "x": [i / 3 for i in range(20_000)],
    }
)


@pytest.mark.parametrize(
    ("column", "value"),
    [("moment", dt.datetime(2026, 1, 1)), ("flag", False), ("kind", "k0"), ("x", 5000.000000000001), ("x", None)],
)
def test_one_cell_at_row_fifteen_thousand_changes_the_version(column: str, value: object) -> None:
    values, type_ = LONG[column].to_pylist(), LONG.schema.field(column).type
    assert values[15_000] != value
    values[15_000] = value
    other = pa.array(values, type_.value_type).dictionary_encode() if column == "kind" else pa.array(values, type_)
    assert version(LONG.set_column(LONG.schema.get_field_index(column), column, other)) != version(LONG)


def test_types_and_their_order_are_part_of_the_version() -> None:
    seen = {
        version(LONG),
        version(LONG.select(["flag", "moment", "kind", "x"])),
        version(LONG.set_column(0, "moment", LONG["moment"].cast(pa.timestamp("ns")))),
        version(LONG.set_column(0, "moment", LONG["moment"].cast(pa.timestamp("us", "UTC")))),
        version(LONG.set_column(1, "flag", LONG["flag"].cast(pa.int8()))),
        version(LONG.set_column(3, "x", LONG["x"].cast(pa.float32()))),
    }
    assert len(seen) == 6


def test_whichever_engine_made_the_table_does_not_matter() -> None:
    import duckdb
    import pandas as pd

    frame = pd.DataFrame(
        {"id": [1, 2, 3], "x": [0.5, 1.5, -2.0], "name": ["a", None, "é"], "flag": [True, False, True]}
    )
    frame["at"] = pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]).astype("datetime64[us]")
    plain = pa.table(
        {
            "id": [1, 2, 3],
            "x": [0.5, 1.5, -2.0],
            "name": ["a", None, "é"],
            "flag": [True, False, True],
            "at": [dt.datetime(2026, 1, day) for day in (1, 2, 3)],
        }
    )
    with duckdb.connect() as base:
        base.register("plain", plain)
        by_duckdb = base.sql("SELECT * FROM plain").to_arrow_table()
    by_kind = frame.assign(name=frame["name"].astype("category"))
    assert version(plain) == version(by_duckdb)
    assert version(plain) == version(pa.Table.from_pandas(frame, preserve_index=False))
    assert version(plain) == version(pa.Table.from_pandas(by_kind, preserve_index=False))


@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.floats(),
            st.none() | st.text(max_size=5),
            st.none() | st.booleans(),
            st.none() | st.lists(st.none() | st.integers(0, 9), max_size=3),
        ),
        max_size=30,
    ),
    cuts=st.lists(st.integers(0, 30), max_size=6),
)
def test_however_a_table_is_cut_it_has_one_version(rows: list[tuple[object, ...]], cuts: list[int]) -> None:
    types = [pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.list_(pa.int8())]
    columns = [pa.array([row[i] for row in rows], type_) for i, type_ in enumerate(types)]
    table = pa.table(columns, [str(i) for i in range(len(types))])
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    hashed = DataVersion(table.schema)
    for start, end in pairwise(edges):  # with empty parts, and parts that begin inside a byte of the validity
        for batch in table.slice(start, end - start).to_batches():
            hashed.update(batch)
    assert hashed.hexdigest() == version(table)


def test_a_type_that_cannot_be_hashed_is_named() -> None:
    with pytest.raises(SnapshotError, match="map"):
        DataVersion(pa.schema([("m", pa.map_(pa.string(), pa.int64()))]))


MANIFEST = Manifest(name="a", data_version="0" * 64, rows=1, schema=[], source={"files": "x"}, as_of="2026-11-01")


def test_a_manifest_survives_json_and_shows_a_change() -> None:
    sealed = MANIFEST.sealed()
    assert Manifest.from_json(sealed.to_json()) == sealed
    with pytest.raises(SnapshotError, match="changed after it was written"):
        Manifest.from_json({**sealed.to_json(), "rows": 2})


@pytest.mark.parametrize("broken", [{}, {"name": "a", "files": []}, {"files": [], "surprise": 1}])
def test_what_is_no_manifest_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(SnapshotError, match="not a snapshot's manifest"):
        Manifest.from_json(broken)
