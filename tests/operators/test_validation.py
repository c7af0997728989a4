import json

import pyarrow as pa
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from upath import UPath

from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.core.validation import ValidationReport
from airflow_mlops.operators.base import snapshot_of
from airflow_mlops.operators.validation import ValidateDataOperator
from airflow_mlops.store.snapshots import write_snapshot

TABLE = pa.table({"origin": ["EWR", "JFK", "LGA", "SECRET-123"], "wind": [1, 2, 3, 1048]})
SUITE = {
    "name": "flights",
    "version": 1,
    "expectations": [
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "origin", "value_set": ["EWR", "JFK", "LGA"]},
            "severity": "warn",
        },
        {
            "type": "expect_column_max_to_be_between",
            "kwargs": {"column": "wind", "max_value": {"$PARAMETER": "gale"}},
            "severity": "block",
        },
    ],
}


class TaskInstance:
    """Keeps what a task pushes."""

    def __init__(self):
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = json.loads(json.dumps(value))


@pytest.fixture
def snapshot(store):
    draft = Manifest(name="flights", data_version="", rows=0, schema=[], source={}, as_of="2013-02-01T00:00:00+00:00")
    return write_snapshot(store, TABLE.to_batches(), TABLE.schema, draft)


@pytest.fixture
def execute(store, snapshot):
    def execute(ti, params=None, **arguments):
        with DAG("d", schedule=None):
            task = ValidateDataOperator(
                task_id="validate", store=str(store), **{"snapshot": snapshot.to_json(), "suite": SUITE, **arguments}
            )
        context = {"ti": ti, "params": params or {}}
        task.render_template_fields(context)
        return task.execute(context)

    return execute


def test_data_that_passes_with_a_warning_returns_the_snapshot_with_the_verdict(execute, snapshot):
    output = execute(TaskInstance(), params={"gale": 2000}, parameters={"gale": "{{ params.gale }}"})
    assert snapshot_of(output).manifest == snapshot.manifest
    assert (output["success"], output["blocked"], output["warnings"]) == (False, False, 1)
    assert ValidationReport.from_json(json.loads(json.dumps(output))).rows == 4


def test_blocked_data_fails_without_a_retry_after_the_report_is_in_xcom_and_in_the_store(execute, store):
    ti = TaskInstance()
    with pytest.raises(AirflowFailException, match="expect_column_max_to_be_between on wind"):
        execute(ti, parameters={"gale": 80})
    report = ti.pushed["return_value"]
    assert report["blocked"]
    assert report["warnings"] == 1
    assert "SECRET-123" not in json.dumps(ti.pushed)
    assert set(ti.pushed["cpu_seconds"]) == {"imports", "validate", "io", "total"}
    (page,) = store.glob("reports/validation/*/*/report.html")
    assert str(page) == report["report_uri"]
    assert "SECRET-123" in page.read_text()


def test_a_suite_file_named_by_a_template_and_a_snapshot_named_by_its_uri(execute, snapshot, tmp_path):
    (tmp_path / "flights.suite.yaml").write_text(json.dumps(SUITE))
    output = execute(
        TaskInstance(),
        params={"suite": "flights"},
        suite=f"{tmp_path}/{{{{ params.suite }}}}.suite.yaml",
        snapshot=snapshot.uri,
        parameters={"gale": 2000},
        sensitive=["origin"],
    )
    assert output["suite"] == "flights"
    assert "SECRET-123" not in UPath(output["report_uri"]).read_text()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"suite": {"name": "flights", "expectations": []}}, "Suite flights is empty"),
        ({"suite": "absent.yaml"}, "absent.yaml cannot be read"),
        ({"parameters": None}, "parameter 'gale' has no value"),
        ({"snapshot": {"rows": 3}}, "is not a snapshot"),
        ({"parameters": {"gale": 2000}, "min_rows": "5"}, "min_rows: the table has 4 rows, at least 5 wanted"),
    ],
)
def test_what_a_retry_cannot_mend_fails_at_once(execute, arguments, complaint):
    with pytest.raises(AirflowFailException, match=complaint):
        execute(TaskInstance(), **arguments)
