"""A DAG that runs whenever whole partitions have landed, and takes exactly these."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_mlops.triggers.snapshots import NewDataEventTrigger

LANDING = os.environ.get("LANDING", "s3://aws_default@landing/flights")

landed = Asset(
    "flights_landed",
    watchers=[
        AssetWatcher(
            name="landing",
            trigger=NewDataEventTrigger(source={"files": LANDING}, marker="_SUCCESS", poke_interval=2),
        )
    ],
)

with DAG("on_new_data", schedule=[landed]):

    @task
    def new_names(triggering_asset_events: Any = None) -> list[str]:
        """One run may answer several events, and an event may be told again: names count once."""
        payloads = [event.extra["payload"] for event in triggering_asset_events[landed]]
        return sorted({name for payload in payloads for name in payload["names"]})

    new_names()
