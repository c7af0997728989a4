"""``doctor``: what is wrong with a set-up."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from airflow_mlops.cli.answers import Answer, facts
from airflow_mlops.cli.connections import Connections
from airflow_mlops.cli.projects import dags_folder
from airflow_mlops.cli.writing import actor
from airflow_mlops.core.doctor import Finding, check_uri
from airflow_mlops.exceptions import MlopsError
from airflow_mlops.steps.doctor import examine_dags, examine_packages, examine_server, repair


def doctor(connections: Connections, arguments: Namespace) -> Answer:
    """Look at everything; the exit code is 1 if anything is wrong."""
    repaired = repair(connections.client, actor=actor(arguments)) if arguments.repair else []
    folder = dags_folder(arguments.dags)
    found = [*_address(connections), *_server(connections), *_folder(folder), *examine_packages()]
    lines = [f"Repaired: {', '.join(repaired)}."] if repaired else []
    for finding in found:
        lines += [f"✗ {finding.subject}", *facts([("wrong", finding.problem), ("to do", finding.remedy)])]
    many = "1 thing is" if len(found) == 1 else f"{len(found)} things are"
    lines += [f"{many} wrong." if found else "Nothing is wrong with server, registry, DAGs and packages."]
    data = {"findings": [finding.to_json() for finding in found], "repaired": repaired}
    return Answer(lines, data, not found)


def _address(connections: Connections) -> list[Finding]:
    try:
        uri, credentials = connections.address()
    except MlopsError:  # the server's finding will say so
        return []
    return list(check_uri(uri, credentials=credentials)) if uri else []


def _server(connections: Connections) -> list[Finding]:
    """Nothing is asked of what is no server."""
    if any(finding.code == "file-store" for finding in _address(connections)):
        return []
    try:
        client = connections.client
    except MlopsError as error:
        return [Finding("server", "MLflow server", str(error), "name a server that this shell may reach.")]
    return list(examine_server(client))


def _folder(folder: Path) -> Iterator[Finding]:
    if not folder.is_dir():
        remedy = "name the folder of your DAGs with --dags."
        yield Finding("dags", "DAGs folder", f"there is no folder {folder}.", remedy)
        return
    yield from examine_dags(folder, cron_intervals=_cron_intervals())


def _cron_intervals() -> bool:
    """Whether Airflow gives bare cron strings an interval, as Airflow 2 did."""
    from airflow.configuration import conf  # noqa: TID251

    return bool(conf.getboolean("scheduler", "create_cron_data_intervals", fallback=False))
