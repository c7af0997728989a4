"""New files and queue messages become batches: from the real triggers' events, each scored once."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger
from airflow.sdk import DAG
from sklearn.linear_model import LinearRegression
from upath import UPath

from airflow_mlops.core.microbatches import batches_of, receipts_of
from airflow_mlops.core.polling import AwaitedData
from airflow_mlops.core.signatures import Column
from airflow_mlops.operators.scoring import BatchScoreOperator
from airflow_mlops.store.predictions import read_predictions
from airflow_mlops.testing.shelf import Shelf
from airflow_mlops.triggers.snapshots import NewDataLook

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "on_messages.py"


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": moto,
        "AWS_ACCESS_KEY_ID": "some",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps({"conn_type": "aws", "extra": {"endpoint_url": moto}}),
    }.items():
        monkeypatch.setenv(name, value)
    return moto


@pytest.fixture
def score(execute: Callable[..., Any], store: UPath, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Score a batch with the double of x."""
    shelf = Shelf(tmp_path)
    x = np.arange(5.0)
    shelf.add("double", LinearRegression().fit(x[:, None], 2 * x), [Column("x", "double")], task="regression")
    shelf.promote("double", 1, datetime(2026, 11, 1, tzinfo=UTC))

    def score(**batch: str) -> Any:
        with DAG("d", schedule=None):
            task = BatchScoreOperator(task_id="score", model="models:/double@champion", store=str(store), **batch)
        task.client = shelf
        return execute(task)

    with pytest.warns(UserWarning, match="fitted without feature names"):
        yield score


def rows(path: UPath | Path, count: int = 4) -> None:
    with path.open("wb") as file:
        pq.write_table(pa.table({"x": np.arange(float(count))}), file)


def scored(store: UPath) -> list[float]:
    batches = read_predictions(store / "predictions", "double", columns=["prediction"])
    return sorted(value for batch in batches for value in batch["prediction"].to_pylist())


async def one_event(trigger: Any) -> dict[str, Any]:
    async for event in trigger.run():
        return json.loads(json.dumps(event.payload))  # type: ignore[no-any-return]
    raise AssertionError("the trigger ended without an event")


def test_a_message_that_is_delivered_again_adds_nothing(aws: str, score: Callable[..., Any], store: UPath) -> None:
    boto3.client("s3").create_bucket(Bucket="landing")
    rows(UPath("s3://landing/flights/day=1/a.parquet", endpoint_url=aws))
    queue = boto3.client("sqs")
    url = queue.create_queue(QueueName="flights")["QueueUrl"]
    queue.send_message(QueueUrl=url, MessageBody='{"rows": "day=1/a.parquet"}')
    trigger = MessageQueueTrigger(
        scheme="sqs", sqs_queue=url, delete_message_on_reception=False, visibility_timeout=0, waiter_delay=1
    )
    path, arguments = trigger.serialize()
    assert path.endswith("SqsSensorTrigger")
    assert arguments["delete_message_on_reception"] is False
    below = "s3://aws_default@landing/flights"
    found = []
    for _ in range(2):
        payload = asyncio.run(one_event(trigger))
        (batch,) = batches_of([payload], below)
        found.append(score(**batch))
    assert [one["new"] for one in found] == [True, False]
    assert found[0]["uri"] == found[1]["uri"]
    assert np.allclose(scored(store), [0, 2, 4, 6])
    queue.delete_message_batch(QueueUrl=url, Entries=receipts_of([payload]))
    assert "Messages" not in queue.receive_message(QueueUrl=url)
    # Another message about the same file is another batch.
    queue.send_message(QueueUrl=url, MessageBody=f"{below}/day=1/a.parquet")
    (batch,) = batches_of([asyncio.run(one_event(trigger))], below)
    assert score(**batch)["new"] is True


def test_an_event_of_new_files_that_is_told_again_adds_nothing(
    score: Callable[..., Any], store: UPath, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    rows(lake / "a.parquet")
    look = NewDataLook(AwaitedData({"files": str(lake)}, settle=0))
    first = dict(look().found or {})
    rows(lake / "b.parquet", 2)
    again = dict(look().found or {})  # by a triggerer that died before it had noted what it told
    batches = [*batches_of([first], str(lake)), *batches_of([again], str(lake))]
    assert [score(**batch)["new"] for batch in batches] == [True, False, True]
    assert np.allclose(scored(store), [0, 0, 2, 2, 4, 6])


def test_the_example_loads() -> None:
    bag = DagBag(dag_folder=str(EXAMPLE))
    assert bag.import_errors == {}
    (dag,) = bag.dags.values()
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "batches": {"score"}, "score": {"forget"}, "forget": set()
    }  # fmt: skip
