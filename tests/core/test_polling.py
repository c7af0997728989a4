"""Which files and rows are new, which files are whole, and what a watermark still knows."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.polling import (
    AwaitedData,
    AwaitedFiles,
    FileMark,
    Poll,
    SeenFile,
    given_mark,
    judge_files,
    plain_mark,
    row_mark,
    watch,
)
from airflow_mlops.core.polling.marks import REMEMBERED
from airflow_mlops.exceptions import ConfigurationError

NOW = 1_000_000.0
PLAIN = AwaitedFiles("landing", settle=30)
MARKED = AwaitedFiles("landing", marker="_SUCCESS")


def file(name: str, changed: float = 5.0, size: int = 10, tag: str = "") -> SeenFile:
    return SeenFile(name, size, changed, tag)


def look(*files: SeenFile, awaited: AwaitedFiles = PLAIN, mark: Any = None, earlier: Any = None) -> Poll:
    """A look a minute after one that saw ``earlier`` (None: the same)."""
    before = watch(files if earlier is None else earlier, {}, NOW - 60)
    return judge_files(files, awaited, FileMark.parse(mark), watch(files, before, NOW), NOW)


def names(poll: Poll) -> list[str]:
    assert poll.found is not None, poll.reason
    return list(poll.found["names"])


def test_what_was_told_is_old_for_whoever_gives_the_watermark_back() -> None:
    first = look(file("a"), file("b", 7.5))
    assert (first.state, names(first)) == ("done", ["a", "b"])
    assert first.found is not None
    assert (first.found["count"], first.found["bytes"], first.found["partitions"]) == (2, 20, 1)
    again = look(file("a"), file("b", 7.5), mark=json.loads(json.dumps(first.found)))
    assert (again.state, again.found) == ("wait", None)
    assert names(look(file("a"), file("b", 7.5), file("c", 7.5), mark=first.found)) == ["c"]  # within the same second


def test_a_file_that_was_written_again_is_new_and_one_that_was_only_touched_is_not() -> None:
    told = look(file("a", 5, tag="e1"), file("b", 6, tag="e2")).found
    assert names(look(file("a", 9, tag="e1"), file("b", 9, size=11, tag="e3"), mark=told)) == ["b"]


@pytest.mark.parametrize("change", [{"size": 11}, {"changed": 6.0}, {"tag": "e2"}])
def test_a_file_that_still_changes_is_not_taken(change: dict[str, Any]) -> None:
    poll = look(file("a", **change), earlier=[file("a")])
    assert poll.state == "wait"
    assert "1 new file (1" in poll.reason
    assert "may still be written: a" in poll.reason


def test_the_whole_ones_are_taken_and_the_others_stay_new() -> None:
    growing = [file("a", 9, 1), file("a", 10, 2)]
    poll = look(file("b"), growing[1], earlier=[file("b"), growing[0]])
    assert names(poll) == ["b"]
    assert names(look(file("b"), growing[1], mark=poll.found)) == ["a"]


def test_settle_zero_takes_a_file_at_its_first_look() -> None:
    assert names(look(file("a"), earlier=[], awaited=AwaitedFiles("s3", settle=0))) == ["a"]


def test_a_marker_speaks_for_its_folder_and_those_below() -> None:
    files = [file("d=1/h=1/a"), file("d=2/b"), file("c"), file("d=1/_SUCCESS", 8)]
    assert names(look(*files, awaited=MARKED, earlier=[])) == ["d=1/h=1/a"]
    assert names(look(*files, file("_SUCCESS", 9), awaited=MARKED)) == ["c", "d=1/h=1/a", "d=2/b"]


def test_what_is_younger_than_its_marker_waits_for_another() -> None:
    poll = look(file("d=1/a", 9), file("d=1/_SUCCESS", 8), awaited=MARKED)
    assert poll.reason == (
        "Below landing 1 new file (10 bytes) wait for a _SUCCESS that is not older than they are: d=1/a."
    )


def test_minima_count_what_is_whole() -> None:
    two = [file("d=1/a"), file("d=1/b")]
    assert look(*two, awaited=AwaitedFiles("x", min_files=3)).reason.endswith("in 1 folders, 3 in 1 wanted.")
    assert look(*two, awaited=AwaitedFiles("x", min_partitions=2)).state == "wait"
    assert look(*two, file("d=2/c"), awaited=AwaitedFiles("x", min_files=3, min_partitions=2)).state == "done"


def test_hidden_files_are_no_data() -> None:
    assert look(file("_SUCCESS"), file("a/.b.crc"), file("_delta_log/0.json"), file("_tmp/x")).state == "wait"


def test_an_instant_is_a_watermark() -> None:
    assert names(look(file("a", 60), file("b", 61), mark="1970-01-01T00:01:00Z")) == ["b"]


def test_many_files_are_told_and_remembered_within_bounds() -> None:
    files = [file(f"f{i:05}", 1000.0 + i / 7) for i in range(3 * REMEMBERED)]
    poll = look(*files)
    assert poll.found is not None
    assert poll.found["count"] == len(files)
    assert len(json.dumps(poll.found)) < 10_000
    assert len(poll.found["watermark"]["taken"]) == REMEMBERED
    assert look(*files, mark=poll.found).state == "wait"
    late = file("late", files[-10].changed)  # older than some that are known
    assert names(look(*files, late, mark=poll.found)) == ["late"]


def test_what_was_not_taken_is_never_forgotten() -> None:
    """It is older than hundreds of files that were."""
    old, files = file("old", 1), [file(f"f{i}", 10 + i) for i in range(2 * REMEMBERED)]
    poll = look(old, *files, earlier=files)
    assert "old" not in names(poll)
    assert names(look(old, *files, mark=poll.found)) == ["old"]


@given(st.data())
def test_in_whatever_order_files_come_each_is_told_once(data: st.DataObject) -> None:
    moments = data.draw(st.lists(st.floats(0, 4e9).map(lambda x: round(x, 6)), min_size=1, max_size=12))
    files = [file(f"f{i}", moment) for i, moment in enumerate(moments)]
    told: list[str] = []
    mark: Any = None
    there: list[SeenFile] = []
    for one in data.draw(st.permutations(files)):
        there.append(one)
        poll = look(*there, mark=mark)
        if poll.state == "done":
            told += names(poll)
            mark = json.loads(json.dumps(poll.found))
    assert sorted(told) == sorted(one.name for one in files)


@pytest.mark.parametrize(
    ("value", "like"),
    [
        (17, 3),
        (2**70, 3),
        (1.5, 2.5),
        ("x", "y"),
        (Decimal("1.50"), Decimal(3)),
        (date(2026, 11, 1), date(2026, 1, 1)),
        (datetime(2026, 11, 1, 2, 3, 4, 5), datetime(2026, 1, 1)),
        (datetime(2026, 11, 1, 2, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_row_watermark_comes_back_from_json_and_from_a_template(value: Any, like: Any) -> None:
    told = json.loads(json.dumps({"watermark": plain_mark(value)}))
    assert row_mark(told, like) == value
    assert row_mark(str(told), like) == value
    assert row_mark(told["watermark"], like) == value


@pytest.mark.parametrize(("value", "like"), [("x", 3), ("yesterday", datetime(2026, 1, 1)), ("1,5", Decimal(1))])
def test_a_watermark_of_another_type_is_named(value: Any, like: Any) -> None:
    with pytest.raises(ConfigurationError, match="cannot be compared with"):
        row_mark(value, like)


@pytest.mark.parametrize("value", [float("nan"), b"x", True])
def test_what_can_be_no_watermark(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"greatest value is NaN|has no watermark"):
        plain_mark(value)


@pytest.mark.parametrize("value", [None, "", "None", "{'watermark': None}", {"watermark": None}])
def test_nothing_known_is_nothing_known(value: Any) -> None:
    assert given_mark(value) is None
    assert FileMark.parse(value) == FileMark()


@pytest.mark.parametrize("value", [17, {"rows": 3}, "{oops", ["a"]])
def test_what_is_no_watermark_of_files(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="since"):
        FileMark.parse(value)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"source": {}}, "this one has nothing"),
        ({"source": {"files": "a", "sql": "b"}}, "this one has files, sql"),
        ({"source": {"sql": "b", "conn_id": "c"}}, "this one has conn_id, sql"),
        ({"source": {"files": "a"}, "min_rows": 3}, "min_rows belongs to a sql source"),
        (
            {"source": {"sql": "q", "conn_id": "c", "column": "x"}, "min_files": 3, "marker": "_SUCCESS"},
            "marker, min_files belongs to a files source",
        ),
        ({"source": {"files": "a"}, "marker": "a/_SUCCESS"}, "is not a file name"),
    ],
)
def test_what_cannot_be_waited_for(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        AwaitedData(**arguments)
