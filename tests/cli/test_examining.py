"""``doctor`` finds what is wrong, says what to do, and mends what it can."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from airflow_mlops.cli.main import main
from airflow_mlops.clients.mlflow import MlflowClient
from airflow_mlops.core import ledger, tags
from airflow_mlops.core.pins import Pin
from airflow_mlops.steps.promotion import promote
from airflow_mlops.testing.servers.process import free_port
from tests.cli.conftest import Reply, write_project

Call = Callable[..., Reply]


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    """A healthy folder of DAGs."""
    write_project(tmp_path / "dags", "beats")
    return tmp_path / "dags"


def codes(found: Reply, about: str = "") -> list[str]:
    return [finding["code"] for finding in found.data["findings"] if about in finding["subject"]]


def test_dags_and_projects(call: Call, dags: Path) -> None:
    assert codes(call("doctor", "--dags", str(dags), "--json"), "projects/") == []
    (dags / "bare.py").write_text(
        "from airflow.sdk import DAG\nfrom airflow_mlops.operators.gate import ModelGateOperator\n"
        'with DAG("bare", schedule="@daily"):\n    pass\n'
    )
    (dags / "other.py").write_text('from airflow.sdk import DAG\nDAG("not_ours", schedule="@daily")\n')
    (dags / "projects" / "beats.yaml").write_text("name: beats\n")
    found = call("doctor", "--dags", str(dags))
    assert found.code == 1
    assert "✗ bare.py:3\n" in found.out
    assert "schedule='@daily' gives data intervals of no width" in found.out
    assert "✗ projects/beats.yaml" in found.out
    assert "other.py" not in found.out
    assert max(map(len, found.out.splitlines())) <= 100


def test_a_bare_cron_is_fine_where_airflow_gives_it_intervals(
    call: Call, dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dags / "bare.py").write_text("import airflow_mlops\nDAG('bare', schedule='@daily')\n")
    assert "zero-width" in codes(call("doctor", "--dags", str(dags), "--json"))
    monkeypatch.setenv("AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS", "True")
    assert "zero-width" not in codes(call("doctor", "--dags", str(dags), "--json"))


@pytest.mark.parametrize("uri", ["./mlruns", "file:///mlruns", "sqlite:///mlflow.db"])
def test_a_store_that_is_no_server(call: Call, dags: Path, uri: str) -> None:
    found = call("doctor", "--dags", str(dags), "--json", uri=uri)
    assert (found.code, codes(found)) == (1, ["file-store"])


def test_a_server_that_is_away_is_told_in_time(call: Call, dags: Path) -> None:
    before = time.monotonic()
    found = call("doctor", "--dags", str(dags), uri=f"http://127.0.0.1:{free_port()}")
    assert time.monotonic() - before < 30
    assert found.code == 1
    assert "did not answer GET /version" in found.out
    assert found.out.endswith("1 thing is wrong.\n")


def test_credentials_in_plain_text(call: Call, dags: Path) -> None:
    port = free_port()
    found = call("doctor", "--dags", str(dags), "--json", uri=f"http://ann:secret@127.0.0.1:{port}")
    assert codes(found) == ["password-in-uri", "server"]
    assert "secret" not in found.out


def test_no_server_at_all(call: Call, dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    found = call("doctor", "--dags", str(dags), uri=None)
    assert "No tracking server is named" in found.out


def test_an_alias_that_somebody_moved_is_found_and_mended(
    call: Call, client: MlflowClient, model_name: str, dags: Path
) -> None:
    client.registry.ensure_model(model_name)
    for month in ("2026-08-01", "2026-09-01"):
        facts = {tags.AS_OF: month, tags.KEY: month}
        version = client.registry.create_version(model_name, "s3://bucket/model", None, facts)
        promote(client.registry, name=model_name, version=version.version, reason="better", actor="run")
    assert codes(call("doctor", "--dags", str(dags), "--json"), model_name) == []
    client.registry.set_alias(model_name, "champion", 1)
    found = call("doctor", "--dags", str(dags), "--json")
    assert codes(found, model_name) == ["champion"]
    mended = call("doctor", "--dags", str(dags), "--repair", "--actor", "ada", "--json")
    assert (model_name in mended.data["repaired"], codes(mended, model_name)) == (True, [])
    assert client.registry.alias(model_name, "champion") == 2
    # The ledger never said otherwise, so there is nothing to add.
    assert [entry.champion for entry in ledger.history(client.registry.model_tags(model_name))] == [1, 2]


def test_a_tag_that_somebody_wrote_by_hand_stops_neither_doctor_nor_the_other_models(
    call: Call, client: MlflowClient, model_name: str, dags: Path
) -> None:
    for name, key in ((f"a-{model_name}", tags.PINNED), (f"b-{model_name}", f"{tags.LEDGER}000001.x")):
        client.registry.ensure_model(name)
        client.registry.tag_model(name, tags.ALIAS, "champion")
        client.registry.tag_model(name, key, "three")
    found = call("doctor", "--dags", str(dags), "--json")
    assert [codes(found, f"{letter}-{model_name}") for letter in "ab"] == [["record"], ["record"]]
    refused = call("status", f"a-{model_name}")
    assert (refused.code, refused.err.startswith("airflow-mlops: The tag mlops.pinned holds no pin")) == (1, True)
    entry = ledger.LedgerEntry(1, "2026-10-02", None, None, tags.UNKNOWN, "ada", "by hand")
    client.registry.tag_model(f"a-{model_name}", tags.PINNED, Pin(None, "ada", "by hand", "2026-10-02").tag_value)
    client.registry.tag_model(f"b-{model_name}", f"{tags.LEDGER}000001.x", json.dumps(vars(entry)))
    assert codes(call("doctor", "--dags", str(dags), "--json"), model_name) == []


def test_a_terminal_without_our_signs(dags: Path) -> None:
    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with redirect_stdout(plain):
        assert main(["--tracking-uri", "./mlruns", "doctor", "--dags", str(dags)]) == 1
    assert plain.buffer.getvalue().startswith(b"? tracking URI\n")  # type: ignore[attr-defined]
