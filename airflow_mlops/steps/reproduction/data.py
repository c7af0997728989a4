"""The snapshot of a new candidate: the recorded one, one beside it, or the same sources asked anew."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NoReturn

from upath import UPath

from airflow_mlops.core import tags
from airflow_mlops.core.reproduction import Overrides, window_of
from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.core.windows import TrainingWindow, instant
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.steps.reproduction.record import PathAt
from airflow_mlops.steps.reproduction.trust import SourceOf, check_function, declared_source
from airflow_mlops.steps.snapshots import ingest, prepare
from airflow_mlops.steps.sources import Source, build_source
from airflow_mlops.steps.validation.quarantine import split_again
from airflow_mlops.store.snapshots import Snapshot, find_snapshot, open_snapshot

_DATA_VERSION = re.compile(r"[0-9a-f]{8,64}")


def plain_source(spec: Mapping[str, Any], event_time: str | None) -> Source:
    """The source that a plain dict describes, where no connection is needed for it."""
    return build_source(spec, event_time, path_of=UPath, engine_of=_no_engine)


@dataclass(frozen=True)
class Sources:
    """Where snapshots lie, and how those of a record are made again.

    :param store: where new ones go
    :param path_at: how a snapshot's URI becomes a path
    :param declared: sources that may be read anew, as an ingest takes them; a manifest alone is not trusted
    :param functions: import paths that a record may name, beside scikit-learn's estimators
    :param source_of: how a declaration becomes a source
    :param timezone: in which the days of a recorded window begin
    """

    store: UPath
    path_at: PathAt = UPath
    declared: Sequence[Mapping[str, Any]] = ()
    functions: Sequence[str] = ()
    source_of: SourceOf = plain_source
    timezone: str = "UTC"

    def overridden(self, recorded: Snapshot, overrides: Overrides, code_version: str = tags.UNKNOWN) -> Snapshot:
        """The rows that a candidate is to learn from."""
        if overrides.data_version:
            return self._named(recorded, overrides.data_version)
        return self._anew(recorded.manifest, overrides, code_version) if overrides.reads_anew else recorded

    def _named(self, recorded: Snapshot, wanted: str) -> Snapshot:
        """Another snapshot by its URI, or by its data version among those beside the recorded one."""
        if not _DATA_VERSION.fullmatch(wanted):
            return _verified(open_snapshot(self.path_at(wanted)))
        store = recorded.path.parent.parent.parent
        # The same rows about several as-ofs, or in several windows: the newest.
        return _verified(find_snapshot(store, recorded.manifest.name, wanted))

    def _anew(self, manifest: Manifest, overrides: Overrides, code_version: str) -> Snapshot:
        """The way of a snapshot from its sources once more, at another as-of or in another window."""
        source = manifest.source
        if "quarantine" in source:
            parent = open_snapshot(self.path_at(manifest.parents[0])).manifest
            return split_again(self.store, self._anew(parent, overrides, code_version), source["quarantine"])
        if "prepare" in source:
            check_function(source["prepare"], self.functions)
            parents = [open_snapshot(self.path_at(uri)).manifest for uri in manifest.parents]
            names = source.get("inputs") or [parent.name for parent in parents]
            return prepare(
                self.store,
                name=manifest.name,
                function=source["prepare"],
                inputs={
                    name: self._anew(parent, overrides, code_version)
                    for name, parent in zip(names, parents, strict=True)
                },
                kwargs=source["kwargs"],
                order_by=source.get("order_by"),
                code_version=code_version,
            )
        described = {name: value for name, value in source.items() if name != "key"}
        return ingest(
            self.store,
            name=manifest.name,
            source=declared_source(described, manifest.event_time, self.declared, self.source_of),
            as_of=_as_of(manifest, overrides),
            window=self._window(manifest, overrides),
            event_time=manifest.event_time,
            key=source.get("key", ()),
        )

    def _window(self, manifest: Manifest, overrides: Overrides) -> TrainingWindow | None:
        if manifest.event_time is None:
            return None  # a table without a time, beside those that have one
        if overrides.window:
            window = TrainingWindow.from_json(overrides.window)
            return replace(window, knowledge_time=window.knowledge_time or manifest.knowledge_time)
        bounds = manifest.bounds
        return window_of(bounds, manifest.knowledge_time, self.timezone) if bounds else None


def _no_engine(conn_id: str) -> NoReturn:
    raise ConfigurationError(f"The source on {conn_id} needs a connection: ask it from Airflow.")


def _as_of(manifest: Manifest, overrides: Overrides) -> datetime:
    return instant(overrides.as_of or manifest.as_of)


def _verified(snapshot: Snapshot) -> Snapshot:
    snapshot.verify()
    return snapshot
