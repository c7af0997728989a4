import re
from dataclasses import replace

import pytest

from airflow_mlops.core.validation import ExpectationOutcome, Suite, ValidationReport
from airflow_mlops.reports.validation import validation_page

EVIL = "<script>alert('x')</script>"
TYPES = {EVIL: "string", "wind": "double"}
SUITE = Suite.parse(
    {
        "name": f"flights {EVIL}",
        "expectations": [
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "wind"}},
            {
                "type": "expect_column_values_to_be_in_set",
                "kwargs": {"column": EVIL, "value_set": ["a", EVIL]},
                "severity": "warn",
            },
            {
                "type": "expect_column_max_to_be_between",
                "kwargs": {"column": "wind", "max_value": 80},
                "description": "Wind on earth",
            },
        ],
    }
)
FINE = {"raised_exception": False, "exception_message": None}
FOUND = [
    {"success": True, "withheld": [], "exception_info": FINE, "result": {"element_count": 1000, "unexpected_count": 0}},
    {
        "success": False,
        "withheld": [],
        "exception_info": FINE,
        "result": {
            "element_count": 1000,
            "unexpected_count": 250,
            "unexpected_percent": 25.0,
            "partial_unexpected_list": [f"example {EVIL}", "SECRET-123", "SECRET-123"],
        },
    },
    {"success": False, "withheld": [], "exception_info": FINE, "result": {"observed_value": 1048.36}},
]


def page(found=FOUND, suite=SUITE):
    outcomes = [ExpectationOutcome.of_rows(1000, 1)]
    outcomes += [ExpectationOutcome.of(check, one, TYPES) for check, one in zip(suite.expectations, found, strict=True)]
    report = ValidationReport(
        suite.name, suite.version, suite.digest, f"store/{EVIL}", "0" * 64, "2013-02-01", 1000, tuple(outcomes)
    )
    return validation_page(report, suite, found)


def test_the_page_loads_and_runs_nothing():
    html = page()
    assert not re.search(r"https?://|//[a-z]|src=|href=|url\(|@import|<script|<link|<iframe|\bon[a-z]+=", html)
    assert """content="default-src 'none'; style-src 'unsafe-inline'">""" in html


def test_everything_that_comes_from_data_is_escaped():
    html = page()
    assert EVIL not in html
    assert (
        html.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;") >= 5
    )  # title, heading, fact, column, terms, example


def test_the_verdict_stands_first_in_words_and_the_failed_checks_above_the_passed():
    html = page()
    places = [
        html.index(text)
        for text in (
            "The data is blocked: 1 blocking check does not hold",
            "Wind on earth",
            "250 of 1,000",
            "Enough rows",
        )
    ]
    assert places == sorted(places)
    assert html.index("Column values to not be null") > places[2]


@pytest.mark.parametrize(
    ("keep", "headline"),
    [
        ([0], "The data passes: every check holds"),
        ([0, 1], "The data passes, with remarks"),
        ([2], "The data is blocked"),
    ],
)
def test_each_verdict_has_its_words(keep, headline):
    checks = tuple(SUITE.expectations[i] for i in keep)
    assert headline in page([FOUND[i] for i in keep], replace(SUITE, expectations=checks))


def test_counts_have_a_bar_and_examples_are_shown_once():
    html = page()
    assert 'style="width: 25.0%"' in html
    assert html.count("SECRET-123") == 1
    assert "Observed: 1,048" in html
    assert "max_value 80" in html


def test_withheld_values_are_not_shown():
    found = [{**one, "withheld": ["result", "exception_info"]} for one in FOUND]
    html = page(found)
    assert "SECRET-123" not in html
    assert "1,048" not in html
    assert "250 of 1,000" in html
    assert "Values are withheld: sensitive column." in html


def test_a_crash_gives_its_reason_in_one_line():
    trace = {
        "metric": {
            "raised_exception": True,
            "exception_message": "Traceback ...\n  File x\nTypeError: no mean of text\n",
        }
    }
    crashed = {"success": False, "withheld": [], "result": {}, "exception_info": trace}
    html = page([*FOUND[:2], crashed])
    assert "The check could not run on column wind (double)" in html
    assert "TypeError: no mean of text" in html
    assert "File x" not in html
    assert "no mean of text" not in page([*FOUND[:2], {**crashed, "withheld": ["exception_info"]}])
