"""Learn a suite and a schema from a snapshot, and take over what changed when asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from airflow_mlops.core.names import check_name
from airflow_mlops.core.schema import Change, Evolution, ProposalPolicy, Schema, evolve, propose
from airflow_mlops.core.validation import Suite
from airflow_mlops.exceptions import DataError, SuiteError
from airflow_mlops.steps.profiles import profile_snapshot
from airflow_mlops.steps.validation.suites import load_suite
from airflow_mlops.store.publish import publish_bytes

if TYPE_CHECKING:
    from upath import UPath

    from airflow_mlops.core.profiles import Profile
    from airflow_mlops.store.snapshots import Snapshot


@dataclass(frozen=True)
class InferredSchema:
    """What was learned, and where it lies.

    :param suite_uri: the suite to validate with: the accepted one, else that in use, else the proposal
    :param proposal_uri: what this data alone would propose
    :param evolved_uri: the suite in use with the changes, accepted or not; None without one in use
    :param text: what differs from the suite in use, for a person
    """

    name: str
    suite_uri: str
    schema_uri: str
    proposal_uri: str
    evolved_uri: str | None
    accepted: bool
    changed: bool
    text: str
    changes: tuple[Change, ...]
    checks: int
    rows: int
    data_version: str

    def to_json(self) -> dict[str, Any]:
        changes = [{"column": each.column, "kind": each.kind, "text": each.text} for each in self.changes]
        return {**{key: getattr(self, key) for key in self.__dataclass_fields__}, "changes": changes}


def infer_schema(
    store: UPath,
    snapshot: Snapshot,
    *,
    name: str,
    keys: Sequence[str] = (),
    sensitive: Sequence[str] = (),
    policy: ProposalPolicy | None = None,
    current: UPath | None = None,
    accept: bool = False,
    profile: Profile | None = None,
) -> InferredSchema:
    """Propose a suite and a schema, say what they change, and take them over if ``accept``.

    Everything lies below ``<store>/suites/<name>/``: ``accepted.yaml`` and ``accepted.json`` are written by ``accept``
    alone, the rest under the digest of the suite.

    :param name: of the suite
    :param keys: columns that tell every row from every other
    :param sensitive: columns of whose values nothing may be said
    :param current: the suite in use; None for the accepted one, if there is one
    :param profile: of the snapshot, if there is one already; else it is made
    :raises DataError: rows share their keys
    """
    home = store / "suites" / check_name(name, "suite")
    facts = snapshot.manifest
    if keys:
        _check_keys(snapshot, keys)
    found = profile or profile_snapshot(snapshot, sensitive=sensitive)
    proposal = propose(found, name=name, version=facts.data_version[:12], keys=keys, policy=policy)
    schema = Schema.of(facts.schema, keys)
    proposal_uri, schema_uri = _publish(home, proposal, schema)
    used = current if current is not None else home / "accepted.yaml"
    before = load_suite(used) if current is not None or used.exists() else None
    evolution = evolve(before, proposal) if before else Evolution((), proposal)
    types = home / "accepted.json"
    of_types = tuple(load_schema(types).differences(schema)) if types.exists() else ()
    changes = (*(Change(column, "remark", text) for column, text in of_types), *evolution.changes)
    evolved_uri = _publish(home, evolution.suite, schema)[0] if before else None
    if accept:
        publish_bytes(types, _json(schema.to_json()))
        publish_bytes(home / "accepted.yaml", _yaml(evolution.suite))
    in_use = str(used) if before else proposal_uri
    return InferredSchema(
        name=name,
        suite_uri=str(home / "accepted.yaml") if accept else in_use,
        schema_uri=str(types) if accept else schema_uri,
        proposal_uri=proposal_uri,
        evolved_uri=evolved_uri,
        accepted=accept,
        changed=before is None or bool(of_types) or not evolution.empty,
        text="\n".join(map(str, changes))
        or ("Nothing differs." if before else f"{len(proposal.expectations)} checks."),
        changes=changes,
        checks=len(evolution.suite.expectations),
        rows=facts.rows,
        data_version=facts.data_version,
    )


def load_schema(path: UPath) -> Schema:
    """Read a schema from a JSON file."""
    try:
        return Schema.from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SuiteError(f"Schema {path} cannot be read: {error.strerror or error}. Check the path.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SuiteError(f"Schema {path} is not JSON: {error}") from error


def _check_keys(snapshot: Snapshot, keys: Sequence[str]) -> None:
    table = snapshot.table(list(keys))
    shared = table.num_rows - table.group_by(list(keys), use_threads=False).aggregate([]).num_rows
    if shared:
        raise DataError(
            f"{shared:,} rows of snapshot {snapshot.manifest.name} share their {', '.join(keys)} with another row: "
            "name the columns that tell every row from every other, or none."
        )


def _publish(home: UPath, suite: Suite, schema: Schema) -> tuple[str, str]:
    folder = home / suite.digest[:16]
    publish_bytes(folder / "schema.json", _json(schema.to_json()))
    publish_bytes(folder / "suite.yaml", _yaml(suite))
    return str(folder / "suite.yaml"), str(folder / "schema.json")


def _yaml(suite: Suite) -> bytes:
    """In the form that :meth:`Suite.parse` reads, without what is empty."""
    told = suite.to_json()
    told["expectations"] = [
        {key: value for key, value in check.items() if value not in ({}, "")} for check in told["expectations"]
    ]
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=120).encode()


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()
