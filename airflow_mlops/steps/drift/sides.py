"""Both sides of a drift check, each from wherever it is: a profile, a snapshot, a source, or a model's baseline."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_mlops.core import tags
from airflow_mlops.core.drift.selection import narrowed
from airflow_mlops.core.packages import ModelRef
from airflow_mlops.core.profiles import Plan, Profile, Profiler, fit_plan
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.core.slices import Slice, sliced
from airflow_mlops.core.windows import Bounds
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.steps.baselines import baseline_of
from airflow_mlops.steps.drift.clusters import chunked
from airflow_mlops.steps.packages import find_version
from airflow_mlops.steps.profiles import load_profile, profile_snapshot
from airflow_mlops.store.snapshots import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

    from airflow_mlops.core.tracking import Mlflow
    from airflow_mlops.steps.sources import Source

Given = str | Mapping[str, Any]
_SOURCES = frozenset({"files", "sql", "callable"})
_FILES = (".parquet", ".csv", ".csv.gz", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class Sides:
    """What is compared, and what it is called.

    :param model: the model whose baseline the reference is; None for another reference
    :param name: what the check may be called; empty where nothing has a name
    :param as_of: of the current rows; empty where they do not tell
    """

    reference: Profile
    current: Profile
    chunks: tuple[Profile, ...] = ()
    baseline: str = "a reference"
    now: str = ""
    model: str | None = None
    name: str = ""
    as_of: str = ""


@dataclass(frozen=True)
class Finder:
    """How texts and dicts become what they name.

    :param client: called when a model's baseline is asked for
    """

    read_snapshot: Callable[[Given], Snapshot]
    read_source: Callable[[Mapping[str, Any]], Source]
    path_of: Callable[[str], UPath]
    client: Callable[[], Mlflow]
    columns: Collection[str] | None = None
    ignore: Collection[str] = ()
    sensitive: Collection[str] = ()
    clusters: str | None = None
    as_of: datetime | None = None


def find_sides(baseline: Given, current: Given, finder: Finder) -> Sides:
    """Load or make both profiles, of the same columns by one plan.

    :param baseline: ``{"model": name, "version" or "alias": …}``, a profile, a snapshot or a source
    :param current: a profile, a snapshot or a source
    """
    baseline, current = plain(baseline), plain(current)
    ref = _ref(baseline) if isinstance(baseline, Mapping) and "model" in baseline else None
    # Looked up once: an alias that moves on the way changes nothing any more.
    model = find_version(finder.client().registry, ref) if ref else None
    if ref and model:
        reference, name = _of_model(model, finder), ref.name
        label = f"the training rows of {f'version {ref.version}' if ref.version else f'the {ref.alias}'} of {name}"
    else:
        reference, label, name = _profile(baseline, None, finder)
    if _is_profile(current):
        found, now, current_name = _profile(current, None, finder)
    else:
        # What is ignored need not be there.
        reference = narrowed(reference, finder.columns, finder.ignore)
        found, now, current_name = _profile(current, reference.plan, finder)
    ignore = {*finder.ignore, *_ages(reference.plan, _event_times([baseline, current], finder))}
    reference, found = (narrowed(side, finder.columns, ignore) for side in (reference, found))
    chunks = _chunks(baseline, model, reference.plan, finder) if finder.clusters else ()
    return Sides(
        reference=chunks[0].merge(*chunks[1:]) if chunks else reference,
        current=found,
        chunks=chunks,
        baseline=label,
        now=now,
        model=name if model else None,
        name=name if model else current_name or name,
        as_of=_as_of(current, finder),
    )


def plain(given: Given) -> Given:
    """A text by what it looks like: ``models:/NAME/3`` or ``models:/NAME@champion``, rows in files, else as it is.

    >>> plain("models:/churn@champion"), plain("s3://bucket/days/*.parquet")
    ({'model': 'churn', 'alias': 'champion'}, {'files': 's3://bucket/days/*.parquet'})
    """
    if not isinstance(given, str):
        return given
    if given.startswith("models:/"):
        name, version, which = given.removeprefix("models:/").partition("/")
        name, _, alias = name.partition("@")
        return {"model": name, "version": which} if version else {"model": name, "alias": alias or "champion"}
    return {"files": given} if "*" in given or given.endswith(_FILES) else given


def _ref(wanted: Mapping[str, Any]) -> ModelRef:
    unknown = set(wanted) - {"model", "version", "alias"}
    if unknown or ("version" in wanted and "alias" in wanted):
        raise ConfigurationError(f"Drift: a baseline names a model with a version or an alias, not {sorted(wanted)}.")
    return ModelRef.of(str(wanted["model"]), wanted.get("version") or wanted.get("alias") or "champion")


def _of_model(version: ModelVersion, finder: Finder) -> Profile:
    if tags.BASELINE in version.tags:
        return baseline_of(finder.client(), version.name, version.version)
    # Trained before baselines were kept: its rows are still there.
    snapshot, bounds = _training_rows(version, finder)
    wanted_columns = _listed(finder.columns)

    def rows() -> Iterator[pa.RecordBatch]:
        return _rows(snapshot, bounds, wanted_columns)

    as_of = snapshot.manifest.as_of
    plan = fit_plan(rows(), columns=wanted_columns, sensitive=finder.sensitive, as_of=as_of)
    return _counted(plan, rows(), as_of)


def _profile(given: Given, plan: Plan | None, finder: Finder) -> tuple[Profile, str, str]:
    """A profile, what it is in words, and its name."""
    if _is_profile(given):
        uri = str(given["profile_uri"]) if isinstance(given, Mapping) else given
        name = str(given.get("name", "")) if isinstance(given, Mapping) else ""
        return load_profile(finder.path_of(uri)), f"profile {uri}", name
    if isinstance(given, Mapping) and _SOURCES & set(given):
        source = finder.read_source(given)
        if finder.as_of is None:
            raise ConfigurationError("Drift: rows of a source need an as_of.")
        as_of = finder.as_of
        plan = plan or fit_plan(_batches(source, as_of), columns=_listed(finder.columns), sensitive=finder.sensitive)
        return _counted(plan, _batches(source, as_of), as_of), f"source {source.describe()}", ""
    snapshot = finder.read_snapshot(given)
    found = profile_snapshot(snapshot, plan, columns=_listed(finder.columns), sensitive=finder.sensitive)
    return found, f"snapshot {snapshot.uri}", snapshot.manifest.name


def _counted(plan: Plan, batches: Iterable[pa.RecordBatch], as_of: datetime | str) -> Profile:
    profiler = Profiler(plan, as_of if plan.needs_as_of else None)
    for batch in batches:
        profiler.update(batch)
    return profiler.profile()


def _rows(snapshot: Snapshot, bounds: Bounds | None, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    """The rows of a snapshot, of some columns, in a window of time or all."""
    time = snapshot.manifest.event_time
    wanted = None if columns is None else [*dict.fromkeys([*columns, *([time] if time and bounds else [])])]
    batches = snapshot.batches(wanted)
    return sliced(batches, Slice(bounds.end, bounds), time, None) if bounds else batches


def _batches(source: Source, as_of: datetime) -> Iterator[pa.RecordBatch]:
    _, batches = source.read(Slice(as_of))
    yield from batches


def _listed(columns: Collection[str] | None) -> list[str] | None:
    return None if columns is None else list(columns)


def _is_profile(given: Given) -> bool:
    return "profile_uri" in given if isinstance(given, Mapping) else given.endswith(".json")


def _snapshot(given: Given, finder: Finder) -> Snapshot | None:
    """The snapshot that a side is, or that a profile task says it was made of."""
    if isinstance(given, Mapping) and given.get("snapshot_uri"):
        return finder.read_snapshot(str(given["snapshot_uri"]))
    if _is_profile(given) or (isinstance(given, Mapping) and {*_SOURCES, "model"} & set(given)):
        return None
    return finder.read_snapshot(given)


def _event_times(sides: list[Given], finder: Finder) -> set[str]:
    found = (_snapshot(given, finder) for given in sides)
    return {snapshot.manifest.event_time for snapshot in found if snapshot and snapshot.manifest.event_time}


def _ages(plan: Plan, event_times: Collection[str]) -> list[str]:
    """Ages of the rows' own time: how long ago a window was says nothing about what is in it."""
    return [column.name for column in plan.columns if column.derived == "age" and column.source in event_times]


def _as_of(current: Given, finder: Finder) -> str:
    if (snapshot := _snapshot(current, finder)) is not None:
        return snapshot.manifest.as_of
    return finder.as_of.isoformat() if finder.as_of else ""


def _chunks(baseline: Given, model: ModelVersion | None, plan: Plan, finder: Finder) -> tuple[Profile, ...]:
    """The reference's rows again, cut by their clusters: of a model those of its training window."""
    snapshot, bounds = _training_rows(model, finder) if model else (_rows_of(baseline, finder), None)
    batches = _rows(snapshot, bounds, [*dict.fromkeys([*plan.sources, str(finder.clusters)])])
    as_of = snapshot.manifest.as_of if plan.needs_as_of else None
    return tuple(chunked(plan, batches, str(finder.clusters), as_of))


def _rows_of(baseline: Given, finder: Finder) -> Snapshot:
    if (snapshot := _snapshot(baseline, finder)) is None:
        raise ConfigurationError("Drift: clusters need the reference's rows: give a snapshot or a model as baseline.")
    return snapshot


def _training_rows(version: ModelVersion, finder: Finder) -> tuple[Snapshot, Bounds | None]:
    uri = version.tags.get(tags.SNAPSHOT)
    if not uri:
        raise ConfigurationError(
            f"Drift: version {version.version} of {version.name} does not name its training rows: leave clusters out."
        )
    snapshot = finder.read_snapshot(uri)
    windows = snapshot.manifest.bounds
    return snapshot, windows.train if windows else None
