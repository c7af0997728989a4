"""What must hold of a model in MLflow and its store, whatever was killed, repeated or raced before."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops.core import ledger, tags
from airflow_mlops.core.deployment import Deployed
from airflow_mlops.core.pins import pinned
from airflow_mlops.core.promotion import eligible, rightful_champion
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.core.run_types import historical
from airflow_mlops.core.windows import instant
from airflow_mlops.steps.logged_models import trained_models
from airflow_mlops.steps.models import digest_of

if TYPE_CHECKING:
    from airflow_mlops.core.deployment import Target
    from airflow_mlops.core.tracking import LoggedModel, Mlflow


def check_invariants(client: Mlflow, name: str, *, alias: str = "champion", target: Target | None = None) -> None:
    """Assert them all for one model; the message lists every violation.

    :param target: where the champion is deployed: it must be there, byte for byte
    :raises AssertionError: something does not hold
    """
    versions = client.registry.versions(name)
    models = trained_models(client, name)
    found = [
        *_champion(client, name, alias, versions),
        *_once_per_key(versions, models),
        *(problem for version in versions for problem in _version(client, version)),
        *(problem for model in models for problem in _knowable(model)),
        *(_deployed(client, name, alias, target) if target else ()),
    ]
    if found:
        raise AssertionError(f"Model {name}: " + "; ".join(found))


def _champion(client: Mlflow, name: str, alias: str, versions: list[ModelVersion]) -> Iterator[str]:
    model_tags = client.registry.model_tags(name)
    pin, current = pinned(model_tags), client.registry.alias(name, alias)
    if pin is not None and pin not in {version.version for version in versions if version.status == "READY"}:
        yield f"version {pin} is pinned and is not there or not ready"
    best = rightful_champion(versions, pin)
    if best is None:
        return
    if current != best.version:
        what = "pinned" if best.version == pin else "newest approved"
        yield f"alias {alias} points at {current}, the {what} version is {best.version}"
    entries = ledger.history(model_tags)
    if not entries or entries[-1].champion != current:
        yield f"the ledger ends at {entries[-1].champion if entries else None}, alias {alias} points at {current}"
    elif entries[-1].pinned != pin:
        yield f"the ledger ends with a pin of {entries[-1].pinned}, pinned is {pin}"


def _deployed(client: Mlflow, name: str, alias: str, target: Target) -> Iterator[str]:
    """What serves is what the alias says, with the digest that was registered."""
    number, there = client.registry.alias(name, alias), target.standing(name).champion
    if number is None:
        return
    version = client.registry.version(name, number)
    if there != Deployed(name, number, version.tags.get(tags.DIGEST, "")):
        yield f"alias {alias} points at version {number}, {target.address} holds {there or 'nothing'}"


def _once_per_key(versions: list[ModelVersion], models: list[LoggedModel]) -> Iterator[str]:
    keys = {
        "versions": Counter(v.tags[tags.KEY] for v in versions if tags.KEY in v.tags and not v.superseded),
        "models": Counter(m.tags[tags.KEY] for m in models if tags.SUPERSEDED_BY not in m.tags),
    }
    for what, counts in keys.items():
        yield from (f"{number} {what} of key {key[:12]}" for key, number in counts.items() if number > 1)


def _version(client: Mlflow, version: ModelVersion) -> Iterator[str]:
    facts, number = version.tags, version.version
    missing = [tag for tag in tags.REQUIRED if not facts.get(tag)]
    if missing:
        yield f"version {number} lacks {', '.join(missing)}"
    if historical(facts.get(tags.REGISTERED_IN, facts.get(tags.RUN_TYPE))) and tags.REQUESTED not in facts:
        yield f"version {number} was registered by a backfill that nobody asked to"
    if eligible([version]) and not _finite(facts.get(tags.METRICS, "{}")):
        yield f"version {number} is approved on metrics that are no numbers"
    if version.model_id:
        with tempfile.TemporaryDirectory(prefix="mlops-invariants-") as folder:
            client.tracking.download(client.tracking.model(version.model_id).artifact_uri, Path(folder))
            if digest_of(Path(folder)) != facts.get(tags.DIGEST):
                yield f"version {number} holds other bytes than were registered"


def _finite(text: str) -> bool:
    values = json.loads(text)
    return bool(values) and all(isinstance(value, int | float) for value in values.values())


def _knowable(model: LoggedModel) -> Iterator[str]:
    """No row of training or test lies at or after the as-of, by the windows and by the rows themselves."""
    facts = model.tags
    as_of = instant(facts[tags.AS_OF])
    for tag in (tags.TRAIN_END, tags.TEST_END):
        if facts[tag] != tags.UNKNOWN and instant(facts[tag]) > as_of:
            yield f"model {model.model_id} has a window that ends after its as-of"
    newest = _newest_row(facts[tags.SNAPSHOT])
    if newest is not None and instant(newest) >= as_of:
        yield f"model {model.model_id} saw a row of {newest}, its as-of is {as_of.isoformat()}"


def _newest_row(uri: str) -> str | None:
    import pyarrow.compute as pc
    from upath import UPath

    from airflow_mlops.store.snapshots import open_snapshot

    snapshot = open_snapshot(UPath(uri))
    column = snapshot.manifest.event_time
    if column is None or not snapshot.manifest.rows:
        return None
    newest = pc.max(snapshot.table([column])[column]).as_py()
    return None if newest is None else str(newest)
