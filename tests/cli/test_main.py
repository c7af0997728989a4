"""Both ways in: a process of its own, and Airflow's command line."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_mlops.cli.connections import ShellConnections
from airflow_mlops.cli.definition import COMMANDS
from airflow_mlops.cli.provider import get_commands
from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.exceptions import ConfigurationError
from tests.cli.conftest import Reply, Shelf

Call = Callable[..., Reply]


def test_as_a_process_with_the_server_from_the_environment(shelf: Shelf, mlflow_uri: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "airflow_mlops.cli", "status", shelf.name],
        env={**os.environ, "MLFLOW_TRACKING_URI": mlflow_uri},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.startswith(f"{shelf.name}: version 2 is champion since")
    assert answer.stderr == ""


def test_airflow_has_the_same_commands_by_its_connections(shelf: Shelf, mlflow_uri: str, tmp_path: Path) -> None:
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW__")},
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW_CONN_MODELS": json.dumps({"conn_type": "mlflow", "host": mlflow_uri}),
    }
    answer = subprocess.run(
        [sys.executable, "-m", "airflow", "mlops", "status", shelf.name, "--conn-id", "models", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["champion"] == 2


def test_the_provider_announces_each_command_with_its_arguments() -> None:
    (group,) = get_commands()
    found = {action.name: {flag for arg in action.args for flag in arg.flags} for action in group.subcommands}
    assert list(found) == [command.name for command in COMMANDS]
    for command in COMMANDS:
        assert found[command.name] == {flag for a in command.arguments for flag in a.flags} | {"--conn-id"}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["in-force", "m"],
        ["in-force", "m", "--at", "yesterday"],
        ["rollback", "m"],
        ["pin", "m", "latest", "--reason", "no"],
        ["status", "--limit", "0"],
    ],
)
def test_wrong_usage_is_two(call: Call, arguments: list[str]) -> None:
    found = call(*arguments)
    assert (found.code, found.out) == (2, "")
    assert "usage: airflow-mlops" in found.err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help(call: Call, command: object) -> None:
    found = call(command.name, "--help")  # type: ignore[attr-defined]
    assert (found.code, "--json" in found.out) == (0, True)


def test_a_tracking_uri_that_is_no_server_is_one_line(call: Call) -> None:
    found = call("status", uri="./mlruns")
    assert (found.code, found.out, found.err.count("\n")) == (1, "", 1)
    assert "write http://host:5000" in found.err


def sent(environment: dict[str, str]) -> str | None:
    """The header that a server would see."""
    client = ShellConnections("http://mlflow:5000", environment).client
    assert isinstance(client, MlflowClient)
    with client:
        settings = client.settings
    if settings.auth:
        return f"Basic {base64.b64encode(':'.join(settings.auth).encode()).decode()}"
    return f"Bearer {settings.token}" if settings.token else None


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"MLFLOW_TRACKING_TOKEN": "t"},
        {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "secret", "MLFLOW_TRACKING_TOKEN": "t"},
        {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_TOKEN": "t"},
    ],
)
@pytest.mark.parametrize("file", ["", "[mlflow]\nmlflow_tracking_username = kept\nmlflow_tracking_password = pass\n"])
def test_credentials_are_read_as_mlflow_reads_them(
    given: dict[str, str], file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.utils.credentials import get_default_host_creds

    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text(file)
    theirs = get_default_host_creds("http://mlflow:5000")
    basic = f"{theirs.username}:{theirs.password}" if theirs.username and theirs.password else None
    expected = f"Basic {base64.b64encode(basic.encode()).decode()}" if basic else None
    assert sent(given) == (expected or (f"Bearer {theirs.token}" if theirs.token else None))


def test_certificates_are_read_as_mlflow_reads_them() -> None:
    def verify(**environment: str) -> bool | str:
        client = ShellConnections("https://mlflow", {**environment}).client
        assert isinstance(client, MlflowClient)
        return client.settings.verify

    assert verify() is True
    assert verify(MLFLOW_TRACKING_INSECURE_TLS="true") is False


def test_no_address_is_an_error_that_says_where_to_give_one() -> None:
    with pytest.raises(ConfigurationError, match="set MLFLOW_TRACKING_URI"):
        _ = ShellConnections(None, {}).client
