"""States, reigns and rankings of models."""

from __future__ import annotations

import json

import pytest

from airflow_mlops.core import tags
from airflow_mlops.core.comparison import choose, compare, rank
from airflow_mlops.core.ledger import LedgerEntry, in_force_at
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.core.status import Standing, reign_at, standings, state_of
from airflow_mlops.core.tracking import LoggedModel
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import ConfigurationError, NotFound


def version(number: int, model_id: str | None = None, **facts: str) -> ModelVersion:
    source = f"models:/{model_id}" if model_id else "s3://bucket/model"
    return ModelVersion("m", number, source, tags={f"mlops.{name}": value for name, value in facts.items()})


def logged(model_id: str, **facts: str) -> LoggedModel:
    return LoggedModel(model_id, "1", None, "", 0, {f"mlops.{name}": value for name, value in facts.items()})


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"approved": "2026-10-01"}, "approved"),
        ({"approved": "2026-10-01", "retracted": "wrong"}, "retracted"),
        ({"retracted": "wrong", "superseded_by": "1"}, "superseded"),
        ({"verdict": "reject"}, "refused"),
        ({"verdict": "promote"}, "not approved"),
    ],
)
def test_what_became_of_a_version(facts: dict[str, str], state: str) -> None:
    assert state_of(version(2, **facts), champion=1) == state
    assert state_of(version(2, **facts), champion=2) == "champion"


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"run_type": "backfill", "verdict": "promote"}, "historical"),
        ({"run_type": "reprocessed"}, "historical"),
        ({"run_type": "live", "verdict": "hold"}, "refused"),
        ({"run_type": "live", "verdict": "promote"}, "not registered"),
        ({"run_type": "live"}, "not judged"),
        ({"run_type": "live", "superseded_by": "m-2"}, "superseded"),
    ],
)
def test_what_became_of_a_model_that_is_not_registered(facts: dict[str, str], state: str) -> None:
    (found,) = standings([logged("m-1", **facts)], [], None)
    assert (found.state, found.version, found.label) == (state, None, "m-1")


def test_each_model_stands_once_and_the_newest_as_of_first() -> None:
    months = [f"2026-0{n}-01T00:00:00+00:00" for n in (1, 2, 3)]
    models = [logged("m-1", as_of=months[0], note="kept"), logged("m-3", as_of=months[2])]
    versions = [version(1, "m-1", as_of=months[0], approved=months[0]), version(2, as_of=months[1])]
    found = standings(models, versions, 1)
    assert [(one.model_id, one.version) for one in found] == [("m-3", None), (None, 2), ("m-1", 1)]
    assert found[-1].facts["mlops.note"] == "kept"


def test_a_reign_lasts_until_another_version_takes_over() -> None:
    entries = [
        LedgerEntry(n, f"2026-{month}-02T00:00:00+00:00", None, champion, "2026-10-01", "me", why)
        for n, (month, champion, why) in enumerate(
            [("02", 1, "a"), ("03", 1, "pin"), ("05", 2, "b"), ("07", None, "c")]
        )
    ]
    for day in ("2026-01-01", "2026-02-02", "2026-04-01", "2026-05-02", "2026-08-01"):
        reign = reign_at(entries, instant(day))
        assert (reign.version if reign else None) == in_force_at(entries, instant(day))
    april = reign_at(entries, instant("2026-04-01"))
    assert april is not None
    assert (april.since[:10], (april.until or "")[:10], april.reason) == ("2026-02-02", "2026-05-02", "a")


def standing(number: int, as_of: str, state: str = "approved", **metrics: float | str | None) -> Standing:
    facts = {tags.AS_OF: as_of, tags.METRICS: json.dumps(metrics)}
    return Standing(state, f"m-{number}", number, facts=facts)


def test_a_figure_that_is_no_number_is_never_the_best() -> None:
    found = [
        standing(1, "2026-01-01", roc_auc=0.7),
        standing(2, "2026-02-01", roc_auc=float("nan")),
        standing(3, "2026-03-01", roc_auc=None),
        standing(4, "2026-04-01", "superseded", roc_auc=0.99),
        standing(5, "2026-05-01", roc_auc=0.8),
    ]
    assert [one.version for one in rank(found, "roc_auc")] == [5, 1]
    assert [one.version for one in rank(found, "roc_auc", end=instant("2026-01-01"))] == [1]
    assert [one.version for one in rank(found, "roc_auc", start=instant("2026-01-02"))] == [5]
    with pytest.raises(ConfigurationError, match="unknown"):
        rank(found, "accurracy")


def test_less_is_better_where_it_is() -> None:
    found = [standing(1, "2026-01-01", log_loss=0.5), standing(2, "2026-02-01", log_loss=0.4)]
    assert [one.version for one in rank(found, "log_loss")] == [2, 1]


def test_a_model_is_chosen_by_version_alias_or_id() -> None:
    found = [standing(1, "2026-01-01"), standing(12, "2026-02-01", "champion")]
    assert [choose(found, "m", text).version for text in ("1", "v12", "champion", "m-1")] == [1, 12, 12, 1]
    for text in ("2", "v", "m-9", "approved"):
        with pytest.raises(NotFound, match="name a version number"):
            choose(found, "m", text)


def test_a_record_without_facts_can_be_compared() -> None:
    rows = compare(Standing("approved", None, 1), standing(2, "2026-01-01", roc_auc=0.7))
    told = {row.fact: (row.a, row.b) for row in rows if row.differs}
    assert told == {"as-of": ("unknown", "2026-01-01"), "roc_auc": ("-", "0.7000")}


def test_a_record_that_is_no_json_is_none_and_no_nan_leaves_it() -> None:
    facts = {tags.METRICS: "{oops", tags.SPEC: '{"params": {"C": NaN}}', tags.EVALUATION: "[]"}
    (found,) = standings([], [ModelVersion("m", 1, "s", tags=facts)], None)
    assert (found.metrics, found.primary_metric) == ({}, None)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["spec"] == {"params": {"C": "NaN"}}
