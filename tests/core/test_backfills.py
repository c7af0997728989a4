"""A plan follows from a project, its dates, counted rows and the models that are there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from airflow_mlops.core import tags
from airflow_mlops.core.backfills import (
    BackfillPlan,
    SourceRows,
    existing,
    explain,
    plan_backfill,
    plan_run,
    training_spec,
    windows_at,
)
from airflow_mlops.core.projects import Project
from airflow_mlops.core.snapshots import canonical_json
from airflow_mlops.core.windows import Bounds, TrainingWindow, Windows, instant
from tests.core.test_projects import SMALL

OCTOBER = Bounds(instant("2026-09-01"), instant("2026-10-01"))
NOVEMBER = Bounds(instant("2026-10-01"), instant("2026-11-01"))


def project(**changes: Any) -> Project:
    return Project.parse(
        {**SMALL, **changes},
        "small.yaml",
    )


def windows(as_of: datetime = OCTOBER.end) -> Windows:
    return TrainingWindow(lookback="10d", test="2d").at(as_of)


def model(**changes: str) -> dict[str, str]:
    """The tags of a model of October."""
    at = windows()
    facts = {
        tags.AS_OF: at.as_of.isoformat(),
        tags.SPEC: canonical_json(training_spec(project()).to_json()).decode(),
        tags.TRAIN_START: at.train.start.isoformat(),
        tags.TRAIN_END: at.train.end.isoformat(),
        tags.TEST_END: at.test.end.isoformat(),
        tags.CODE_VERSION: "git:abc",
    }
    return {**facts, **{f"mlops.{name}": value for name, value in changes.items()}}


@pytest.mark.parametrize(
    ("models", "answer"),
    [
        ([], "no"),
        ([model()], "yes"),
        ([model(as_of="2026-10-01T02:00:00+02:00")], "yes"),
        ([model(as_of="2026-09-01T00:00:00+00:00")], "no"),
        ([model(code_version="git:abc+dirty")], "yes, of other code or data"),
        ([model(train_start="2026-01-01T00:00:00+00:00")], "yes, of other code or data"),
        ([model(code_version="git:old"), model()], "yes"),
        ([model(superseded_by="m-1")], "no"),
        ([model(spec='{"params":{"C":2}}')], "no"),
    ],
)
def test_a_model_is_there_or_not(models: list[dict[str, str]], answer: str) -> None:
    assert existing(project(), windows(), models, "git:abc") == answer


def test_code_that_nobody_can_tell_is_other_code() -> None:
    assert existing(project(), windows(), [model()], None) == "yes, of other code or data"


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (None, None),
        ([SourceRows("rows", 10, 10)], None),
        ([SourceRows("rows", None, 10, "away")], None),
        (
            [SourceRows("rows", 1009, 1010), SourceRows("more", 0, 1)],
            "skipped: rows 1,009 of 1,010 rows, more 0 of 1 rows",
        ),
    ],
)
def test_a_date_with_too_few_rows_is_skipped(rows: list[SourceRows] | None, problem: str | None) -> None:
    run = plan_run(project(), OCTOBER, rows=rows)
    assert (run.problem, run.trains) == (problem, problem is None)


def test_a_date_before_an_expanding_window_begins_is_skipped() -> None:
    expanding = project(window={"start": "2026-09-29", "test": "2d"})
    early, late = plan_run(expanding, OCTOBER), plan_run(expanding, NOVEMBER)
    assert early.problem is not None
    assert early.problem.startswith("skipped: The training window is empty at 2026-10-01")
    assert (early.windows, early.trains, late.problem, late.trains) == (None, False, None, True)
    assert explain(expanding, OCTOBER)[-1] == ("window", early.problem)


def test_the_time_is_that_of_the_trainings_some_at_once() -> None:
    dates = [OCTOBER, NOVEMBER, NOVEMBER]
    runs = [plan_run(project(), at, models=[model()], code_version="git:abc") for at in dates]
    assert [run.trains for run in runs] == [False, True, True]
    took = [model(train_seconds=seconds) for seconds in ("1.0", "4.0", "100.0")]
    assert plan_backfill(project(), runs, models=took, at_once=1).seconds == 8
    assert plan_backfill(project(), runs, models=took, at_once=4).seconds == 4
    assert plan_backfill(project(), runs, models=[model()]).seconds is None


@pytest.mark.parametrize(
    ("asked", "approved", "pinned", "changes"),
    [
        ("never", None, None, []),
        ("if_newer", None, None, [OCTOBER.end, NOVEMBER.end]),
        ("if_newer", OCTOBER.end, None, [NOVEMBER.end]),
        ("if_newer", NOVEMBER.end, None, []),
        ("if_newer", None, 3, []),
    ],
)
def test_production_changes_only_where_the_project_says_so(
    asked: str, approved: datetime | None, pinned: int | None, changes: list[datetime]
) -> None:
    small = project(promote_backfills=asked)
    runs = [plan_run(small, at) for at in (OCTOBER, NOVEMBER)]
    found = plan_backfill(small, runs, approved=approved, pinned=pinned)
    assert found.may_change == changes
    assert (found.production == "production will change: no") is (changes == [])


def test_a_plan_is_plain_json() -> None:
    runs = [plan_run(project(), OCTOBER, rows=[SourceRows("rows", 5, 1)])]
    told = BackfillPlan("small", runs, 2, 1.5).to_json()
    assert told["seconds"] == 1.5
    assert told["runs"][0]["rows"] == [{"source": "rows", "rows": 5, "needed": 1, "why": ""}]
    canonical_json(told)


def test_every_part_of_a_window_is_explained() -> None:
    full = project(
        window={
            "start": "2025-01-01",
            "test": "7d",
            "validation": "7d",
            "gap": "1d",
            "label_delay": "2d",
            "knowledge_time": "known_at",
            "timezone": "Europe/Paris",
        }
    )
    told = dict(explain(full, NOVEMBER))
    assert isinstance(windows_at(full, NOVEMBER.end), Windows)
    assert list(told) == [
        "as-of", "label delay", "test", "validation", "gap", "training", "time zone", "knowledge time",
    ]  # fmt: skip
    assert "everything since 2025-01-01" in told["training"]
    assert "rows whose known_at is at or after the as-of are left out" in told["knowledge time"]
    assert told["time zone"].startswith("Europe/Paris")
    # Winter time began between the two: the same calendar days back are an hour less.
    assert told["label delay"] == "2d: labels of rows after 2026-10-30 are not in yet."
