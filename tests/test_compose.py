"""docker-compose.yml and Dockerfile: closed to the network, no secret in a file, nobody is root."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
ONE_SHOT = {"secrets", "airflow-init"}
SECRET = re.compile(r"password|secret|fernet|token|_key", re.IGNORECASE)


def test_what_runs() -> None:
    airflow = {"airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}
    assert set(SERVICES) == airflow | ONE_SHOT | {"postgres", "mlflow", "serving"}
    assert set(OURS) == set(SERVICES) - {"postgres"}


def test_ports_are_open_to_this_machine_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"airflow-api-server", "mlflow", "serving"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_what_stays_up_tells_its_health(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_secrets_are_named_by_file_never_by_value(name: str) -> None:
    for key, value in SERVICES[name].get("environment", {}).items():
        if SECRET.search(key):
            assert key.endswith(("_CMD", "_FILE")), f"{key} holds its value"
            assert "/secrets/" in value
        assert not re.search(r"://[^/@]*:[^/@]+@", value), f"{key} has a password in its URL"


@pytest.mark.parametrize("name", OURS)
def test_our_services_can_gain_no_privilege(name: str) -> None:
    service = SERVICES[name]
    assert "user" not in service
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_images_are_pinned_and_ours_is_not_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    images = [SERVICES["postgres"]["image"], *re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)]
    assert all(re.search(r":\d+\.\d+(\.\d+)?-", image) for image in images), images
    assert re.findall(r"^USER (\S+)", dockerfile, re.MULTILINE)[-1] not in ("0", "root")
    assert dockerfile.count("uv sync --frozen") == 2
    uv = re.search(r"UV_VERSION := (\S+)", (ROOT / "Makefile").read_text())
    assert uv
    assert f"uv=={uv[1]}" in dockerfile


def test_what_the_image_copies_reaches_the_build() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for path in " ".join(copied).split():
        assert (ROOT / path).exists()
        assert any(Path(path).match(line.removeprefix("!")) for line in ignored if line.startswith("!")), path


def test_secrets_are_random_private_and_made_once(tmp_path: Path) -> None:
    def make(folder: Path) -> dict[str, str]:
        (folder / "database").mkdir(parents=True, exist_ok=True)
        (folder / "airflow").mkdir(exist_ok=True)
        (folder / "serving").mkdir(exist_ok=True)
        subprocess.run([sys.executable, ROOT / "docker/make_secrets.py", folder], check=True)
        return {path.name: path.read_text() for path in folder.glob("*/*")}

    first, again, other = make(tmp_path / "a"), make(tmp_path / "a"), make(tmp_path / "b")
    assert first == again
    assert not set(first.values()) & set(other.values())
    assert len(json.loads(first["passwords.json"])["admin"]) >= 16
    user = SERVICES["postgres"]["environment"]["POSTGRES_USER"]
    assert first["pgpass"].strip() == f"postgres:5432:*:{user}:{first['password']}"
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "a").glob("*/*")}
    assert {name for name, mode in modes.items() if mode != 0o600} == {"password"}


def test_airflow_and_the_scoring_server_share_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from airflow_mlops.hooks.serving import ServingHook

    (tmp_path / "token").write_text("shared\n")
    text = SERVICES["airflow-scheduler"]["environment"]["AIRFLOW_CONN_SERVING_DEFAULT"]
    file = json.loads(text)["extra"]["token_file"]
    assert f"--token-file={file}" in SERVICES["serving"]["command"]
    monkeypatch.setenv("AIRFLOW_CONN_SERVING_DEFAULT", text.replace(file, str(tmp_path / "token")))
    settings = ServingHook().client.settings
    assert (settings.uri, settings.token) == ("http://serving:8000", "shared")


def test_the_health_check_believes_only_a_healthy_answer(mlflow_uri: str) -> None:
    check = [sys.executable, str(ROOT / "docker/healthy.py")]
    assert subprocess.run([*check, f"{mlflow_uri}/health"], check=False).returncode == 0
    for wrong in (["http://127.0.0.1:9/health"], [f"{mlflow_uri}/no-such-page"], [f"{mlflow_uri}/health", "scheduler"]):
        assert subprocess.run([*check, *wrong], check=False, capture_output=True).returncode != 0


@pytest.mark.integration
def test_docker_compose_accepts_the_file() -> None:
    program = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    done = subprocess.run(
        [*program, "-f", ROOT / "docker-compose.yml", "config"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == set(SERVICES)
