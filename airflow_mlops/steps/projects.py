"""Project files on disk."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import yaml

from airflow_mlops.core.projects import Project
from airflow_mlops.exceptions import ConfigurationError


def load_project(path: Path) -> Project:
    """Read and check one project file; the suite's path becomes absolute."""
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(f"Project file {path.name} cannot be read: {error}") from error
    project = Project.parse(data, path.name)
    if project.name != path.stem:
        raise ConfigurationError(f"Project file {path.name}: name: {project.name} belongs in {project.name}.yaml.")
    suite = path.parent / project.validation.suite
    if not suite.is_file():
        raise ConfigurationError(f"Project file {path.name}: validation.suite: there is no file {suite}.")
    return project.model_copy(update={"validation": project.validation.model_copy(update={"suite": str(suite)})})


def load_projects(folder: Path, only: str | None = None) -> list[Project]:
    """The projects of a folder, by name; suites (``*.suite.yaml``) lie beside them.

    :param only: the one that is wanted: a mistake in another file does not matter then
    """
    if only is not None:
        return [load_project(folder / f"{only}.yaml")]
    return [load_project(path) for path in sorted(folder.glob("*.yaml")) if not path.stem.endswith(".suite")]


def readable_projects(folder: Path) -> list[Project]:
    """The projects of a folder whose files can be read: for what must work whatever is wrong elsewhere."""
    found = []
    for path in sorted(folder.glob("*.yaml")):
        if not path.stem.endswith(".suite"):
            with suppress(ConfigurationError):
                found.append(load_project(path))
    return found


def projects_for(flow: str, folder: Path, dag_id: str | None) -> list[Project]:
    """The projects whose DAG ``<flow>__<project>`` a parse of the flow's file is to make.

    A worker parses the file for each task, and names the DAG that it needs: it reads that project alone, and no mistake
    in another stops it.

    :param dag_id: of Airflow's parsing context; None for all projects
    """
    if dag_id is None:
        return load_projects(folder)
    wanted, _, only = dag_id.partition("__")
    return load_projects(folder, only) if wanted == flow and only else []
