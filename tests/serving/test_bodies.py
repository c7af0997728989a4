"""What a body may be: MLflow's forms, taken strictly."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from airflow_mlops.core.signatures import Column
from airflow_mlops.exceptions import PredictionError
from airflow_mlops.serving.bodies import Reader, Refused
from airflow_mlops.serving.values import batch_of, frame_of, joined

COLUMNS = (
    Column("n", "double"),
    Column("m", "double", required=False),
    Column("w", "string", required=False),
    Column("b", "boolean", required=False),
    Column("t", "datetime", required=False),
)
READER = Reader(COLUMNS, rows=5)
NAMES = [column.name for column in COLUMNS]
ROW = [1.5, 2, "x", True, "2026-01-02T03:04:05Z"]
SECRET = "Grace Hopper"


def read(data: Any, reader: Reader = READER) -> pd.DataFrame:
    rows = reader.read(data if isinstance(data, bytes) else json.dumps(data).encode())
    return frame_of(reader.columns, rows.columns)


def split(*rows: list[Any], names: list[str] = NAMES) -> dict[str, Any]:
    return {"dataframe_split": {"columns": names, "data": list(rows)}}


def refused(data: Any, reader: Reader = READER, kind: str = "application/json") -> Refused:
    with pytest.raises(Refused) as told:
        reader.read(data if isinstance(data, bytes) else json.dumps(data).encode(), kind)
    assert SECRET not in told.value.reason
    assert len(told.value.reason) < 250
    return told.value


@pytest.mark.parametrize(
    "data",
    [
        split(ROW),
        split(ROW[::-1], names=NAMES[::-1]),
        {"dataframe_split": {"columns": NAMES, "data": [ROW], "index": [7]}},
        {"dataframe_records": [dict(zip(NAMES, ROW, strict=True))]},
        {"instances": [dict(zip(NAMES, ROW, strict=True))]},
        {"instances": [ROW], "params": {}},
        {"inputs": {name: [value] for name, value in zip(NAMES, ROW, strict=True)}},
        {"inputs": [ROW]},
    ],
)
def test_every_form_says_the_same(data: Any) -> None:
    frame = read(data)
    assert list(frame.columns) == NAMES
    assert frame.columns.dtype == object
    assert [str(kind) for kind in frame.dtypes] == ["float64", "float64", "str", "bool", "datetime64[us, UTC]"]
    assert [*frame.iloc[0]] == [1.5, 2.0, "x", True, pd.Timestamp("2026-01-02T03:04:05Z")]


def test_csv_says_the_same() -> None:
    body = b'n,m,w,b,t\n1.5,2,x,true,2026-01-02T03:04:05Z\n-1e3,,"a, ""b""",,\n'
    rows = READER.read(body, "text/csv; charset=utf-8")
    frame = frame_of(COLUMNS, rows.columns)
    assert frame.iloc[[0]].to_dict("records") == read(split(ROW)).astype(frame.dtypes).to_dict("records")
    assert frame.iloc[1, 0] == -1000
    assert frame.iloc[1, 2] == 'a, "b"'
    assert frame.iloc[1, [1, 3, 4]].isna().all()


def test_what_is_missing_is_missing_as_in_training() -> None:
    frame = read(
        {"dataframe_records": [{"n": 1}, {"n": 2, "m": None, "w": None, "b": None, "t": None}, {"n": 3, "w": "x"}]}
    )
    stored = pa.table({"w": pa.array([None, None, "x"]), "b": pa.array([None] * 3, pa.bool_())}).to_pandas()
    assert frame[["w", "b"]].equals(stored)
    assert frame[["m", "t"]].isna().all(axis=None)


def test_numbers_are_finite_one_by_one_not_in_sum() -> None:
    frame = read(split([1e308, 1.5, *ROW[2:]], [1e308, None, *ROW[2:]], [1, -1e308, *ROW[2:]]))
    assert [*frame["n"]] == [1e308, 1e308, 1]
    assert frame["m"].isna().tolist() == [False, True, False]


def test_requests_are_put_together_and_logged() -> None:
    parts = [READER.read(json.dumps(split(row, row)).encode()).columns for row in (ROW, [2, None, None, None, None])]
    whole = joined(parts)
    assert [len(its) for its in whole] == [4] * 5
    batch = batch_of(COLUMNS, parts)
    assert batch.schema.types == [pa.float64(), pa.float64(), pa.string(), pa.bool_(), pa.timestamp("us")]
    assert [batch.column(name).null_count for name in NAMES] == [0, 2, 2, 2, 2]
    assert len(parts[0][0]) == 2  # the requests keep their own


@pytest.mark.parametrize(
    ("position", "value"),
    [
        (0, True), (0, SECRET), (0, None), (0, []), (0, {}), (0, 2**53 + 1), (0, -(2**60)), (0, "1"), (0, "NaN"),
        (1, False), (1, [1]), (2, 1), (2, True), (2, [SECRET]), (3, 1), (3, "true"), (4, 1), (4, SECRET),
        (4, "2026-13-01"), (4, "9999-99"), (4, True),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused(position: int, value: Any) -> None:
    row = [*ROW]
    row[position] = value
    error = refused(split(ROW, row))
    assert error.status == 422
    assert error.reason.startswith(f"Column {NAMES[position]}, row 1: ")


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 400, "0x1", "01", "1_0"]
)
def test_what_is_no_finite_number_is_refused(number: str) -> None:
    body = json.dumps(split(["?", *ROW[1:]])).replace('"?"', number).encode()
    assert refused(body).status == 400
    if number not in ("01",):
        assert refused(f"n\n{number}\n".encode(), kind="text/csv").status == 422


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "json"), (b"{", 400, "json"), (b"\xff\xfe", 400, "json"), (b'"\\ud800"', 400, "json"),
        (b"null", 400, "format"), (b"[]", 400, "format"), (b"{}", 400, "format"), (b"1", 400, "format"),
        (b"[" * 1_000 + b"]" * 1_000, 400, "format"), (b"[" * 100_000 + b"]" * 100_000, 422, "depth"),
        ({"dataframe_split": {"columns": NAMES, "data": [[[[]]] * 5]}}, 422, "value"),
        ({"instances": [ROW], "dataframe_records": []}, 400, "format"),
        ({"instances": [ROW], SECRET: 1}, 400, "format"), ({"instances": [ROW], "params": {"a": 1}}, 422, "params"),
        ({"instances": []}, 422, "rows"), ({"instances": [ROW] * 6}, 413, "rows"),
        ({"instances": SECRET}, 400, "format"),
        ({"instances": [ROW, ROW[:1]]}, 422, "ragged"), ({"instances": [ROW, SECRET]}, 422, "ragged"),
        ({"instances": [ROW, {}]}, 422, "ragged"), ({"instances": [SECRET]}, 422, "ragged"),
        ({"instances": [[]]}, 422, "ragged"), ({"instances": [[*ROW, 1]]}, 422, "ragged"),
        (split(ROW, [1]), 422, "ragged"), (split(ROW, [*ROW, 1]), 422, "ragged"), (split(), 422, "rows"),
        (split(*[ROW] * 6), 413, "rows"), (split([], names=[]), 422, "columns"),
        (split([1, 1], names=["n", "n"]), 422, "columns"), (split([1], names=[SECRET]), 422, "columns"),
        (split([1], names=[1]), 400, "format"), ({"dataframe_split": [ROW]}, 400, "format"),  # type: ignore[list-item]
        ({"dataframe_split": {"columns": NAMES}}, 400, "format"),
        ({"dataframe_split": {"columns": NAMES, "data": [ROW], SECRET: 1}}, 400, "format"),
        ({"dataframe_records": [{}]}, 422, "columns"), ({"dataframe_records": [ROW]}, 422, "ragged"),
        ({"dataframe_records": [{"n": 1}, {"n": 1, SECRET: 2}]}, 422, "columns"),
        ({"dataframe_records": [{**dict(zip(NAMES, ROW, strict=True)), SECRET: 2}]}, 422, "columns"),
        ({"dataframe_records": {"n": 1}}, 400, "format"), ({"inputs": {}}, 400, "format"),
        ({"inputs": {"n": [1], "m": []}}, 422, "ragged"), ({"inputs": {"n": 1}}, 400, "format"),
        ({"inputs": {"n": []}}, 422, "rows"), ({"inputs": {"m": [1]}}, 422, "columns"),
        ({"inputs": {"n": [1] * 6}}, 413, "rows"), ({"inputs": {"n": [1], SECRET: [1]}}, 422, "columns"),
    ],
)  # fmt: skip
def test_a_body_of_another_form_is_refused(data: Any, status: int, code: str) -> None:
    error = refused(data)
    assert (error.status, error.code) == (status, code)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422), (b"n\n", 422), (b"n,n\n1,2\n", 422), (b"n,m\n1\n", 422), (b'n\n"1\n', 400), (b"\xff", 400),
        (b"m\n1\n", 422), (b"n,x\n1,2\n", 422), (b"n\n\n", 422), (b"n\n1\n2\n3\n4\n5\n6\n", 413), (b"n,b\n1,2\n", 422),
        (b"n\nGrace Hopper\n", 422), (b"n\n 1\n", 422), ("n\n١\n".encode(), 422),
    ],
)  # fmt: skip
def test_a_csv_of_another_form_is_refused(body: bytes, status: int) -> None:
    assert refused(body, kind="text/csv").status == status


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"])
def test_other_media_are_refused(kind: str) -> None:
    assert refused(split(ROW), kind=kind).status == 415


def test_columns_that_the_model_does_not_take_may_be_ignored() -> None:
    easy = Reader(COLUMNS, extra="ignore")
    for data in ({"dataframe_records": [{"n": 1, "other": 2}]}, {"inputs": {"n": [1], "other": [2]}}):
        assert read(data, easy)["n"].tolist() == [1]
    assert refused({"dataframe_records": [{"other": 1}]}, easy).code == "columns"


def test_a_type_that_nobody_can_send_is_told_when_the_model_comes() -> None:
    with pytest.raises(PredictionError, match="Column x is of type binary"):
        Reader((Column("x", "binary"),))


def test_numbers_come_through_as_they_are() -> None:
    numbers = [0.1, -0.0, 5e-324, 1.7976931348623157e308, 2.0**53]
    found = read({"inputs": {"n": numbers}})["n"].tolist()
    assert [math.copysign(1, value) for value in found] == [math.copysign(1, value) for value in numbers]
    assert found == numbers
