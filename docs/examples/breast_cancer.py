"""Is a tumour benign? A whole continuous training on a Parquet file, with the operators alone."""

import os

from airflow.sdk import DAG, AssetAlias

from airflow_mlops.operators.evaluation import EvaluateModelOperator
from airflow_mlops.operators.gate import ModelGateOperator
from airflow_mlops.operators.promotion import PromoteModelOperator
from airflow_mlops.operators.registry import RegisterModelOperator
from airflow_mlops.operators.snapshots import IngestSnapshotOperator
from airflow_mlops.operators.training import TrainModelOperator
from airflow_mlops.operators.validation import ValidateDataOperator

SUITE = {
    "name": "breast_cancer",
    "expectations": [
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "target", "value_set": [0, 1]}}
    ],
}
FOREST = "sklearn.ensemble.RandomForestClassifier"
GATE = {"metric": "roc_auc", "at_least": {"roc_auc": 0.9}, "min_positives": 30}

with DAG("breast_cancer", schedule=None) as dag:
    data = IngestSnapshotOperator(
        task_id="ingest", name="patients", source={"files": f"{os.environ['DATA']}/*.parquet"}
    )
    checked = ValidateDataOperator(task_id="validate", snapshot=data.output, suite=SUITE, min_rows=500)
    model = TrainModelOperator(
        task_id="train", snapshot=checked.output, model="breast_cancer", estimator=FOREST, target="target"
    )
    scores = EvaluateModelOperator(task_id="evaluate", model=model.output)
    verdict = ModelGateOperator(task_id="gate", evaluation=scores.output, policy=GATE)
    version = RegisterModelOperator(task_id="register", model=model.output, verdict=verdict.output)
    PromoteModelOperator(task_id="promote", version=version.output, outlets=[AssetAlias("breast_cancer_champion")])
