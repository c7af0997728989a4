"""What an event asks to be scored: once each, and nothing that lies elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_mlops.core.microbatches import batches_of, receipts_of
from airflow_mlops.exceptions import ConfigurationError, UntrustedRecord

BELOW = "s3://aws_default@landing/flights"


def message(body: Any, id_: str = "7f") -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {"message_batch": [{"MessageId": id_, "ReceiptHandle": f"handle of {id_}", "Body": text}]}


def s3_event(*keys: str, bucket: str = "landing") -> dict[str, Any]:
    return {"Records": [{"s3": {"bucket": {"name": bucket}, "object": {"key": key}}} for key in keys]}


@pytest.mark.parametrize(
    "body",
    ["day=1/a b.parquet", {"rows": "s3://landing/flights/day=1/a b.parquet"}, '"day=1/a b.parquet"',
     s3_event("flights/day%3D1/a+b.parquet"), f"{BELOW}/day=1/a b.parquet"],
)  # fmt: skip
def test_a_message_names_rows(body: Any) -> None:
    assert batches_of([message(body)], BELOW) == [{"rows": f"{BELOW}/day=1/a b.parquet", "message_id": "7f"}]


def test_one_message_may_name_many_objects() -> None:
    found = batches_of([message(s3_event("flights/a", "flights/b"))], BELOW)
    assert [batch["message_id"] for batch in found] == [f"7f/{BELOW}/a", f"7f/{BELOW}/b"]
    assert batches_of([message({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "landing"})], BELOW) == []


def test_an_event_that_is_told_twice_is_one_batch() -> None:
    twice = [message("a"), message("b", "8e"), message("a")]
    assert [batch["message_id"] for batch in batches_of(twice, BELOW)] == ["7f", "8e"]
    assert receipts_of(twice) == [
        {"Id": "7f", "ReceiptHandle": "handle of 7f"}, {"Id": "8e", "ReceiptHandle": "handle of 8e"}
    ]  # fmt: skip
    overlapping = [{"names": ["a"], "count": 1}, {"names": ["a", "b"], "count": 2}]
    assert [batch["rows"] for batch in batches_of(overlapping, "/lake/")] == ["/lake/a", "/lake/b"]


@pytest.mark.parametrize(
    "body",
    ["/etc/passwd", "s3://other/flights/a", "s3://landing/flightsx/a", "../secrets/a", "s3://landing/flights/../x",
     "file:///etc/passwd", s3_event("elsewhere/a"), s3_event("flights/a", bucket="other")],
)  # fmt: skip
def test_rows_elsewhere_are_refused(body: Any) -> None:
    with pytest.raises(UntrustedRecord, match="names rows outside s3://aws_default@landing/flights"):
        batches_of([message(body)], BELOW)


@pytest.mark.parametrize("body", ['{"path": "a"}', "[1]", "7", s3_event() | {"Records": [{}]}])
def test_a_message_that_names_nothing_is_refused(body: Any) -> None:
    with pytest.raises(ConfigurationError, match="A message names no rows"):
        batches_of([message(body)], BELOW)


def test_an_event_that_tells_only_some_files_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="tells 1 of 2,000 new files"):
        batches_of([{"names": ["a"], "count": 2000}], BELOW)
    with pytest.raises(ConfigurationError, match="names no files"):
        batches_of([{"watermark": 3}], BELOW)
