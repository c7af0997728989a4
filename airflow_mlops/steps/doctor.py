"""Look at server, registry, DAGs and projects for what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops.core import ledger, tags
from airflow_mlops.core.doctor import Finding, check_champion, check_dag_file, check_packages, check_server
from airflow_mlops.exceptions import DataError, MlopsError
from airflow_mlops.steps.projects import load_project
from airflow_mlops.steps.promotion import settle
from airflow_mlops.steps.status import model_names

if TYPE_CHECKING:
    from airflow_mlops.core.tracking import Mlflow


def examine_server(client: Mlflow) -> Iterator[Finding]:
    """The server, and every model in its registry; a server that does not answer is the last finding."""
    try:
        yield from check_server(client.server_version())
        for name in model_names(client):
            yield from examine_model(client, name)
    except MlopsError as error:
        remedy = "check address, credentials and network, and that `mlflow server` runs."
        yield Finding("server", "MLflow server", str(error), remedy)


def examine_model(client: Mlflow, name: str) -> Iterator[Finding]:
    """One registered model; those that were never ours are left alone."""
    registry = client.registry
    model_tags = registry.model_tags(name)
    versions = registry.versions(name)
    if tags.ALIAS not in model_tags and not any(tags.KEY in version.tags for version in versions):
        return
    alias = model_tags.get(tags.ALIAS, "champion")
    current = registry.alias(name, alias)
    try:
        yield from check_champion(name, alias, current, versions, model_tags, ledger.history(model_tags))
    except DataError as error:
        yield Finding("record", f"model {name}", str(error), "correct the tag, or delete it, in MLflow.")


def repair(client: Mlflow, *, actor: str) -> list[str]:
    """Reconcile every model of which alias, tags and ledger disagree; their names."""
    registry = client.registry
    broken = [name for name in model_names(client) if any(f.repairable for f in examine_model(client, name))]
    for name in broken:
        settle(registry, name, registry.model_tags(name).get(tags.ALIAS, "champion"), actor=actor, reason="repaired")
    return broken


def examine_dags(folder: Path, *, cron_intervals: bool = False) -> Iterator[Finding]:
    """DAG files and project files of a folder.

    :param cron_intervals: whether Airflow gives bare cron strings an interval (``create_cron_data_intervals``)
    """
    for path in sorted(folder.rglob("*.py")) if not cron_intervals else ():
        yield from check_dag_file(str(path.relative_to(folder)), path.read_text("utf-8", errors="replace"))
    for path in sorted(folder.glob("projects/*.yaml")):
        if path.stem.endswith(".suite"):
            continue
        try:
            load_project(path)
        except MlopsError as error:
            yield Finding("project", f"projects/{path.name}", str(error), "correct the file; its DAG is not there now.")


def examine_packages() -> Iterator[Finding]:
    """What is installed beside us."""
    yield from check_packages({dist.name.lower(): dist.version for dist in distributions() if dist.name})
