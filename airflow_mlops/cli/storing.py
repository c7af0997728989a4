"""Commands that look into a store of snapshots."""

from __future__ import annotations

from argparse import Namespace

from airflow_mlops.cli.answers import Answer, day, paragraph, table
from airflow_mlops.cli.connections import Connections
from airflow_mlops.core.garbage import Garbage
from airflow_mlops.steps.garbage import collect_garbage
from airflow_mlops.store.snapshots import find_snapshot, snapshots_of


def snapshots(connections: Connections, arguments: Namespace) -> Answer:
    """A line for each snapshot; one that was changed is refused."""
    store = connections.path(arguments.store)
    if arguments.data_version:
        found = [find_snapshot(store, arguments.name, arguments.data_version)]
    else:
        found = snapshots_of(store, arguments.name)
    for one in found if arguments.verify else ():
        one.verify()
    rows = [
        [day(one.manifest.as_of), f"{one.manifest.rows:,}", one.manifest.data_version[:12], one.uri] for one in found
    ]
    text = table(["AS-OF", "ROWS", "DATA VERSION", "URI"], rows) if rows else [f"{store} has no {arguments.name}."]
    return Answer(text, [one.to_json() for one in found], bool(rows))


def collect(connections: Connections, arguments: Namespace) -> Answer:
    """Nothing is removed unless it was asked for."""
    found = collect_garbage(
        connections.path(arguments.store),
        named_by=connections.client,
        keep=arguments.keep,
        grace=arguments.grace,
        dry=not arguments.delete,
        orphans=arguments.orphans,
    )
    rows = [[f"{one.bytes:,}", one.why, f"{one.name}/{one.id}"] for one in found.removed]
    lines = table(["BYTES", "WHY", "SNAPSHOT"], rows) if rows else []
    return Answer([*lines, *found.spools, *paragraph(summary(found))], found.to_json())


def summary(found: Garbage) -> str:
    """One sentence about a collection."""
    kept = ", ".join(f"{number} {why}" for why, number in found.kept.items() if number) or "none"
    deed = "would go; --delete removes them" if found.dry else "were removed"
    return (
        f"{len(found.removed)} snapshots of {found.bytes:,} bytes and {len(found.spools)} temporary folders {deed}. "
        f"Kept: {kept}."
    )
