import inspect
import json
import math
import warnings
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pytest
from upath import UPath

from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.core.validation import Suite
from airflow_mlops.core.validation.report import raised
from airflow_mlops.core.validation.routes import ROUTES, Way, is_rounded, way
from airflow_mlops.exceptions import ConfigurationError, SuiteError
from airflow_mlops.steps.validation import engines, frames, sql, validate
from airflow_mlops.steps.validation.checks import build, great_expectations, told
from airflow_mlops.steps.validation.columns import columns_of
from airflow_mlops.store.snapshots import write_snapshot
from tests.steps.hostile import COLUMNS, FEW, items

TABLE = pa.table(COLUMNS)
#: Great Expectations plans all checks of a run together, which takes the square of their number.
AT_ONCE = 25


@pytest.fixture(scope="module")
def snapshot_of(tmp_path_factory):
    store = UPath(tmp_path_factory.mktemp("store"))

    def snapshot_of(table):
        draft = Manifest(name="t", data_version="", rows=0, schema=[], source={}, as_of="2013-02-01T00:00:00+00:00")
        return write_snapshot(store, table.to_batches(max_chunksize=4), table.schema, draft)

    return snapshot_of


@pytest.fixture(scope="module")
def hostile(snapshot_of):
    return snapshot_of(TABLE)


def built(item, names=frozenset(COLUMNS)):
    return build(Suite.parse({"name": "t", "expectations": [item]}), names)[0]


def buildable(lot):
    great_expectations()
    for item in lot:
        try:
            yield built(item)
        except SuiteError:
            continue


def verdict(check, result):
    """All that a verdict stands on."""
    found = told(check, result, frozenset())
    if found is None or raised(found):
        return "crashed"
    counts = found["result"]
    observed = counts.get("observed_value")
    if is_rounded(check.expectation) and isinstance(observed, int | float) and math.isfinite(observed):
        observed = float(f"{observed:.10g}")
    seen = [] if check.expectation.type.startswith("expect_column_distinct") else [json.dumps(observed)]
    keys = ("unexpected_count", "element_count", "missing_count", "unexpected_percent")
    return (found["success"], *(counts.get(key) for key in keys), *seen)


def differences(snapshot, checks):
    for start in range(0, len(checks), AT_ONCE):
        some = checks[start : start + AT_ONCE]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pairs = zip(some, engines.by_pandas(snapshot, some), engines.by_sql(snapshot, some), strict=True)
        for check, theirs, ours in pairs:
            if verdict(check, theirs) != verdict(check, ours):
                kwargs = dict(check.expectation.kwargs)
                yield f"{check.expectation.type} {kwargs}: {verdict(check, theirs)}, not {verdict(check, ours)}"


def spread(checks, each):
    """Some of every type, far apart in the list of their columns and arguments."""
    by_type = defaultdict(list)
    for check in checks:
        by_type[check.expectation.type].append(check)
    return [check for some in by_type.values() for check in some[:: max(1, len(some) // each)]]


def test_every_core_expectation_has_a_route_and_is_asked():
    great_expectations()
    from great_expectations.expectations import core

    kinds = [kind for _, kind in inspect.getmembers(core, inspect.isclass)]
    known = {kind.expectation_type for kind in kinds if kind.expectation_type}
    # One that the library itself cannot find by its name: refused before the scan.
    assert [kind.__name__ for kind in kinds if not kind.expectation_type] == ["ExpectMulticolumnValuesToBeUnique"]
    with pytest.raises(SuiteError, match="unknown to Great Expectations"):
        built({"type": "expect_multicolumn_values_to_be_unique", "kwargs": {"column_list": ["whole", "real"]}})
    assert set(ROUTES) == known
    assert {item["type"] for item in items(FEW, 1)} == known


def test_every_core_expectation_has_the_verdict_of_pandas(hostile):
    checks = spread(list(buildable(items(FEW, 2))), 2)
    assert len({check.expectation.type for check in checks}) == len(ROUTES)
    assert list(differences(hostile, checks)) == []


@pytest.mark.parametrize("rows", [0, 1])
def test_few_or_no_rows_have_the_verdict_of_pandas(snapshot_of, rows):
    checks = spread(list(buildable(items(FEW, 1))), 1)
    assert list(differences(snapshot_of(TABLE.slice(0, rows)), checks)) == []


@pytest.mark.integration
def test_every_core_expectation_on_every_hostile_column_has_the_verdict_of_pandas(hostile, snapshot_of):
    checks = spread(list(buildable(items(tuple(COLUMNS)))), 25)
    assert list(differences(hostile, checks)) == []
    assert list(differences(snapshot_of(TABLE.slice(0, 0)), checks[::8])) == []


ANSWERED = [
    ("column_values_to_not_be_null", {"column": "moment_null"}),
    ("column_values_to_be_between", {"column": "real_nan", "min_value": 2}),
    ("column_values_to_be_between", {"column": "moment", "min_value": "2013-01-02T00:00:00"}),
    ("column_values_to_be_in_set", {"column": "text_null", "value_set": ["a"]}),
    ("column_value_lengths_to_equal", {"column": "emoji", "value": 1}),
    ("column_mean_to_be_between", {"column": "whole", "min_value": 0}),
    ("column_stdev_to_be_between", {"column": "real", "min_value": 0.1}),
    ("column_max_to_be_between", {"column": "select", "max_value": 3}),
    ("column_distinct_values_to_be_in_set", {"column": "text", "value_set": ["a", "b"]}),
    ("column_unique_value_count_to_be_between", {"column": "whole", "max_value": 3}),
    ("table_row_count_to_equal", {"value": 6}),
]


def test_sql_answers_what_is_sent_to_it_though_another_query_fails(hostile):
    great_expectations()
    columns = columns_of(hostile.files)
    broken = built({"type": "expect_column_mean_to_be_between", "kwargs": {"column": "text", "min_value": 0}})
    checks = [built({"type": f"expect_{kind}", "kwargs": kwargs}) for kind, kwargs in ANSWERED]
    assert [way(check.expectation, columns.kinds) for check in checks] == [Way.SQL] * len(checks)
    failed, *results = sql.on_view(columns, [broken, *checks])
    assert failed is None
    assert [one is None for one in results] == [False] * len(checks)
    assert results[1].result["partial_unexpected_list"] == []
    assert results[3].result["partial_unexpected_list"] == ["b", "日本", " ", "B%_"]


@pytest.mark.parametrize("names", [["whole", "text"], ["whole"], ["moment_null", "select"]])
def test_unique_keys_are_told_by_one_grouping(snapshot_of, monkeypatch, names):
    """What holds is never asked a second time, and its verdict is that of pandas; what does not hold is asked."""
    table = TABLE.select(dict.fromkeys([*names, "real"]))
    held = table.slice(0, 1)
    compound = {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": names}}
    item = compound if len(names) > 1 else {"type": "expect_column_values_to_be_unique", "kwargs": {"column": names[0]}}
    great_expectations()
    for part in (held, pa.concat_tables([table, table])):
        snapshot = snapshot_of(part)
        check = built(item, frozenset(part.column_names))
        assert way(check.expectation, columns_of(snapshot.files).kinds) is Way.SQL
        assert list(differences(snapshot, [check])) == []
    asked = []
    monkeypatch.setattr(sql, "run", lambda *found: asked.append(found))
    (result,) = sql.on_view(columns_of(snapshot_of(held).files), [built(item, frozenset(names))])
    assert result is not None
    assert result.success
    assert asked == []


def test_chunks_add_up_to_the_verdict_on_the_whole(hostile, monkeypatch):
    monkeypatch.setattr(frames, "CHUNK", 2)
    kinds = [name for name, route in ROUTES.items() if route.second is Way.CHUNKS]
    checks = spread([c for c in buildable(items(FEW, 2)) if c.expectation.type in kinds], 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = [one for start in range(0, len(checks), AT_ONCE)
                 for one in engines.by_pandas(hostile, checks[start : start + AT_ONCE])]  # fmt: skip
        parts = frames.in_chunks(hostile, checks, columns_of(hostile.files).nulls)
    pairs = list(zip(checks, map(verdict, checks, whole), map(verdict, checks, parts), strict=True))
    assert [(c.expectation.type, dict(c.expectation.kwargs), a, b) for c, a, b in pairs if a != b] == []
    assert sum(verdict != "crashed" for _, verdict, _ in pairs) > 20


def test_a_figure_too_close_to_its_bound_is_left_to_pandas(hostile):
    great_expectations()
    columns = columns_of(hostile.files)
    total = float(TABLE["tenths"].to_pandas().sum())
    near = built({"type": "expect_column_sum_to_be_between", "kwargs": {"column": "tenths", "max_value": total}})
    far = built({"type": "expect_column_sum_to_be_between", "kwargs": {"column": "tenths", "max_value": total + 1}})
    unsure, sure = sql.on_view(columns, [near, far])
    assert unsure is None
    assert sure.success
    assert engines.by_sql(hostile, [near])[0].success


def test_the_database_stays_in_bounds_and_goes_away(hostile):
    columns = columns_of(hostile.files)
    wanted = ("memory_limit", "threads", "temp_directory", "autoload_known_extensions", "autoinstall_known_extensions")
    query = f"SELECT name, value FROM duckdb_settings() WHERE name IN {wanted}"
    with sql._database(columns, [columns.schema.field("whole")], 1) as connection:
        settings = dict(connection.execute(query).fetchall())
        spill = Path(settings["temp_directory"])
        assert spill.parent.exists()
    assert settings["memory_limit"] == "381.4 MiB"
    assert settings["threads"] == "1"
    assert [settings[name] for name in wanted[3:]] == ["false", "false"]
    assert not spill.parent.exists()
    with pytest.raises(Exception, match="closed"):
        connection.execute("SELECT 1")


def test_names_and_paths_with_signs_of_a_pattern_are_taken_as_they_are(tmp_path):
    table = pa.table({"a": [1, 2], 'od"d': [3, 4], "at": [5, 6]})
    store = UPath(tmp_path) / "s[0]*'"
    draft = Manifest(name="t", data_version="", rows=0, schema=[], source={}, as_of="2013-02-01T00:00:00+00:00")
    snapshot = write_snapshot(store, table.to_batches(), table.schema, draft)
    names = ("a", "at", 'od"d', "od", "A")
    lot = [{"type": "expect_column_max_to_be_between", "kwargs": {"column": name, "max_value": 2}} for name in names]
    suite = Suite.parse({"name": "t", "expectations": lot})
    reports = [validate(store=store, snapshot=snapshot, suite=suite, engine=engine) for engine in ("pandas", "sql")]
    assert reports[0] == reports[1]
    # Great Expectations finds a column whatever the case.
    assert [one.status for one in reports[1].outcomes[1:]] == ["passed", "failed", "failed", "crashed", "passed"]


def test_columns_that_great_expectations_takes_for_each_other_are_refused(snapshot_of):
    item = {"type": "expect_column_max_to_be_between", "kwargs": {"column": "A", "max_value": 2}}
    with pytest.raises(SuiteError, match="another column is called 'A' but for upper and lower case"):
        built(item, frozenset({"a", "A"}))
    assert built(item, frozenset({"b", "A"})).reads == {"A"}


def test_auto_takes_sql_for_what_is_large(hostile, monkeypatch):
    assert engines.choose("auto", hostile) == "pandas"
    monkeypatch.setattr(engines, "SMALL_ROWS", 5)
    assert engines.choose("auto", hostile) == "sql"
    with pytest.raises(ConfigurationError, match="Engine 'polars' is unknown: use auto, pandas, sql, spark"):
        engines.choose("polars", hostile)


def test_sql_shows_no_value_of_a_sensitive_column(tmp_path, snapshot_of):
    table = pa.table({"name": ["SECRET-1", "SECRET-2"] * 3, "wind": [1, 2, 3, 4, 5, 6]})
    lot = [
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "name", "value_set": ["x"]}},
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "name", "regex": "^x"}},
        {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "name", "min_value": 0}},
        {"type": "expect_column_distinct_values_to_be_in_set", "kwargs": {"column": "name", "value_set": ["x"]}},
    ]
    suite = Suite.parse({"name": "t", "expectations": lot})
    arguments = {"store": UPath(tmp_path), "snapshot": snapshot_of(table), "suite": suite, "engine": "sql"}
    open_, closed = validate(**arguments), validate(**arguments, sensitive=["name"])
    assert [one.status for one in closed.outcomes] == ["passed", "failed", "failed", "crashed", "failed"]
    assert closed.outcomes == open_.outcomes
    assert "SECRET" not in UPath(closed.result_uri).read_text() + UPath(closed.report_uri).read_text()
