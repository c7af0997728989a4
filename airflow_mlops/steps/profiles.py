"""Profile snapshots and files, and keep profiles in the store."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops.core import tags
from airflow_mlops.core.names import check_name
from airflow_mlops.core.profiles import Plan, Profile, Profiler, fit_plan
from airflow_mlops.exceptions import ProfileError
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
) -> Profile:
    """The profile of a snapshot; without a plan it becomes a reference, and the plan is made of it."""
    plan = plan or fit_plan(snapshot.batches(), columns=columns, sensitive=sensitive)
    return _profiled(plan, snapshot.batches(plan.sources), snapshot.manifest.as_of)


def profile_files(
    paths: Iterable[str | Path],
    plan: Plan | None = None,
    *,
    columns: Sequence[str] | None = None,
    sensitive: Iterable[str] = (),
    as_of: datetime | None = None,
) -> Profile:
    """The profile of Parquet files."""
    files = [str(path) for path in paths]
    plan = plan or fit_plan(_batches(files), columns=columns, sensitive=sensitive, as_of=as_of)
    return _profiled(plan, _batches(files), as_of)


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


def _profiled(plan: Plan, batches: Iterable[pa.RecordBatch], as_of: datetime | str | None) -> Profile:
    profiler = Profiler(plan, as_of)
    for batch in batches:
        profiler.update(batch)
    return profiler.profile()


def _batches(files: list[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    for file in files:
        yield from pq.ParquetFile(file).iter_batches()
