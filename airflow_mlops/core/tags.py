"""Names of the tags that we write to MLflow: the record that everything else is traced by."""

from __future__ import annotations

from typing import Final

KEY: Final = "mlops.key"
KIND: Final = "mlops.kind"
AS_OF: Final = "mlops.as_of"
DATA_VERSION: Final = "mlops.data_version"
SNAPSHOT: Final = "mlops.snapshot"
CODE_VERSION: Final = "mlops.code_version"
CODE_DIRTY: Final = "mlops.code_dirty"
DIGEST: Final = "mlops.digest"
ENVIRONMENT: Final = "mlops.environment"
BASELINE: Final = "mlops.baseline"
GOLDEN: Final = "mlops.golden"
SENSITIVE: Final = "mlops.sensitive"
SEED: Final = "mlops.seed"
SPEC: Final = "mlops.spec"
THREADS: Final = "mlops.threads"
TRAIN_SECONDS: Final = "mlops.train_seconds"
PARENT: Final = "mlops.parent"
FEATURES: Final = "mlops.features"
TRAIN_ROWS: Final = "mlops.train_rows"
RUN_TYPE: Final = "mlops.run_type"
RUN_URL: Final = "mlops.airflow_run_url"
REGISTERED_BY: Final = "mlops.registered_by"
REGISTERED_IN: Final = "mlops.registered_in"
REQUESTED: Final = "mlops.requested"
OWNER: Final = "mlops.owner"
NOTE: Final = "mlops.note"
TRAIN_START: Final = "mlops.train_start"
TRAIN_END: Final = "mlops.train_end"
TEST_START: Final = "mlops.test_start"
TEST_END: Final = "mlops.test_end"
EVALUATION: Final = "mlops.evaluation"
POLICY: Final = "mlops.policy"
VERDICT: Final = "mlops.verdict"
VERDICT_SUMMARY: Final = "mlops.verdict_summary"
METRICS: Final = "mlops.metrics"
REPRODUCED: Final = "mlops.reproduced"
ALIAS: Final = "mlops.alias"
APPROVED: Final = "mlops.approved"
RETRACTED: Final = "mlops.retracted"
SMOKE: Final = "mlops.smoke"
ROLLOUT: Final = "mlops.rollout"
REFUSED: Final = "mlops.refused"
SUPERSEDED_BY: Final = "mlops.superseded_by"
PINNED: Final = "mlops.pinned"
LEDGER: Final = "mlops.ledger."

#: What stands in a tag whose fact nobody could find out; a missing tag would say nothing.
UNKNOWN: Final = "unknown"

#: Facts that a version must name (DESIGN: every model is traced to its data, code and parameters).
REQUIRED: Final = (
    KEY, AS_OF, DATA_VERSION, SNAPSHOT, CODE_VERSION, CODE_DIRTY, DIGEST, ENVIRONMENT, SEED, SPEC, RUN_TYPE, RUN_URL,
    METRICS,
)  # fmt: skip
