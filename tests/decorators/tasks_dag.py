"""A DAG file with both decorators, as a user writes it."""

import os

import pyarrow as pa
import pyarrow.compute as pc
from airflow.sdk import DAG, task

from airflow_mlops.operators.snapshots import IngestSnapshotOperator


@task.prepare_data(name="tumours")
def only_large(patients: pa.Table, least: float, *, column: str = "mean_radius") -> pa.Table:
    return patients.filter(pc.greater(patients[column], least))


with DAG("decorated", schedule=None, params={"least": 8.0}, render_template_as_native_obj=True) as dag:
    data = IngestSnapshotOperator(
        task_id="ingest", name="patients", source={"files": f"{os.environ.get('DATA')}/*.parquet"}
    )
    large = only_large(data.output, "{{ params.least }}")

    @task.train_model(snapshot=large, model=os.environ.get("MODEL", "forest"), target="target", seed=3)
    def forest(n_estimators: int, **more: object) -> object:
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(n_estimators, **more)

    forest(5, max_depth=3)
