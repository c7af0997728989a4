"""Profiles: bounded statistics of a snapshot's columns, made in parts and merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.profiles import Plan, Profile
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.hooks.store import object_path
from airflow_mlops.operators.base import MlopsOperator, number, snapshot_of
from airflow_mlops.steps.baselines import baseline_of
from airflow_mlops.steps.profiles import (
    load_profile,
    merge_profiles,
    plan_snapshot,
    profile_snapshot,
    save_profile,
)

if TYPE_CHECKING:
    from airflow.sdk import Context


class ProfileDataOperator(MlopsOperator):
    """Profile a snapshot in one scan, in a memory that does not grow with its rows.

    Returns ``profile_uri``, ``name``, ``digest``, ``plan`` (the plan's digest), ``rows`` and ``snapshot_uri``. Without
    a plan the snapshot is a reference: edges and keys are made of it.

    :param snapshot: output of an earlier task, or the URI of a snapshot
    :param name: of the profile; None for that of the snapshot
    :param plan: whose edges and keys count: a profile (output or URI), or ``{"model": name}`` with ``"alias"``
        (``champion`` if neither) or ``"version"`` for a model's baseline; None to make a plan
    :param columns: the columns of a new plan, such as a model's features; None for all
    :param sensitive: columns of a new plan of which nothing but rows and nulls may be counted
    :param part: ``"2/3"`` for the second third of the rows, to map tasks over parts
    :param plan_only: make the plan and count nothing: the profile of no rows, whose plan the parts share
    """

    template_fields: Sequence[str] = (
        *MlopsOperator.template_fields, "snapshot", "name", "plan", "columns", "sensitive", "part", "plan_only",
    )  # fmt: skip

    def __init__(
        self,
        *,
        snapshot: str | Mapping[str, Any],
        name: str | None = None,
        plan: str | Mapping[str, Any] | None = None,
        columns: Sequence[str] | None = None,
        sensitive: Sequence[str] | None = None,
        part: str | None = None,
        plan_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
        self.name = name
        self.plan = plan
        self.columns = columns
        self.sensitive = sensitive
        self.part = part
        self.plan_only = plan_only

    def run_step(self, context: Context) -> dict[str, Any]:
        snapshot = snapshot_of(self.snapshot)
        chosen: dict[str, Any] = {"columns": self.columns, "sensitive": self.sensitive or ()}
        with self.budget("profile"):
            if str(self.plan_only) == "True":  # text, once rendered
                found = Profile.empty(plan_snapshot(snapshot, **chosen), snapshot.manifest.as_of)
            else:
                found = profile_snapshot(snapshot, self._plan(), **chosen, part=part_of(self.part))
        told = stored(self, found, self.name or snapshot.manifest.name)
        return {**told, "snapshot_uri": snapshot.uri}

    def _plan(self) -> Plan | None:
        if self.plan in (None, "", "None"):
            return None
        if isinstance(self.plan, Mapping) and "model" in self.plan:
            which = self.plan.get("version") or self.plan.get("alias") or "champion"
            return baseline_of(self.client, str(self.plan["model"]), which).plan
        return load_profile(object_path(profile_uri(self.plan))).plan


class MergeProfilesOperator(MlopsOperator):
    """Add up the profiles of parts: the result is that of one scan over all rows, whatever the order.

    Returns what :class:`ProfileDataOperator` returns, without a snapshot.

    :param profiles: outputs of profile tasks (of a mapped one: its output), or URIs
    :param name: of the profile; None for that of the first
    """

    template_fields: Sequence[str] = (*MlopsOperator.template_fields, "profiles", "name")

    def __init__(self, *, profiles: Sequence[Any], name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.profiles = profiles
        self.name = name

    def run_step(self, context: Context) -> dict[str, Any]:
        given = list(self.profiles)
        name = self.name or next((one["name"] for one in given if isinstance(one, Mapping) and "name" in one), None)
        if name is None:
            raise ConfigurationError("Merge of profiles: give the result a name, URIs have none.")
        with self.budget("merge"):
            found = merge_profiles(load_profile(object_path(profile_uri(one))) for one in given)
        return stored(self, found, name)


def stored(operator: MlopsOperator, profile: Profile, name: str) -> dict[str, Any]:
    """Keep a profile, and say what the next task needs to know of it."""
    uri = save_profile(operator.store_path, profile, name)
    operator.log.info("%s: %s rows, %s columns, %s", name, profile.rows, len(profile.columns), uri)
    return {
        "profile_uri": uri,
        "name": name,
        "digest": profile.digest,
        "plan": profile.plan.digest,
        "rows": profile.rows,
    }


def profile_uri(given: Any) -> str:
    """The URI of a profile that an earlier task returned, or that is named."""
    uri = given.get("profile_uri") if isinstance(given, Mapping) else given
    if not isinstance(uri, str) or not uri:
        raise ConfigurationError(f"{str(given)[:80]!r} is not a profile: give the output of a profile task, or a URI.")
    return uri


def part_of(given: str | None) -> tuple[int, int]:
    """``"2/3"`` as numbers; the whole where nothing is said."""
    if given in (None, "", "None"):
        return 1, 1
    found, _, of = str(given).partition("/")
    return number(found, "part"), number(of, "part")
