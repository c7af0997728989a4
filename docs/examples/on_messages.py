"""A DAG that scores whatever the messages of a queue name: each message once, however often it is delivered."""

from __future__ import annotations

import os
from typing import Any

from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_mlops.core.microbatches import batches_of, receipts_of
from airflow_mlops.operators.scoring import BatchScoreOperator

QUEUE = os.environ.get("QUEUE", "https://sqs.eu-west-1.amazonaws.com/123456789012/flights")
LANDING = os.environ.get("LANDING", "s3://aws_default@landing/flights")

asked = Asset(
    "flights_to_score",
    watchers=[
        AssetWatcher(
            name="queue",
            # The queue forgets a message when it is scored, and delivers it again if that takes longer than this.
            trigger=MessageQueueTrigger(
                scheme="sqs", sqs_queue=QUEUE, delete_message_on_reception=False, visibility_timeout=900, waiter_delay=5
            ),
        )
    ],
)

with DAG("on_messages", schedule=[asked], catchup=False):

    @task
    def batches(triggering_asset_events: Any = None) -> list[dict[str, str]]:
        return batches_of((event.extra["payload"] for event in triggering_asset_events[asked]), below=LANDING)

    @task
    def forget(triggering_asset_events: Any = None) -> None:
        """Only reached when all are scored; else the queue delivers them again, and those that are add nothing."""
        from airflow.providers.amazon.aws.hooks.sqs import SqsHook

        receipts = receipts_of(event.extra["payload"] for event in triggering_asset_events[asked])
        for start in range(0, len(receipts), 10):
            SqsHook().conn.delete_message_batch(QueueUrl=QUEUE, Entries=receipts[start : start + 10])

    scored = BatchScoreOperator.partial(task_id="score", model="models:/flight_delays@champion").expand_kwargs(
        batches()
    )
    scored >> forget()
