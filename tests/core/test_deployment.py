"""What goes to a target: by what registry and target say now, whatever an event told before."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import pytest

from airflow_mlops.core import tags
from airflow_mlops.core.deployment import Deployed, Standing, Trial, Wanted, decide
from airflow_mlops.core.deployment.sagemaker import Hosting, endpoint_standing
from airflow_mlops.core.polling import AwaitedEndpoint, AwaitedVersion, judge_endpoint, judge_versions
from airflow_mlops.core.promotion import Retraction
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.exceptions import ConfigurationError

THREE = Deployed("m", 3, "d3")
TWO = Deployed("m", 2, "d2")
APPROVED = ModelVersion("m", 3, "models:/m-3", tags={tags.DIGEST: "d3", tags.APPROVED: "2026-10-01"})


def marked(**facts: str) -> ModelVersion:
    return replace(APPROVED, tags={**APPROVED.tags, **{f"mlops.{key}": value for key, value in facts.items()}})


UNAPPROVED = replace(APPROVED, tags={tags.DIGEST: "d3"})
RETRACTED = marked(retracted=Retraction("it was wrong", "ada").tag_value)
SUPERSEDED = marked(superseded_by="2")


@pytest.mark.parametrize(
    ("standing", "action"),
    [
        (Standing(), "deploy"),
        (Standing(TWO), "deploy"),
        (Standing(Deployed("m", 3, "other bytes")), "deploy"),
        (Standing(THREE), "keep"),
        (Standing(TWO, busy=True), "wait"),
        (Standing(TWO, Trial(THREE, "canary", 0.1)), "deploy"),
    ],
)
def test_the_champion_goes_where_it_is_not(standing: Standing, action: str) -> None:
    assert decide(APPROVED, Wanted(THREE), standing, champion=3).action == action


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        (SUPERSEDED, "is superseded by version 2"),
        (replace(APPROVED, status="PENDING_REGISTRATION"), "is PENDING_REGISTRATION"),
        (RETRACTED, r"was retracted \(it was wrong\)"),
        (UNAPPROVED, "was not approved"),
    ],
)
def test_what_may_not_serve_is_refused_with_the_reason(version: ModelVersion, reason: str) -> None:
    for champion, standing in product((3, 4, None), (Standing(), Standing(TWO), Standing(TWO, busy=True))):
        found = decide(version, Wanted(THREE), standing, champion=champion)
        assert found.action == "refuse"
        assert re.search(reason, found.reason), found.reason


@pytest.mark.parametrize(("champion", "there"), [(4, "version 4 is"), (None, "none is")])
def test_what_is_no_champion_any_more_comes_late(champion: int | None, there: str) -> None:
    for standing in (Standing(), Standing(THREE), Standing(TWO, busy=True)):
        found = decide(APPROVED, Wanted(THREE), standing, champion=champion)
        assert found.action == "outdated"
        assert f"is not its champion, {there}" in found.reason
    assert decide(APPROVED, Wanted(THREE, "canary", 0.1), Standing(TWO), champion=champion).action == "deploy"


@pytest.mark.parametrize("version", [RETRACTED, UNAPPROVED, APPROVED])
def test_a_person_may_pin_or_ask_for_it_all_the_same(version: ModelVersion) -> None:
    assert decide(version, Wanted(THREE), Standing(TWO), champion=3, pinned=3).action == "deploy"
    assert decide(version, Wanted(THREE), Standing(TWO), champion=2, asked=True).action == "deploy"
    assert decide(version, Wanted(THREE), Standing(TWO), champion=2, pinned=2).action in ("refuse", "outdated")


def test_nobody_may_ask_for_a_superseded_version() -> None:
    assert decide(SUPERSEDED, Wanted(THREE), Standing(), champion=3, pinned=3, asked=True).action == "refuse"


@pytest.mark.parametrize(
    ("wanted", "standing", "action"),
    [
        (Wanted(THREE, "canary", 0.1), Standing(TWO), "deploy"),
        (Wanted(THREE, "canary", 0.1), Standing(TWO, Trial(THREE, "canary", 0.2)), "deploy"),
        (Wanted(THREE, "canary", 0.1), Standing(TWO, Trial(THREE, "shadow", 0.1)), "deploy"),
        (Wanted(THREE, "canary", 0.1), Standing(TWO, Trial(THREE, "canary", 0.1)), "keep"),
        (Wanted(THREE, "shadow"), Standing(TWO, Trial(THREE, "shadow", 0.0)), "keep"),
        (Wanted(THREE, "canary", 0.1), Standing(), "keep"),
        (Wanted(THREE, "canary", 0.1), Standing(THREE), "keep"),
    ],
)
def test_a_trial_needs_a_champion_to_stand_by(wanted: Wanted, standing: Standing, action: str) -> None:
    assert decide(APPROVED, wanted, standing, champion=3).action == action


def test_only_a_shadow_may_be_unapproved() -> None:
    shadow, canary = Wanted(THREE, "shadow"), Wanted(THREE, "canary", 0.1)
    assert decide(UNAPPROVED, shadow, Standing(TWO), champion=2).action == "deploy"
    assert decide(UNAPPROVED, canary, Standing(TWO), champion=2).action == "refuse"
    assert decide(RETRACTED, shadow, Standing(TWO), champion=2).action == "refuse"


@pytest.mark.parametrize(
    ("mode", "share"), [("champ", 1.0), ("canary", 1.0), ("canary", 0.0), ("shadow", float("nan"))]
)
def test_a_share_is_a_part(mode: str, share: float) -> None:
    with pytest.raises(ConfigurationError):
        Wanted(THREE, mode, share)  # type: ignore[arg-type]


def test_deciding_again_after_the_deed_keeps_what_is_there() -> None:
    """Over all versions, champions and standings: what is deployed would not be deployed again."""
    for version, champion, there in product((APPROVED, UNAPPROVED, RETRACTED), (None, 2, 3), (None, TWO, THREE)):
        for asked in (False, True):
            first = decide(version, Wanted(THREE), Standing(there), champion=champion, asked=asked)
            again = decide(version, Wanted(THREE), Standing(THREE), champion=champion, asked=asked)
            assert again.action == {"deploy": "keep"}.get(first.action, first.action)


HOSTING = Hosting("flights", "image:1", "arn:role", "s3://bucket/models")


def test_names_at_sagemaker_follow_from_what_they_name() -> None:
    assert HOSTING.config(THREE) == HOSTING.config(THREE)
    names = {
        config["EndpointConfigName"]
        for config in (
            HOSTING.config(THREE),
            HOSTING.config(TWO),
            HOSTING.config(TWO, Trial(THREE, "canary", 0.1)),
            HOSTING.config(TWO, Trial(THREE, "canary", 0.2)),
            HOSTING.config(TWO, Trial(THREE, "shadow", 0.2)),
            replace(HOSTING, image="image:2").config(THREE),
        )
    }
    assert len(names) == 6
    assert all(len(name) <= 63 for name in names)


@pytest.mark.parametrize("mode", ["canary", "shadow"])
def test_what_an_endpoint_tells_is_what_it_was_made_of(mode: str) -> None:
    trial = Trial(THREE, mode, 0.25)  # type: ignore[arg-type]
    environments = {
        HOSTING.model(one)["ModelName"]: HOSTING.model(one)["PrimaryContainer"]["Environment"] for one in (TWO, THREE)
    }
    config = HOSTING.config(TWO, trial)
    assert endpoint_standing({"EndpointStatus": "InService"}, config, environments) == Standing(TWO, trial)
    assert endpoint_standing({"EndpointStatus": "Updating"}, config, environments).busy
    failed = endpoint_standing({"EndpointStatus": "Failed", "FailureReason": "no space"}, config, environments)
    assert (failed.champion, failed.busy, failed.problem) == (None, False, "no space")
    assert endpoint_standing({"EndpointStatus": "InService"}, config, {}).champion is None


@pytest.mark.parametrize(
    "wrong", [{"endpoint": "a_b"}, {"model_data": "/data"}, {"first": 51}, {"first": 0}, {"endpoint": "e" * 64}]
)
def test_what_sagemaker_would_refuse_is_refused_here(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        replace(HOSTING, **wrong)  # type: ignore[arg-type]


def test_versions_behind_one_that_is_being_made_wait_for_it() -> None:
    two, three, four = (ModelVersion("m", number, "s") for number in (2, 3, 4))
    making = replace(three, status="PENDING_REGISTRATION")
    assert (judge_versions([four, making, two], AwaitedVersion("m", since=1)).found or {})["versions"] == [2]
    failed = replace(three, status="FAILED_REGISTRATION")
    assert (judge_versions([four, failed, two], AwaitedVersion("m", since=1)).found or {})["versions"] == [2, 4]
    tagged = replace(four, tags={"team": "crm"})
    assert (judge_versions([two, tagged], AwaitedVersion("m", tags={"team": "crm"})).found or {})["version"] == 4
    assert judge_versions([], AwaitedVersion("m")).state == "wait"


@pytest.mark.parametrize(
    ("awaited", "wanted", "standing", "state"),
    [
        (AwaitedEndpoint("m"), None, Standing(THREE), "done"),
        (AwaitedEndpoint("m"), None, Standing(), "wait"),
        (AwaitedEndpoint("m", version=3), 3, Standing(THREE), "done"),
        (AwaitedEndpoint("m", version=2), 2, Standing(THREE), "wait"),
        (AwaitedEndpoint("m", alias="champion"), None, Standing(THREE), "wait"),
        (AwaitedEndpoint("m", version=3), 3, Standing(THREE, busy=True), "wait"),
        (AwaitedEndpoint("m", at_rest=True), None, Standing(TWO, busy=True), "wait"),
        (AwaitedEndpoint("m", at_rest=True), None, Standing(), "done"),
    ],
)
def test_an_endpoint_is_waited_for(
    awaited: AwaitedEndpoint, wanted: int | None, standing: Standing, state: str
) -> None:
    assert judge_endpoint(standing, wanted, awaited, "s3://x").state == state
