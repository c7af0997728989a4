"""Golden rows: made up from a baseline, and from nothing that nobody may see."""

from __future__ import annotations

import json
from datetime import datetime

import pyarrow as pa
import pytest

from airflow_mlops.core.golden import ROWS, Golden, golden_rows
from airflow_mlops.core.signatures import Column, signature_columns
from airflow_mlops.exceptions import DigestMismatch
from airflow_mlops.steps.golden import frame_of
from airflow_mlops.steps.profiles import profile_table
from tests.versions import FEATURES, flights

TABLE = flights(200)
SCHEMA = [{"name": field.name, "type": str(field.type)} for field in TABLE.schema]
COLUMNS = signature_columns(SCHEMA, FEATURES, ["delay", "carrier"])


def test_rows_hold_what_was_seen_and_nothing_where_something_was_missing() -> None:
    rows = golden_rows(profile_table(TABLE), COLUMNS)
    assert len(rows) == ROWS
    assert rows == golden_rows(profile_table(TABLE), COLUMNS)
    assert {row["carrier"] for row in rows} == {"UA", "AA", "DL", None}
    assert {row["night"] for row in rows} == {True, False}
    assert sum(row["delay"] is None for row in rows) == 3
    assert all(100 <= row["distance"] <= 3000 for row in rows)
    assert len({row["distance"] for row in rows}) > 5


def test_of_a_sensitive_column_there_is_a_made_up_value() -> None:
    profile = profile_table(TABLE, sensitive=["carrier", "distance", "night"])
    rows = golden_rows(profile, COLUMNS)
    assert {row["carrier"] for row in rows} == {"a", None}
    assert {row["distance"] for row in rows} == {0.0}
    assert {row["night"] for row in rows} == {False}


def test_instants_are_instants() -> None:
    moments = [datetime(2026, 1, day) for day in range(1, 29)]
    table = pa.table({"at": pa.array(moments, pa.timestamp("us", "UTC")), "day": pa.array([m.date() for m in moments])})
    columns = [Column("at", "datetime"), Column("day", "datetime", False)]
    rows = golden_rows(profile_table(table), columns)
    for row in rows:
        assert "2026-01-01T" <= row["at"] < "2026-01-29"
        assert row["day"] is None or "2026-01-01T" <= row["day"] < "2026-01-29"
    frame = frame_of(rows, columns)
    assert [str(kind) for kind in frame.dtypes] == ["datetime64[us, UTC]"] * 2
    assert frame["day"].isna().sum() == 3


def test_the_frame_is_as_training_has_it() -> None:
    frame = frame_of(golden_rows(profile_table(TABLE), COLUMNS), COLUMNS)
    trained = TABLE.select(FEATURES).to_pandas()
    assert list(frame.dtypes) == list(trained.dtypes)


def test_what_was_changed_since_is_refused() -> None:
    kept = Golden(({"a": 1.0, "b": None},), ("yes",), (0.25,))
    told = json.loads(json.dumps(kept.to_json()))
    assert Golden.from_json(told, kept.digest) == kept
    with pytest.raises(DigestMismatch, match="golden predictions"):
        Golden.from_json({**told, "scores": [0.26]}, kept.digest)
