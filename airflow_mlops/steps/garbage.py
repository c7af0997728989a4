"""Remove the snapshots that no model names any more; what a registered version names stays for ever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from airflow_mlops.core import tags
from airflow_mlops.core.garbage import Garbage, judge_garbage
from airflow_mlops.core.windows import Span
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.store.garbage import dead_spools, id_of, remove_snapshot, remove_spool, stored_snapshots

if TYPE_CHECKING:
    from upath import UPath

    from airflow_mlops.core.tracking import Mlflow


def collect_garbage(
    store: UPath,
    *,
    named_by: Mlflow,
    keep: str = "90d",
    grace: str = "2d",
    dry: bool = True,
    orphans: bool = False,
    now: datetime | None = None,
) -> Garbage:
    """Find, and unless ``dry`` remove, what nobody needs.

    Kept are the snapshots that a registered version names, whatever its state; those that a logged model names which
    is younger than ``keep``; those written within ``keep``; and the parents of all of them. The store is looked through
    first and the server asked after it, so that a model logged meanwhile is seen.

    :param keep: how long a snapshot stays that no registered version names, such as ``90d``
    :param grace: how long a folder without a manifest may be a writer at work
    :param orphans: go on although no model on the server names a snapshot of this store
    :raises ServiceUnavailable: the server does not answer; nothing was removed
    :raises ConfigurationError: the server names nothing in this store: it may be the wrong one
    """
    now = now or datetime.now(UTC)
    kept, waited = length(keep, "keep"), length(grace, "grace")
    stored = list(stored_snapshots(store))
    named = set(named_snapshots(named_by, since=now - kept))
    if stored and not orphans and not named & {one.id for one in stored}:
        raise ConfigurationError(
            f"No model on this server names a snapshot of {store}: is it the store's server? Nothing was removed; "
            "allow orphans if the store has no models."
        )
    removals, counts = judge_garbage(stored, named, now=now, keep=kept, grace=waited)
    spools = dead_spools((now - waited).timestamp())
    if not dry:
        before = {one.id: one.changed for one in stored}
        removals = [one for one in removals if remove_snapshot(store, one, unless_changed_after=before[one.id])]
        for spool in spools:
            remove_spool(spool)
    return Garbage(str(store), removals, [str(spool) for spool in spools], counts, dry)


def named_snapshots(client: Mlflow, *, since: datetime) -> Iterator[str]:
    """Ids of the snapshots that every registered version names, and the models logged since."""
    for name in client.registry.names():
        for version in client.registry.versions(name):
            yield from _named(version.tags)
    for experiment in client.tracking.experiments():
        for model in client.tracking.models(experiment, {}):
            if model.created >= since.timestamp() * 1000:
                yield from _named(model.tags)


def _named(facts: Mapping[str, str]) -> Iterator[str]:
    if tags.SNAPSHOT in facts:
        yield id_of(facts[tags.SNAPSHOT])


def length(text: str, what: str) -> timedelta:
    """A span of time such as ``90d``."""
    epoch = datetime(2000, 1, 1, tzinfo=UTC)
    try:
        return epoch - Span(text).before(epoch, ZoneInfo("UTC"))
    except ConfigurationError as error:
        raise ConfigurationError(f"{what}: {error}") from error
