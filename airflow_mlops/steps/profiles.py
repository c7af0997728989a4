"""Profile snapshots and files, and keep profiles in the store."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops.core import tags
from airflow_mlops.core.names import check_name
from airflow_mlops.core.profiles import Plan, Profile, Profiler, fit_plan
from airflow_mlops.exceptions import ProfileError
from airflow_mlops.steps.scan import ParquetScan
from airflow_mlops.store.publish import publish_bytes
from airflow_mlops.store.snapshots import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

    from airflow_mlops.core.tracking import Mlflow

#: The file beside a model's own.
ARTIFACT = "profile.json"


def profile_snapshot(
    snapshot: Snapshot,
    plan: Plan | None = None,
    *,
    columns: Sequence[str] | None = None,
    sensitive: Iterable[str] = (),
    threads: int | None = None,
) -> Profile:
    """The profile of a snapshot; without a plan it is a reference, and the plan is made of it.

    :param columns: the columns of a reference; None for all
    :param sensitive: columns of a reference of which nothing but rows and nulls may be counted
    :raises SnapshotError: a file is not what the manifest says; each is hashed once
    """
    as_of = snapshot.manifest.as_of
    scan = ParquetScan(snapshot.files, threads)
    return scan.profile(plan or scan.fit(columns, sensitive, as_of), as_of)


def profile_files(
    paths: Iterable[str | os.PathLike[str]],
    plan: Plan | None = None,
    *,
    columns: Sequence[str] | None = None,
    sensitive: Iterable[str] = (),
    as_of: datetime | str | None = None,
    threads: int | None = None,
) -> Profile:
    """The profile of Parquet files on this machine, as of one table; without a plan it is a reference."""
    scan = ParquetScan(paths, threads)
    return scan.profile(plan or scan.fit(columns, sensitive, as_of), as_of)


def profile_table(
    table: pa.Table,
    plan: Plan | None = None,
    *,
    columns: Sequence[str] | None = None,
    sensitive: Iterable[str] = (),
    as_of: datetime | str | None = None,
) -> Profile:
    """The profile of rows in memory; without a plan it is a reference."""
    batches = table.to_batches() or [_no_rows(table)]
    plan = plan or fit_plan(batches, columns=columns, sensitive=sensitive, as_of=as_of)
    profiler = Profiler(plan, as_of)
    for batch in batches:
        profiler.update(batch)
    return profiler.profile()


def save_profile(store: UPath, profile: Profile, name: str) -> str:
    """Keep a profile below ``<store>/profiles/<name>/``; its URI."""
    path = store / "profiles" / check_name(name, "profile") / f"{profile.digest}.json"
    publish_bytes(path, json.dumps(profile.to_json()).encode())
    return str(path)


def load_profile(uri: UPath) -> Profile:
    """A profile of the store, or one written by hand."""
    try:
        return Profile.from_json(json.loads(uri.read_text()))
    except FileNotFoundError as error:
        raise ProfileError(f"There is no profile at {uri}: make it again.") from error
    except ValueError as error:
        raise ProfileError(f"The profile at {uri} cannot be read: {error}") from error


def baseline_of(client: Mlflow, name: str, which: int | str = "champion") -> Profile:
    """The profile of the rows that a version was trained on.

    :param which: a version's number, or an alias
    """
    number = int(which) if str(which).isdigit() else client.registry.alias(name, str(which))
    if number is None:
        raise ProfileError(f"Model {name} has no alias {which}: there is no baseline yet.")
    facts = client.registry.version(name, number)
    if not facts.model_id or tags.BASELINE not in facts.tags:
        raise ProfileError(f"Version {number} of model {name} has no baseline: train it again.")
    with tempfile.TemporaryDirectory(prefix="mlops-profile-") as folder:
        client.tracking.download(client.tracking.model(facts.model_id).artifact_uri, Path(folder))
        profile = Profile.from_json(json.loads(Path(folder, ARTIFACT).read_text()))
    if profile.digest != facts.tags[tags.BASELINE]:
        raise ProfileError(f"The baseline of version {number} of model {name} is not the one that was logged.")
    return profile


def _no_rows(table: pa.Table) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_pylist([], schema=table.schema)
