"""Profile snapshots and files, and keep profiles in the store."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_mlops.core.names import check_name
from airflow_mlops.core.profiles import Plan, Profile
from airflow_mlops.exceptions import ConfigurationError, ProfileError
from airflow_mlops.steps.scan import ParquetScan, TableScan
from airflow_mlops.store.publish import publish_bytes

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

    from airflow_mlops.store.snapshots import Snapshot


def profile_snapshot(
    snapshot: Snapshot,
    plan: Plan | None = None,
    *,
    columns: Sequence[str] | None = None,
    sensitive: Iterable[str] = (),
    part: tuple[int, int] = (1, 1),
    threads: int | None = None,
) -> Profile:
    """The profile of a snapshot; without a plan it is a reference, and the plan is made of it.

    :param columns: the columns of a reference; None for all
    :param sensitive: columns of a reference of which nothing but rows and nulls may be counted
    :param part: ``(2, 3)`` for the second third of the row groups; the parts merge to the whole
    :raises SnapshotError: a file is not what the manifest says; each is hashed once
    """
    as_of = snapshot.manifest.as_of
    if part == (1, 1):
        scan = ParquetScan(snapshot.files, threads)
        return scan.profile(plan or scan.fit(columns, sensitive, as_of), as_of)
    if plan is None:
        raise ConfigurationError("Profiles of parts need one plan: profile with plan_only first.")
    return _part(snapshot, plan, part, threads)


def plan_snapshot(snapshot: Snapshot, *, columns: Sequence[str] | None = None, sensitive: Iterable[str] = ()) -> Plan:
    """The plan of a snapshot as a reference, for the profiles of its parts."""
    return ParquetScan(snapshot.files).fit(columns, sensitive, snapshot.manifest.as_of)


def _part(snapshot: Snapshot, plan: Plan, part: tuple[int, int], threads: int | None) -> Profile:
    """Only the files that hold the part's rows are fetched and hashed."""
    number, of = part
    if not 1 <= number <= of:
        raise ConfigurationError(f"Part {number}/{of} of a profile: count from 1 to {of}.")
    manifest = snapshot.manifest
    low, high = (i * manifest.rows // of for i in (number - 1, number))
    if manifest.pinned:
        return ParquetScan(snapshot.files, threads, range(low, high)).profile(plan, manifest.as_of)
    files, first, offset = [], 0, None
    for file in manifest.files:
        if first < high and first + file.rows > low:
            files.append(file)
            offset = first if offset is None else offset
        first += file.rows
    if offset is None:
        return Profile.empty(plan, manifest.as_of)
    touched = replace(snapshot, manifest=replace(manifest, files=files))
    return ParquetScan(touched.files, threads, range(low - offset, high - offset)).profile(plan, manifest.as_of)


def merge_profiles(profiles: Iterable[Profile]) -> Profile:
    """The profile of all these rows, in whatever order they come.

    :raises ProfileError: there is none, or their plans differ
    """
    found = list(profiles)
    if not found:
        raise ProfileError("There is no profile to merge.")
    return found[0].merge(*found[1:])


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
    scan = TableScan(table)
    return scan.profile(plan or scan.fit(columns, sensitive, as_of), as_of)


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
