"""Project files on disk."""

from __future__ import annotations

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
