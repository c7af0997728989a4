"""The record of a model: found by version, alias or model id, and the snapshot that it names."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from upath import UPath

from airflow_mlops.core import tags
from airflow_mlops.core.names import check_alias, check_name
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.core.training import TrainedModel
from airflow_mlops.exceptions import NotFound, RegistryError, SnapshotError
from airflow_mlops.steps.logged_models import describe
from airflow_mlops.store.snapshots import Snapshot, open_snapshot

if TYPE_CHECKING:
    from airflow_mlops.core.tracking import Mlflow

#: What a model cannot be made again without.
_NEEDED = (tags.SPEC, tags.FEATURES, tags.SNAPSHOT, tags.DATA_VERSION, tags.DIGEST, tags.KEY, tags.AS_OF)

#: How a URI becomes a path; Airflow's knows connections.
PathAt = Callable[[str], UPath]


@dataclass(frozen=True)
class Record:
    """A model with the facts that it was registered with, or trained with where it is not registered."""

    model: TrainedModel
    version: int | None

    @property
    def threads(self) -> int | None:
        """Threads of its fit; None where nobody wrote them down."""
        recorded = self.model.facts.get(tags.THREADS, tags.UNKNOWN)
        return int(recorded) if recorded.isdigit() else None

    def __str__(self) -> str:
        return f"Version {self.version} of model {self.model.model}" if self.version else f"Model {self.model.model_id}"


def find_record(client: Mlflow, name: str, which: int | str) -> Record:
    """The record of a version number, an alias or a model id (``m-…``).

    :raises RegistryError: there is no such model, it is another's, or what is needed was never written down
    """
    check_name(name)
    which = str(which).strip()
    version = None if which.startswith("m-") else _version(client, name, which)
    model_id = which if version is None else version.model_id
    if model_id is None:
        raise RegistryError(f"Version {which} of model {name} has no logged model behind it: it was not trained here.")
    logged = client.tracking.model(model_id)
    if version is None:
        registered = client.registry.versions(name, {tags.KEY: logged.tags.get(tags.KEY, tags.UNKNOWN)})
        version = next((one for one in registered if one.model_id == model_id), None)
    # The version's own tags: the digest among them is the one that was registered.
    facts = {**logged.tags, **(version.tags if version else {})}
    missing = [name for name in _NEEDED if facts.get(name, tags.UNKNOWN) == tags.UNKNOWN]
    if missing:
        raise RegistryError(
            f"Model {name}, {which}: its record lacks {', '.join(missing)}. It cannot be made again: "
            "was it trained by TrainModelOperator?"
        )
    try:
        model = describe(replace(logged, tags=facts))
    except (TypeError, ValueError) as error:
        raise RegistryError(f"Model {name}, {which}: its record cannot be read: {error}.") from error
    if model.model != name:
        raise RegistryError(f"Model {model_id} is one of {model.model}, not of {name}.")
    return Record(model, version.version if version else None)


def _version(client: Mlflow, name: str, which: str) -> ModelVersion:
    if re.fullmatch(r"\d{1,9}", which):
        return client.registry.version(name, int(which))
    number = client.registry.alias(name, check_alias(which))
    if number is None:
        raise NotFound(f"Model {name} has no alias {which}: give a version number, an alias, or a model id (m-…).")
    return client.registry.version(name, number)


def recorded_snapshot(record: Record, path_at: PathAt) -> Snapshot:
    """The very rows that the model was trained on, each of them hashed again.

    :raises SnapshotError: the snapshot is gone, or holds other rows
    """
    facts = record.model.facts
    snapshot = open_snapshot(path_at(facts[tags.SNAPSHOT]))
    if snapshot.manifest.data_version != facts[tags.DATA_VERSION]:
        raise SnapshotError(
            f"{record}: the snapshot at {snapshot.uri} has data version {snapshot.manifest.data_version[:12]}, "
            f"it was trained on {facts[tags.DATA_VERSION][:12]}."
        )
    snapshot.verify()
    return snapshot


def recorded_environment(client: Mlflow, record: Record) -> str | None:
    """The distributions that were installed then; None where the run kept no list."""
    if not record.model.run_id:
        return None
    with tempfile.TemporaryDirectory(prefix="mlops-record-") as folder:
        client.tracking.download(client.tracking.artifact_uri(record.model.run_id), Path(folder))
        listing = Path(folder, "environment.txt")
        return listing.read_text() if listing.is_file() else None
