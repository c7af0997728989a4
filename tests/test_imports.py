"""Every task parses its DAG file again, so what an import costs is paid for each task."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import pytest

import airflow_mlops

HEAVY = {
    "boto3", "duckdb", "fairlearn", "great_expectations", "mlflow", "numpy", "pandas", "polars", "pyarrow", "pyspark",
    "requests", "scipy", "skops", "sklearn",
}  # fmt: skip
WITHOUT_AIRFLOW = ("exceptions", "preload", "core", "clients", "store", "reports", "steps", "serving")
WITH_AIRFLOW = ("hooks", "operators", "sensors", "triggers", "decorators", "notifications", "links", "plugins")


def modules(*layers: str) -> list[str]:
    names = [m.name for m in pkgutil.walk_packages(airflow_mlops.__path__, "airflow_mlops.")]
    return [name for name in names if name.split(".")[1] in layers]


def loaded_by(names: list[str], before: str = "") -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after importing these modules."""
    program = f"import sys, json, importlib\n{before}\nknown = set(sys.modules)\n"
    program += f"for name in {names!r}: importlib.import_module(name)\n"
    program += "print(json.dumps(sorted({m.partition('.')[0] for m in set(sys.modules) - known})))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(answer.stdout.splitlines()[-1]))


def test_operators_hooks_and_decorators_load_no_heavy_library() -> None:
    names = modules(*WITH_AIRFLOW)
    assert {f"airflow_mlops.{layer}.training" for layer in ("operators", "sensors", "triggers")} <= set(names)
    assert not loaded_by(names, before="import airflow.sdk") & HEAVY


def test_the_lower_half_runs_without_airflow_and_imports_lightly() -> None:
    names = modules(*WITHOUT_AIRFLOW)
    assert "airflow_mlops.steps.training" in names
    assert not loaded_by(names) & (HEAVY | {"airflow"})


def test_the_command_line_is_light_until_a_command_runs() -> None:
    """Airflow reads the commands of its providers whenever it starts."""
    definition = ["airflow_mlops.cli.definition", "airflow_mlops.cli.provider"]
    assert not loaded_by(definition) & (HEAVY | {"airflow", "httpx", "pydantic", "yaml"})
    assert not loaded_by(modules("cli")) & (HEAVY | {"airflow"})


def test_provider_info_imports_nothing_of_ours() -> None:
    """Every component of Airflow and every CLI call reads it."""
    program = "import sys, airflow_mlops.get_provider_info as p; p.get_provider_info();"
    program += "print([m for m in sys.modules if m.startswith(('airflow_mlops.', 'airflow.'))])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "['airflow_mlops.get_provider_info']"


@pytest.mark.parametrize("name", modules(*WITHOUT_AIRFLOW, "cli", *WITH_AIRFLOW))
def test_every_module_imports_on_its_own(name: str) -> None:
    __import__(name)
