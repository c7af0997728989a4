"""Fifty versions come one after the other while sixteen clients ask on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.serving.conftest import Running, eventually, running
from tests.serving.models import Odd, Shelf

LOAD = Path(__file__).parents[2] / "bench" / "load.py"


def answered(server: Running) -> float:
    lines = server.http.get("/metrics").text.splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith('mlops_requests_total{status="200"}'))


def memory() -> int:
    """What this process and those of the models hold, shared pages once."""
    parent = psutil.Process()
    return sum(one.memory_full_info().pss for one in (parent, *parent.children(recursive=True)) if one.is_running())


@pytest.mark.integration
def test_no_request_fails_and_none_is_answered_by_two_versions(shelf: Shelf, tmp_path: Path) -> None:
    for number in range(1, 52):
        shelf.publish(Odd(value=number).fit(None), task="regression")
    shelf.set_alias("m", "champion", 1)
    (tmp_path / "bodies").write_text('{"instances":[[1,2,3,4,"a","b"]]}\n{"dataframe_records":[{"n0":2}]}')
    (tmp_path / "expected").write_text(json.dumps({str(number): [number, number] for number in range(1, 52)}))
    stop = tmp_path / "stop"
    with running(shelf, tmp_path / "keep") as server:
        assert server.ready()
        command = [sys.executable, LOAD, "--port", server.port, "--path", "/invocations", "--clients", 16, "--warm", 0]
        command += ["--bodies", tmp_path / "bodies", "--expected", tmp_path / "expected", "--until", stop]
        with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True) as load:
            try:
                assert eventually(lambda: answered(server) > 100)
                assert server.deploy(2).status_code == 200
                assert server.deploy(3).status_code == 200
                before = memory()
                for number in range(4, 52):
                    assert server.deploy(number).status_code == 200
                after = memory()
                while answered(server) < 20_000:
                    time.sleep(0.1)
                    assert load.poll() is None
            finally:
                stop.touch()
            told = json.loads(load.communicate(timeout=60)[0])
    assert told["failures"] == 0, told
    assert told["requests"] >= 20_000
    assert len(told["versions"]) == 51
    assert after < 1.1 * before
    assert len([path for path in (tmp_path / "keep").iterdir() if path.is_dir()]) == 2
