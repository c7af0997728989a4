import json
from dataclasses import replace
from datetime import date

import pytest

from airflow_mlops.core.validation import Expectation, ExpectationOutcome, Severity, Suite, ValidationReport
from airflow_mlops.core.validation.routes import Way, too_close, way
from airflow_mlops.exceptions import SuiteError, ValidationFailed

NOT_NULL = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "origin"}}


def suite(*items, **keys):
    return {"name": "flights", "version": "1", "expectations": list(items), **keys}


def outcome(status="failed", severity=Severity.CRITICAL, column="origin"):
    return ExpectationOutcome("expect_x", column, severity, status, 3, 30.0, 10, "3 of 10 rows break it (30%)")


def report(*outcomes):
    return ValidationReport(
        "flights",
        "1",
        "d" * 64,
        "store/s",
        "v" * 64,
        "2013-02-01T00:00:00+00:00",
        10,
        outcomes,
        "store/r.html",
        "store/r.json",
    )


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ([], "mapping with name and expectations, not list"),
        (None, "mapping with name and expectations, not NoneType"),
        ({"name": "flights", "expectations": []}, "flights is empty and would pass any data"),
        ({"name": "flights"}, "is empty"),
        ({"name": "flights", "expectations": "expect_x"}, "is empty"),
        ({"expectations": [NOT_NULL]}, "has no name"),
        (suite(NOT_NULL, version=1.1), "write it as text in quotes"),
        (suite(NOT_NULL, expectation=[]), "flights: expectation is not a known key"),
        (suite({"kwargs": {"column": "a"}}), "expectation 1: it has no type"),
        (suite(NOT_NULL, {**NOT_NULL, "kwarg": {}}), "expectation 2: kwarg is not a known key"),
        (suite({**NOT_NULL, "kwargs": ["origin"]}), "must be a mapping"),
        (suite("expect_x"), "expectation 1: an expectation is a mapping"),
        (suite({**NOT_NULL, "severity": "fatal"}), "Severity 'fatal' is unknown: use critical"),
        (suite({**NOT_NULL, "kwargs": {"column": "a", "result_format": "COMPLETE"}}), "result_format cannot stand"),
        (suite({**NOT_NULL, "kwargs": {"column": "a", "value_set": []}}), "value_set is empty"),
        (suite({**NOT_NULL, "kwargs": {"column": "a", "min_value": float("nan")}}), "nan cannot be written as JSON"),
        (suite({**NOT_NULL, "kwargs": {"column": "a", "row_condition": "b > 1"}}), "would run as code"),
    ],
)
def test_a_suite_that_would_check_less_than_it_says_is_refused(data, complaint):
    with pytest.raises(SuiteError, match=complaint):
        Suite.parse(data)


def test_a_row_condition_that_smuggles_text_for_the_query_is_refused_at_any_depth():
    code = {"type": "pass_through", "pass_through_filter": "@__import__('os')"}
    for condition in (code, {"type": "and", "conditions": [code]}):
        with pytest.raises(SuiteError, match="would run as code"):
            Suite.parse(suite({**NOT_NULL, "kwargs": {"column": "a", "row_condition": condition}}))


@pytest.mark.parametrize(
    "old",
    [
        {"expectation_suite_name": "flights", "expectations": [NOT_NULL]},
        suite({"expectation_type": NOT_NULL["type"], "kwargs": {"column": "origin"}}),
        suite(NOT_NULL, data_asset_type="Dataset"),
    ],
)
def test_a_suite_of_great_expectations_0_18_is_refused_with_the_way_to_convert_it(old):
    with pytest.raises(SuiteError, match="rename expectation_suite_name to name and expectation_type to type"):
        Suite.parse(old)


def test_the_file_that_great_expectations_writes_is_read():
    written = suite(
        {
            **NOT_NULL,
            "id": "7d",
            "meta": {},
            "severity": "info",
            "notes": "n",
            "rendered_content": None,
            "description": None,
        },
        id=None,
        meta={"great_expectations_version": "1.24.1"},
        notes=None,
    )
    (check,) = Suite.parse(written).expectations
    assert check == Expectation(NOT_NULL["type"], {"column": "origin"}, Severity.INFO)


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("block", "critical"),
        ("warn", "warning"),
        ("critical", "critical"),
        ("warning", "warning"),
        ("info", "info"),
        (None, "critical"),
    ],
)
def test_severities_and_their_synonyms(word, severity):
    (check,) = Suite.parse(suite({**NOT_NULL, "severity": word})).expectations
    assert check.severity == severity


def test_the_digest_changes_with_a_bound_and_not_with_the_order_of_keys():
    check = {"type": "expect_x", "kwargs": {"column": "a", "max_value": 80}}
    turned = {"kwargs": {"max_value": 80, "column": "a"}, "type": "expect_x"}
    looser = {"type": "expect_x", "kwargs": {"column": "a", "max_value": 81}}
    first = Suite.parse(suite(check)).digest
    assert first == Suite.parse(suite(turned)).digest
    assert first != Suite.parse(suite(looser)).digest


def test_parameters_are_bound_at_any_depth_and_change_the_digest():
    check = {"type": "expect_x", "kwargs": {"column": "a", "value_set": [{"$PARAMETER": "home"}, "JFK"]}}
    parsed = Suite.parse(suite(check))
    bound = parsed.bind({"home": "LGA", "unused": date(2013, 1, 1)})
    assert bound.expectations[0].kwargs == {"column": "a", "value_set": ["LGA", "JFK"]}
    assert bound.digest != parsed.bind({"home": "EWR"}).digest


@pytest.mark.parametrize("value", ["least", "now()", "least + 1"])
def test_a_parameter_without_a_value_and_an_expression_are_refused(value):
    check = {"type": "expect_x", "kwargs": {"min_value": {"$PARAMETER": value}}}
    with pytest.raises(SuiteError, match=r"flights: parameter .* has no value \(given: most\)"):
        Suite.parse(suite(check)).bind({"most": 3})


def test_a_parameter_cannot_bring_a_condition_as_text():
    check = {"type": "expect_x", "kwargs": {"column": "a", "row_condition": {"$PARAMETER": "rows"}}}
    with pytest.raises(SuiteError, match="would run as code"):
        Suite.parse(suite(check)).bind({"rows": "a > 1"})


def test_the_columns_of_a_check_and_of_its_condition():
    comparison = {"type": "comparison", "column": {"name": "c"}, "operator": "==", "parameter": 1}
    nullity = {"type": "nullity", "column": {"name": "d"}, "is_null": False}
    kwargs = {"column_A": "a", "column_B": "b", "row_condition": {"type": "and", "conditions": [comparison, nullity]}}
    check = Expectation("expect_x", kwargs)
    assert check.columns == ("a", "b")
    assert check.condition_columns == ("c", "d")
    assert Expectation("expect_x", {"column_list": ["x", "y"]}).columns == ("x", "y")


@pytest.mark.parametrize(
    ("info", "status"),
    [
        ({"raised_exception": False, "exception_message": None}, "passed"),
        ({"raised_exception": True, "exception_message": "no"}, "crashed"),
        ({"metric 1": {"raised_exception": False}, "metric 2": {"raised_exception": True}}, "crashed"),
    ],
)
def test_a_check_that_raised_is_crashed_in_both_shapes_and_even_if_it_says_success(info, status):
    found = {"success": True, "result": {}, "exception_info": info}
    assert ExpectationOutcome.of(Expectation("expect_x", {}), found, {}).status == status


def test_a_check_without_a_result_is_crashed():
    assert ExpectationOutcome.of(Expectation("expect_x", {}), None, {}).status == "crashed"


def test_a_missing_column_is_named_with_the_columns_there_are():
    found = {"success": False, "result": {}, "exception_info": {"raised_exception": True}}
    judged = ExpectationOutcome.of(Expectation("expect_x", {"column": "orgin"}), found, {"origin": "string"})
    assert judged.message == "column orgin is missing; the table has origin"
    wide = {f"c{n}": "int64" for n in range(25)}
    judged = ExpectationOutcome.of(Expectation("expect_x", {"column": "orgin"}), found, wide)
    assert judged.message.endswith("c18, c19 and 5 more")


@pytest.mark.parametrize(
    ("outcomes", "success", "blocked", "warnings"),
    [
        ([outcome("passed")], True, False, 0),
        ([outcome("passed"), outcome("failed")], False, True, 0),
        ([outcome("crashed")], False, True, 0),
        ([outcome("failed", Severity.WARNING), outcome("crashed", Severity.WARNING)], False, False, 2),
        ([outcome("failed", Severity.INFO)], False, False, 0),
        ([outcome("failed", Severity.WARNING), outcome("crashed", Severity.CRITICAL)], False, True, 1),
    ],
)
def test_only_a_critical_check_that_failed_or_crashed_blocks(outcomes, success, blocked, warnings):
    found = report(*outcomes)
    assert (found.success, found.blocked, found.warnings) == (success, blocked, warnings)


def test_blocked_data_raises_with_check_column_rows_and_report_in_the_first_line():
    found = report(outcome(severity=Severity.WARNING, column="dest"), outcome())
    with pytest.raises(ValidationFailed) as failure:
        found.ensure_passed()
    first, *others = str(failure.value).splitlines()
    for fact in ("expect_x", "origin", "3 of 10 rows", "flights", "store/r.html"):
        assert fact in first
    assert others == ["warning: expect_x on dest: 3 of 10 rows break it (30%)"]


def test_a_warning_does_not_raise():
    found = report(outcome(severity=Severity.WARNING))
    assert found.ensure_passed() is None
    assert found.summary.startswith("Suite flights passes the data with a remark: 1 of 1 checks")


def test_too_few_rows_block():
    assert report(ExpectationOutcome.of_rows(9, 10)).blocked
    assert report(ExpectationOutcome.of_rows(10, 10)).success


def test_a_report_survives_json():
    found = report(outcome(), outcome("passed", Severity.INFO, None))
    assert ValidationReport.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_rows_that_should_be_split_off_and_are_not_block():
    failed = outcome(severity=Severity.QUARANTINE)
    assert report(failed).blocked
    assert "quarantined" not in report(failed).summary
    split = replace(report(failed), quarantined=3, quarantine_uri="store/q", split_from="store/p")
    assert not split.blocked
    assert split.summary.startswith("Suite flights passes the data with a remark: 1 of 1 checks do not hold on 10 rows")
    assert "after 3 were quarantined" in split.summary
    assert replace(split, outcomes=(outcome("crashed", Severity.QUARANTINE),)).blocked
    assert ValidationReport.from_json(json.loads(json.dumps(split.to_json()))) == split


def test_a_report_written_before_there_was_a_quarantine_is_read():
    old = report(outcome()).to_json()
    for key in ("quarantined", "quarantine_uri", "split_from"):
        del old[key]
    assert ValidationReport.from_json(old) == report(outcome())


WIDE = {"wind": "integer", "temp": "float", "origin": "text", "at": "timestamp", "big": "long", "price": "decimal"}


@pytest.mark.parametrize(
    ("kind", "kwargs", "expected"),
    [
        ("column_values_to_be_between", {"column": "wind", "min_value": 0}, Way.SQL),
        ("column_values_to_be_between", {"column": "wind", "min_value": 2**53}, Way.CHUNKS),
        ("column_values_to_be_between", {"column": "big", "min_value": 0}, Way.CHUNKS),
        ("column_values_to_be_between", {"column": "at", "min_value": "2013-01-01T00:00:00"}, Way.SQL),
        ("column_values_to_be_between", {"column": "at", "min_value": "2013-01-01"}, Way.CHUNKS),
        ("column_values_to_be_between", {"column": "at", "min_value": "2013-01-01T00:00:00+00:00"}, Way.CHUNKS),
        ("column_values_to_be_between", {"column": "squall", "min_value": 0}, Way.CHUNKS),
        ("column_values_to_be_in_set", {"column": "origin", "value_set": ["EWR"]}, Way.SQL),
        ("column_values_to_be_in_set", {"column": "origin", "value_set": ["EWR", None]}, Way.CHUNKS),
        ("column_values_to_be_in_set", {"column": "wind", "value_set": ["1"]}, Way.CHUNKS),
        ("column_values_to_be_in_set", {"column": "wind", "value_set": [True]}, Way.CHUNKS),
        ("column_mean_to_be_between", {"column": "price", "min_value": 0}, Way.COLUMNS),
        ("column_to_exist", {"column": "wind"}, Way.NAMES),
        ("wind_on_earth", {}, Way.TABLE),
    ],
)
def test_sql_gets_only_what_no_engine_has_to_convert(kind, kwargs, expected):
    assert way(Expectation(f"expect_{kind}", kwargs), WIDE) is expected


@pytest.mark.parametrize(
    ("operator", "column", "parameter", "expected"),
    [
        ("==", "origin", "EWR", Way.SQL),
        ("IN", "origin", ["EWR", "JFK"], Way.SQL),
        (">", "temp", 3.5, Way.SQL),
        ("!=", "origin", "EWR", Way.CHUNKS),
        ("NOT_IN", "origin", ["EWR"], Way.CHUNKS),
        ("==", "origin", 1, Way.CHUNKS),
        (">", "price", 1, Way.CHUNKS),
    ],
)
def test_a_condition_goes_to_sql_where_a_missing_value_means_the_same(operator, column, parameter, expected):
    single = {"type": "comparison", "column": {"name": column}, "operator": operator, "parameter": parameter}
    for condition in (single, {"type": "and", "conditions": [single, single]}):
        kwargs = {"column": "wind", "min_value": 0, "row_condition": condition}
        assert way(Expectation("expect_column_values_to_be_between", kwargs), WIDE) is expected


@pytest.mark.parametrize(
    ("kind", "observed", "rows", "largest", "expected"),
    [
        ("mean", 0.3 + 1e-12, 10, 1.0, True),
        ("mean", 0.31, 10, 1.0, False),
        ("mean", 0.31, 10, 1e6, True),
        ("sum", 0.31, 10, 1.0, False),
        ("sum", 0.31, 10**6, 1.0, True),
        ("sum", 2.0**60, 10, 2.0**60, True),
        ("stdev", float("inf"), 10, 1.0, True),
        ("max", 0.3, 10, 1.0, False),
    ],
)
def test_rounding_decides_nothing(kind, observed, rows, largest, expected):
    check = Expectation(f"expect_column_{kind}_to_be_between", {"column": "a", "min_value": 0.3})
    assert too_close(check, observed, rows, largest) is expected
