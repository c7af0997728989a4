import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from upath import UPath

from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.core.validation import Suite
from airflow_mlops.core.validation.quarantine import REASONS
from airflow_mlops.core.windows import TrainingWindow
from airflow_mlops.exceptions import ConfigurationError, DataError, SuiteError, ValidationFailed
from airflow_mlops.steps.validation import frames, validate
from airflow_mlops.steps.validation.quarantine import split_again
from airflow_mlops.store.snapshots import open_snapshot, write_snapshot

AS_OF = datetime(2013, 2, 1, tzinfo=UTC)
ROWS = 40


def table(**columns):
    base = {
        "key": list(range(ROWS)),
        "wind": [999 if row == 7 else row for row in range(ROWS)],
        "origin": ["?" if row in (7, 21) else "EWR" for row in range(ROWS)],
        "at": [datetime(2013, 1, 1 + row % 28, tzinfo=UTC) for row in range(ROWS)],
        "flag": [None if row == 30 else row % 2 == 0 for row in range(ROWS)],
    }
    return pa.table({**base, **columns})


def check(kind, severity="quarantine", **kwargs):
    return {"type": f"expect_{kind}", "kwargs": kwargs, "severity": severity}


WIND = check("column_values_to_be_between", column="wind", max_value=100)
ORIGIN = check("column_values_to_be_in_set", column="origin", value_set=["EWR"])
CALM = check("column_max_to_be_between", "block", column="wind", max_value=100)


@pytest.fixture
def store(tmp_path):
    return UPath(tmp_path)


@pytest.fixture
def run(store):
    def run(*checks, data=None, **options):
        data = table() if data is None else data
        windows = TrainingWindow(lookback="31d", test="7d").at(AS_OF)
        draft = Manifest(
            name="flights", data_version="", rows=0, schema=[], source={"files": "f"}, as_of=AS_OF.isoformat(),
            windows=windows.to_json(), event_time="at", knowledge_time="at", code_version="c1",
        )  # fmt: skip
        snapshot = write_snapshot(store, data.to_batches(max_chunksize=9), data.schema, draft)
        suite = Suite.parse({"name": "flights", "expectations": list(checks)})
        arguments = {"max_quarantined": 0.1, **options}
        return snapshot, validate(store=store, snapshot=snapshot, suite=suite, **arguments)

    return run


@pytest.mark.parametrize("engine", ["pandas", "sql"])
def test_rows_that_break_a_check_are_split_off_with_their_reasons_and_the_rest_goes_on(run, engine, monkeypatch):
    monkeypatch.setattr(frames, "CHUNK", 8)
    before, report = run(WIND, ORIGIN, CALM, engine=engine)
    kept, apart = open_snapshot(UPath(report.snapshot_uri)), open_snapshot(UPath(report.quarantine_uri))
    assert [one.status for one in report.outcomes] == ["passed", "failed", "failed", "passed"]
    assert not report.blocked
    assert (report.rows, report.quarantined, report.split_from) == (ROWS - 2, 2, before.uri)
    assert report.data_version == kept.manifest.data_version != before.manifest.data_version
    assert kept.table().equals(table().filter(pa.array([row not in (7, 21) for row in range(ROWS)])))
    assert apart.table().drop([REASONS]).equals(table().take([7, 21]))
    assert apart.table()[REASONS].to_pylist() == [
        ["expect_column_values_to_be_between on wind", "expect_column_values_to_be_in_set on origin"],
        ["expect_column_values_to_be_in_set on origin"],
    ]
    assert report.outcomes[1].message == "1 of 40 rows break it (2.5%): quarantined"
    assert "after 2 were quarantined" in report.summary
    page = UPath(report.report_uri).read_text()
    assert report.quarantine_uri in page
    assert "2 rows were quarantined" in page


def test_both_snapshots_name_their_parent_and_keep_what_is_known_of_it(run):
    before, report = run(WIND)
    kept, apart = (open_snapshot(UPath(uri)).manifest for uri in (report.snapshot_uri, report.quarantine_uri))
    for manifest in (kept, apart):
        assert manifest.parents == [before.uri]
        for fact in ("as_of", "windows", "event_time", "knowledge_time", "code_version"):
            assert getattr(manifest, fact) == getattr(before.manifest, fact)
    assert (kept.name, apart.name) == ("flights", "flights.quarantine")
    open_snapshot(UPath(report.snapshot_uri)).verify()
    open_snapshot(UPath(report.quarantine_uri)).verify()
    bounds = kept.bounds.whole
    assert open_snapshot(UPath(report.snapshot_uri)).table(bounds=bounds).num_rows == ROWS - 1
    assert run(WIND)[1] == report


def test_where_no_row_breaks_a_check_nothing_new_is_written(run, store):
    before, report = run(check("column_values_to_not_be_null", column="key"), CALM, data=table(wind=[1] * ROWS))
    assert report.success
    assert (report.snapshot_uri, report.quarantined, report.quarantine_uri) == (before.uri, 0, "")
    assert [folder.name for folder in (store / "snapshots").iterdir()] == ["flights"]


def test_too_many_broken_rows_block_and_are_not_split_off(run, store):
    before, report = run(WIND, ORIGIN, max_quarantined=0.04)
    assert report.blocked
    assert (report.snapshot_uri, report.quarantine_uri) == (before.uri, "")
    assert [folder.name for folder in (store / "snapshots").iterdir()] == ["flights"]
    with pytest.raises(ValidationFailed, match=r"more than max_quarantined, 0\.04 of the rows"):
        report.ensure_passed()
    assert not run(WIND, ORIGIN, max_quarantined=0.05)[1].blocked


def test_rows_that_are_judged_beside_others_can_be_split_off_too(run):
    keys = [0, *range(ROWS - 1)]
    _, report = run(check("column_values_to_be_unique", column="key"), data=table(key=keys))
    assert report.quarantined == 2
    assert open_snapshot(UPath(report.quarantine_uri)).table()["key"].to_pylist() == [0, 0]


def test_a_row_condition_chooses_among_the_rows_of_every_chunk(run, monkeypatch):
    monkeypatch.setattr(frames, "CHUNK", 8)
    late = {"type": "comparison", "column": {"name": "key"}, "operator": ">", "parameter": 10}
    _, report = run(check("column_values_to_be_in_set", column="origin", value_set=["EWR"], row_condition=late))
    assert open_snapshot(UPath(report.quarantine_uri)).table()["key"].to_pylist() == [21]


def test_a_crashed_check_blocks(run):
    _, report = run(check("column_values_to_not_be_null", column="squall"), WIND)
    assert report.blocked
    assert report.quarantine_uri == ""


def test_the_rest_is_what_the_other_checks_are_about(run):
    _, report = run(WIND, CALM, min_rows=ROWS)
    assert [one.status for one in report.outcomes] == ["failed", "failed", "passed"]
    assert report.outcomes[0].message == "the table has 39 rows, at least 40 wanted"
    assert report.blocked


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (check("column_mean_to_be_between", column="wind", max_value=9), "on wind cannot quarantine: it does not say"),
        (check("table_row_count_to_equal", value=9), "cannot quarantine: it does not say which rows"),
        (check("column_values_to_be_of_type", column="wind", type_="int64"), "cannot quarantine"),
        (check("column_values_to_not_be_null", column="wind", mostly=0.9), "cannot quarantine and have mostly"),
    ],
)
def test_a_check_that_does_not_say_which_rows_break_it_cannot_quarantine(run, wrong, complaint):
    with pytest.raises(SuiteError, match=complaint):
        run(wrong)


def test_a_share_that_is_none_and_a_column_of_reasons_are_refused(run):
    with pytest.raises(ConfigurationError, match=r"max_quarantined 1\.5 is not a share"):
        run(WIND, max_quarantined=1.5)
    with pytest.raises(DataError, match=f"has a column {REASONS} already"):
        run(WIND, data=table(**{REASONS: ["x"] * ROWS}))


def test_no_value_of_a_sensitive_column_is_told(run):
    _, report = run(
        ORIGIN, data=table(origin=["SECRET" if row == 3 else "EWR" for row in range(ROWS)]), sensitive=["origin"]
    )
    assert report.quarantined == 1
    told = json.dumps(report.to_json()) + UPath(report.report_uri).read_text() + UPath(report.result_uri).read_text()
    assert "SECRET" not in told


def test_other_rows_are_split_as_a_manifest_says(run, store):
    _, report = run(WIND, ORIGIN)
    recorded = open_snapshot(UPath(report.snapshot_uri)).manifest.source["quarantine"]
    other, _ = run(CALM, data=table(wind=list(range(ROWS))))
    again = split_again(store, other, json.loads(json.dumps(recorded)))
    assert again.manifest.rows == ROWS - 2
    clean, _ = run(CALM, data=table(wind=[1] * ROWS, origin=["EWR"] * ROWS))
    assert split_again(store, clean, recorded).manifest == clean.manifest
    with pytest.raises(ValidationFailed, match="would be quarantined"):
        split_again(store, run(CALM, data=table(wind=[101] * ROWS))[0], recorded)
