import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from upath import UPath

from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.core.validation import Severity, Suite
from airflow_mlops.exceptions import ConfigurationError, SuiteError, ValidationFailed
from airflow_mlops.steps.validation import load_suite, validate
from airflow_mlops.store.snapshots import write_snapshot

SECRET = "SECRET-123"
TABLE = pa.table(
    {
        "origin": ["EWR", "JFK", "LGA", SECRET],
        "temp": [50.0, 60.5, None, 70.0],
        "wind": [1, 2, 3, 1048],
        "nothing": pa.nulls(4, pa.float64()),
        "at": pa.array([datetime(2013, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)]),
        "flag": [True, False, None, True],
        "gust": [1.0, 2.0, float("inf"), 3.0],
        "<b>odd</b>": [1, 1, 1, 1],
    }
)


def snapshot_of(table, store):
    draft = Manifest(name="flights", data_version="", rows=0, schema=[], source={}, as_of="2013-02-01T00:00:00+00:00")
    return write_snapshot(store, table.to_batches(), table.schema, draft)


def check(kind, severity="block", **kwargs):
    return {"type": f"expect_{kind}", "kwargs": kwargs, "severity": severity}


def suite(*checks):
    return Suite.parse({"name": "flights", "version": "7", "expectations": list(checks)})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return UPath(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def flights(store):
    return snapshot_of(TABLE, store)


@pytest.fixture
def run(store, flights):
    def run(*checks, snapshot=flights, **options):
        return validate(store=store, snapshot=snapshot, suite=suite(*checks), **options)

    return run


IN_SET = check("column_values_to_be_in_set", column="origin", value_set=["EWR", "JFK", "LGA"])
ROWS = check("table_row_count_to_be_between", min_value=1, max_value=4)


def test_data_that_holds_passes(run, flights):
    report = run(
        ROWS,
        check("column_values_to_be_between", column="temp", min_value=0, max_value=110),
        check("column_values_to_be_between", column="at", min_value="2013-01-01T00:00:00+00:00"),
        check("column_values_to_be_in_set", column="flag", value_set=[True, False]),
        check(
            "column_quantile_values_to_be_between",
            column="wind",
            quantile_ranges={"quantiles": [0.5], "value_ranges": [[0, 9]]},
        ),
    )
    assert report.success
    assert not report.blocked
    assert report.warnings == 0
    assert [outcome.status for outcome in report.outcomes] == ["passed"] * 6
    assert report.rows == 4
    assert report.data_version == flights.manifest.data_version
    assert report.as_of == "2013-02-01T00:00:00+00:00"
    assert report.summary == "Suite flights: all 6 checks hold on 4 rows."


def test_outcomes_stand_in_the_order_of_the_suite_though_they_run_grouped_by_column(run):
    report = run(
        IN_SET,
        check("column_values_to_be_unique", column="wind"),
        ROWS,
        check("column_values_to_be_unique", column="origin"),
        IN_SET,
    )
    assert [(outcome.type, outcome.column) for outcome in report.outcomes] == [
        ("min_rows", None),
        ("expect_column_values_to_be_in_set", "origin"),
        ("expect_column_values_to_be_unique", "wind"),
        ("expect_table_row_count_to_be_between", None),
        ("expect_column_values_to_be_unique", "origin"),
        ("expect_column_values_to_be_in_set", "origin"),
    ]
    assert [outcome.status for outcome in report.outcomes] == [
        "passed",
        "failed",
        "passed",
        "passed",
        "passed",
        "failed",
    ]


def test_a_failed_block_blocks_and_both_reports_are_written(run):
    report = run(IN_SET)
    failed = report.failures[0]
    assert report.blocked
    assert (failed.unexpected_count, failed.unexpected_percent, failed.element_count) == (1, 25.0, 4)
    assert failed.message == "1 of 4 rows break it (25%)"
    assert "The data is blocked" in UPath(report.report_uri).read_text()
    assert json.loads(UPath(report.result_uri).read_text())["report"] == report.to_json()
    with pytest.raises(ValidationFailed, match="expect_column_values_to_be_in_set on origin: 1 of 4 rows"):
        report.ensure_passed()


def test_a_failed_warning_does_not_block(run):
    report = run({**IN_SET, "severity": "warn"})
    assert not report.success
    assert not report.blocked
    assert report.warnings == 1
    report.ensure_passed()


def test_the_reports_stand_where_the_snapshot_and_the_suite_say(run, store, flights):
    report = run(ROWS)
    folder = store / "reports" / "validation" / flights.manifest.id / report.suite_digest[:16]
    assert (report.report_uri, report.result_uri) == (str(folder / "report.html"), str(folder / "result.json"))
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "result.json"]


def test_the_same_check_twice_gives_the_same_report(run):
    assert run(IN_SET) == run(IN_SET)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (check("column_values_to_not_be_null", column="orgin"), "column orgin is missing; the table has origin, temp"),
        (check("column_mean_to_be_between", column="orgin", min_value=0), "column orgin is missing"),
        (check("column_pair_values_to_be_equal", column_A="wind", column_B="squall"), "column squall is missing"),
        (
            check(
                "column_values_to_be_unique",
                column="wind",
                row_condition={"type": "nullity", "column": {"name": "squall"}, "is_null": True},
            ),
            "column squall is missing",
        ),
        (check("column_mean_to_be_between", column="origin", min_value=0), "could not run on column origin (string)"),
        (check("column_values_to_match_regex", column="origin", regex="("), "could not run on column origin (string)"),
        ({"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": "select 1"}}, "could not run"),
    ],
)  # fmt: skip
def test_a_check_that_cannot_run_is_crashed_and_blocks_beside_one_that_holds(run, broken, message):
    report = run(broken, ROWS)
    assert [outcome.status for outcome in report.outcomes] == ["passed", "crashed", "passed"]
    assert report.blocked
    assert message in report.failures[0].message


def test_a_column_that_should_exist_and_does_not_has_failed_not_crashed(run):
    assert run(check("column_to_exist", column="squall")).failures[0].status == "failed"


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (check("column_values_to_be_inset", column="origin"), "did you mean expect_column_values_to_be_in_set"),
        (check("nothing_of_the_kind"), "expect_nothing_of_the_kind is unknown"),
        (check("column_values_to_not_be_null", colum="origin"), "to_not_be_null: column: field required"),
        (check("column_values_to_not_be_null", column="origin", mosty=0.5), "on origin: mosty: extra fields"),
        (check("column_values_to_not_be_null", column="origin", mostly=2), "less than or equal to 1"),
        (check("column_values_to_not_be_null", column="origin", mostly=0), "would pass any data"),
        (check("column_mean_to_be_between", column="temp"), "would pass any data"),
        (check("table_row_count_to_be_between"), "would pass any data"),
    ],
)  # fmt: skip
def test_a_suite_that_great_expectations_would_not_run_as_written_is_refused_before_any_row_is_read(
    store, wrong, complaint
):
    # A snapshot without its files: reading it raises another error.
    lost = snapshot_of(TABLE.slice(0, 2), store)
    for file in lost.manifest.files:
        (lost.path / file.name).unlink(missing_ok=True)
    with pytest.raises(SuiteError, match=complaint):
        validate(store=store, snapshot=lost, suite=suite(wrong))


def test_parameters_reach_the_check_and_their_absence_is_an_error(run):
    bounded = check("column_max_to_be_between", column="wind", max_value={"$PARAMETER": "gale"})
    assert run(bounded, parameters={"gale": 2000}).success
    assert run(bounded, parameters={"gale": "80"}).blocked
    with pytest.raises(SuiteError, match="parameter 'gale' has no value"):
        run(bounded)


def test_an_empty_snapshot_blocks_though_nothing_in_it_is_null(run, store):
    empty = snapshot_of(TABLE.slice(0, 0), store)
    report = run(check("column_values_to_not_be_null", column="origin"), snapshot=empty)
    guard, not_null = report.outcomes
    assert (guard.type, guard.status, guard.element_count) == ("min_rows", "failed", 0)
    assert not_null.status == "passed"
    assert not_null.message == "it holds, but there was nothing to check"
    assert report.blocked
    assert run(check("column_values_to_not_be_null", column="origin"), snapshot=empty, min_rows=0).success


def test_fewer_rows_than_wanted_block(run):
    assert run(ROWS, min_rows=5).blocked
    assert run(ROWS, min_rows=4).success


def test_a_column_of_nulls_holds_only_what_has_nothing_to_look_at_and_says_so(run):
    report = run(
        check("column_values_to_not_be_null", column="nothing"),
        check("column_mean_to_be_between", column="nothing", min_value=0),
        check("column_values_to_be_between", column="nothing", min_value=0),
    )
    assert [outcome.status for outcome in report.outcomes] == ["passed", "failed", "failed", "passed"]
    assert report.outcomes[1].unexpected_percent == 100.0
    assert report.outcomes[3].message == "it holds, but there was nothing to check: every value is null"


def test_a_row_condition_in_object_form_chooses_the_rows(run):
    fast = {"type": "comparison", "column": {"name": "wind"}, "operator": "<", "parameter": 1000}
    report = run({**IN_SET, "kwargs": {**IN_SET["kwargs"], "row_condition": fast}})
    assert report.success
    assert report.outcomes[1].element_count == 3


MANY = [
    IN_SET,
    check("column_values_to_be_unique", "info", column="<b>odd</b>"),
    check("column_distinct_values_to_equal_set", column="origin", value_set=["EWR"]),
    check("column_most_common_value_to_be_in_set", column="origin", value_set=["EWR"]),
    check("column_max_to_be_between", column="wind", max_value=80),
    check("column_max_to_be_between", column="gust", max_value=80),
    check("column_mean_to_be_between", column="origin", min_value=0),
    check("column_values_to_be_between", column="origin", min_value=0),
    check("compound_columns_to_be_unique", "warn", column_list=["origin", "wind"]),
    check("column_pair_values_to_be_equal", "warn", column_A="origin", column_B="wind"),
    check(
        "column_quantile_values_to_be_between",
        column="wind",
        quantile_ranges={"quantiles": [1.0], "value_ranges": [[0, 9]]},
    ),
]


def test_the_small_report_is_json_and_holds_no_value_of_a_row(run):
    report = run(*MANY)
    text = json.dumps(report.to_json())
    assert SECRET not in text
    assert "1048" not in text
    assert len(text) < 6000
    assert SECRET in UPath(report.result_uri).read_text()
    assert SECRET in UPath(report.report_uri).read_text()


def test_the_full_result_is_strict_json_with_a_result_per_check(run):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    full = json.loads(UPath(run(*MANY).result_uri).read_text(), parse_constant=refuse)
    assert [one["expectation_config"]["type"] for one in full["results"]] == [item["type"] for item in MANY]
    assert full["results"][0]["result"]["partial_unexpected_list"] == [SECRET]
    assert full["suite"]["version"] == "7"
    assert full["great_expectations"].startswith("1.")


def test_values_of_a_sensitive_column_are_written_nowhere_and_its_counts_are(run):
    report = run(*MANY, sensitive=frozenset({"origin", "not_there"}))
    for uri in (report.report_uri, report.result_uri):
        text = UPath(uri).read_text()
        assert SECRET not in text
    full = json.loads(UPath(report.result_uri).read_text())
    assert full["results"][0]["result"] == {
        "element_count": 4,
        "unexpected_count": 1,
        "unexpected_percent": 25.0,
        "missing_count": 0,
        "missing_percent": 0.0,
    }
    assert full["results"][4]["result"]["observed_value"] == 1048
    assert [outcome.status for outcome in report.outcomes] == [outcome.status for outcome in run(*MANY).outcomes]


def test_the_errors_of_other_checks_are_withheld_too_where_a_column_is_sensitive(run):
    report = run(check("column_mean_to_be_between", column="origin", min_value=0), sensitive=frozenset({"temp"}))
    full = json.loads(UPath(report.result_uri).read_text())
    assert full["results"][0]["exception_info"] == {"raised_exception": True}


def test_a_name_in_place_of_a_list_of_sensitive_columns_is_refused(run):
    with pytest.raises(ConfigurationError, match="sensitive must be a list of columns"):
        run(ROWS, sensitive="origin")


def test_an_expectation_of_the_users_own_sees_the_whole_table_and_shows_nothing_where_a_column_is_sensitive(run):
    import great_expectations.expectations as gxe

    class ExpectWindOnEarth(gxe.ExpectColumnValuesToBeBetween):
        column: str = "wind"
        max_value: float = 80

    own = {"type": "expect_wind_on_earth", "kwargs": {}}
    assert run(own).failures[0].unexpected_count == 1
    report = run(own, sensitive=frozenset({"origin"}))
    assert "1048" not in UPath(report.result_uri).read_text()


YAML = """
name: flights
version: 2
expectations:
  - type: expect_column_values_to_be_between
    kwargs: {column: at, min_value: 2013-01-01T00:00:00+00:00}
    severity: warn
"""


def test_a_suite_is_read_from_yaml_and_json_by_its_content(tmp_path):
    path = tmp_path / "suite.txt"
    path.write_text(YAML)
    parsed = load_suite(str(path))
    assert parsed.version == "2"
    assert parsed.expectations[0].severity is Severity.WARNING
    assert parsed.expectations[0].kwargs["min_value"] == "2013-01-01T00:00:00+00:00"
    path.write_text(json.dumps(parsed.to_json()))
    assert load_suite(UPath(path)) == parsed


def test_numbers_of_json_stay_numbers(tmp_path):
    path = tmp_path / "suite.json"
    path.write_text('{"name": "n", "expectations": [{"type": "expect_x", "kwargs": {"max_value": 1e5}}]}')
    assert load_suite(UPath(path)).expectations[0].kwargs == {"max_value": 100000.0}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not NoneType"),
        ("name: [", "neither JSON nor YAML"),
        ('{"name": ', "neither JSON nor YAML"),
        ("name: x\nexpectations: []\nexpectations: []\n", "'expectations' stands twice"),
        ('{"name": "x", "name": "y"}', "'name' stands twice"),
        ("!!python/object/apply:os.getcwd []", "neither JSON nor YAML"),
        (b"\xff\xfe\x00", "neither JSON nor YAML"),
    ],
)
def test_a_broken_file_is_refused_with_its_path(tmp_path, text, complaint):
    path = tmp_path / "suite.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SuiteError, match=complaint) as refusal:
        load_suite(UPath(path))
    assert "suite.yaml" in str(refusal.value)


def test_a_missing_file_is_refused_with_its_path(tmp_path):
    with pytest.raises(SuiteError, match=r"absent\.yaml cannot be read"):
        load_suite(UPath(tmp_path) / "absent.yaml")


#: A process of its own: another test may have imported Great Expectations, and a root logger at INFO is Airflow's.
ALONE = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise SystemExit(f"network: {event} {arguments}")
sys.addaudithook(refuse)
from upath import UPath
from airflow_mlops.steps.validation import load_suite, validate
from airflow_mlops.store.snapshots import open_snapshot
assert "great_expectations" not in sys.modules and "pandas" not in sys.modules
store, snapshot, suite = map(UPath, sys.argv[1:])
print(validate(store=store, snapshot=open_snapshot(snapshot), suite=load_suite(suite)).summary)
"""


def test_a_check_is_silent_stays_off_the_network_and_tells_the_log_no_value(store, flights, tmp_path):
    path = tmp_path / "suite.json"
    path.write_text(json.dumps(suite(*MANY).to_json()))
    command = [sys.executable, "-c", ALONE, str(store), flights.uri, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Suite flights blocks the data")
    assert SECRET not in done.stdout
    assert done.stderr == ""


def test_data_docs_are_an_option_and_refused_beside_sensitive_columns(run):
    folder = UPath(run(ROWS).report_uri).parent
    assert not (folder / "data_docs.html").exists()
    run(ROWS, data_docs=True)
    assert "<html" in (folder / "data_docs.html").read_text().lower()
    with pytest.raises(ConfigurationError, match="Data Docs"):
        run(ROWS, data_docs=True, sensitive=["origin"])


def test_a_library_that_ends_the_process_at_its_import_is_an_error(tmp_path: Path) -> None:
    """As pyspark does where its Connect half is missing and the process has no main file: with exit code 0."""
    library = tmp_path / "great_expectations"
    library.mkdir()
    (library / "__init__.py").write_text("raise SystemExit(0)")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    program += "from airflow_mlops.steps.validation.checks import great_expectations; great_expectations()"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1].startswith("airflow_mlops.exceptions.ConfigurationError: pyspark ended")
