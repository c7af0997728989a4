"""Who listens for a new champion: an asset-triggered run, which has neither a logical date nor an interval."""

from airflow.sdk import DAG, Asset

from airflow_mlops.operators.snapshots import IngestSnapshotOperator

with DAG("listener", schedule=[Asset(name="pulse_champion", uri="mlflow://pulse/champion")]):
    IngestSnapshotOperator(
        task_id="ingest",
        name="beats",
        source={"callable": "projects.pulse.beats", "order_by": ["at"]},
        event_time="at",
        window={"test": "1d", "lookback": "1d"},
    )
