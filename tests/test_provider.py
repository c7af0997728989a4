"""Airflow discovers the package, and what the package says of itself is true."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

import airflow_mlops
from airflow_mlops.core.import_path import import_object
from airflow_mlops.get_provider_info import get_provider_info

ROOT = Path(__file__).parent.parent
INFO = get_provider_info()


def dotted(value: Any) -> list[str]:
    """Every import path in the provider info."""
    if isinstance(value, dict):
        return [name for key, one in value.items() if key not in ("config", "description") for name in dotted(one)]
    if isinstance(value, list):
        return [name for one in value for name in dotted(one)]
    return [value] if isinstance(value, str) and value.startswith("airflow_mlops.") else []


def test_airflow_finds_the_provider_by_its_entry_point() -> None:
    (found,) = [e for e in entry_points(group="apache_airflow_provider") if e.dist and e.dist.name == "airflow-mlops"]
    assert found.load()() == INFO


def test_it_is_what_airflows_schema_asks_for() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(INFO, schema)
    assert set(INFO) <= set(schema["properties"])


def test_every_name_in_it_can_be_imported() -> None:
    names = dotted(INFO)
    assert len(names) >= 12
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            assert import_object(name)


@pytest.mark.parametrize("layer", ["operators", "sensors", "triggers", "hooks"])
def test_every_module_of_a_layer_is_announced(layer: str) -> None:
    there = {m.name for m in pkgutil.iter_modules([str(ROOT / "airflow_mlops" / layer)])}
    announced = {name for entry in INFO[layer] for name in entry["python-modules"]}
    assert announced == {f"airflow_mlops.{layer}.{name}" for name in there - {"base", "connections", "store"}}


def test_the_version_of_every_option_is_not_newer_than_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    options = INFO["config"]["mlops"]["options"]
    for option in options.values():
        assert set(option) == {"description", "version_added", "type", "example", "default"}
        assert [int(part) for part in option["version_added"].split(".")] <= [int(p) for p in version.split(".")]


def test_airflows_own_command_shows_connection_links_and_decorators() -> None:
    command = [str(Path(sys.executable).with_name("airflow")), "providers", "get", "airflow-mlops", "--full"]
    answer = subprocess.run([*command, "--output", "json"], capture_output=True, text=True, check=True)
    (line,) = [line for line in answer.stdout.splitlines() if line.startswith("[{")]
    (shown,) = json.loads(line)
    for ours, theirs in zip(INFO["connection-types"], shown["connection-types"], strict=True):
        assert theirs["hook-class-name"] == ours["hook-class-name"]
        assert {name: field["label"] for name, field in theirs["conn-fields"].items()} == {
            name: field["label"] for name, field in ours["conn-fields"].items()
        }
    assert shown["extra-links"] == INFO["extra-links"]
    assert shown["task-decorators"] == INFO["task-decorators"]


def test_what_the_manager_of_a_running_airflow_knows() -> None:
    from airflow.providers_manager import ProvidersManager
    from airflow.sdk import task
    from airflow.sdk.configuration import conf
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    for kind, name in (("mlflow", "MLflow"), ("mlops_serving", "MLOps scoring server")):
        found = ProvidersManagerTaskRuntime().hooks[kind]
        assert found is not None
        assert found.hook_name == name
    assert {"airflow_mlops.links.MlflowRunLink", "airflow_mlops.links.MlflowModelVersionLink"} <= set(
        ProvidersManager().extra_links_class_names
    )
    assert callable(task.prepare_data)
    assert callable(task.train_model)
    assert conf.get("mlops", "store") is not None


def test_the_wheel_holds_the_dags_the_projects_and_the_templates() -> None:
    """The build backend is not here: what it is told to pack is, and git ignores none of it."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["airflow_mlops"]
    assert wheel["force-include"] == {"dags": "airflow_mlops/dags"}
    needed = [
        "dags/backtest.py",
        "dags/continuous_training.py",
        "dags/.airflowignore",
        "dags/projects/__init__.py",
        *(
            f"dags/projects/{name}{end}"
            for name in ("flight_delays", "arrival_delay")
            for end in (".py", ".yaml", ".suite.yaml")
        ),
        "dags/projects/project.schema.json",
        "airflow_mlops/py.typed",
        *(
            f"airflow_mlops/reports/templates/{name}.html.j2"
            for name in ("base", "backtest", "drift", "evaluation", "validation")
        ),
    ]
    assert [path for path in needed if not (ROOT / path).is_file()] == []
    ignored = subprocess.run(["git", "-C", str(ROOT), "check-ignore", "--no-index", *needed], capture_output=True)
    assert ignored.stdout == b""


def test_the_package_says_which_version_it_is() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert getattr(airflow_mlops, "__version__", version) == version
