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
    suite = path.parent / project.validation.suite
    if not suite.is_file():
        raise ConfigurationError(f"Project file {path.name}: validation.suite: there is no file {suite}.")
    return project.model_copy(update={"validation": project.validation.model_copy(update={"suite": str(suite)})})


def load_projects(folder: Path) -> list[Project]:
    """All projects of a folder, by name; suites (``*.suite.yaml``) lie beside them."""
    files = [path for path in sorted(folder.glob("*.y*ml")) if ".suite." not in path.name]
    projects = [load_project(path) for path in files]
    names = [project.name for project in projects]
    for path, name in zip(files, names, strict=True):
        if names.count(name) > 1:
            raise ConfigurationError(f"Project file {path.name}: name: another file is named {name} too.")
    return projects
