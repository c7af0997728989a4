"""What outlives a restart, an outage and the death of a model's process."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_mlops.core.packages import MODEL_FILE
from airflow_mlops.serving import lanes
from airflow_mlops.serving.keeping import STATE, State, read_state, write_state
from tests.serving.conftest import Running, eventually, running
from tests.serving.models import Odd, Shelf

ROW = [{"n0": 1.0}]


def odd(shelf: Shelf, how: str = "fine", value: float = 0.0) -> int:
    return shelf.publish(Odd(how, value).fit(None), task="regression")


def test_the_last_good_copy_serves_when_the_registry_is_away(shelf: Shelf, tmp_path: Path) -> None:
    shelf.set_alias("m", "champion", odd(shelf, value=1))
    candidate = odd(shelf, value=2)
    keep = tmp_path / "keep"
    with running(shelf, keep) as server:
        assert server.ready()
        assert server.deploy(candidate, mode="canary", share=0.25).status_code == 200
    assert keep.stat().st_mode & 0o777 == 0o700
    shelf.away(True)
    with running(shelf, keep) as server:
        assert server.ready()
        assert eventually(lambda: server.http.get("/version").json()["candidate"])
        told = server.http.get("/version").json()
        assert (told["champion"]["version"], told["candidate"]["share"]) == (1, 0.25)
        assert server.ask(ROW, **{"X-Request-Key": "x"}).status_code == 200
        assert eventually(lambda: server.http.get("/version").json()["last_error"])
        shelf.away(False)


def test_a_kept_copy_that_was_changed_is_not_served(shelf: Shelf, tmp_path: Path) -> None:
    shelf.set_alias("m", "champion", odd(shelf, value=1))
    keep = tmp_path / "keep"
    with running(shelf, keep) as server:
        assert server.ready()
    (folder,) = (path for path in keep.iterdir() if path.is_dir())
    file = folder / "model" / MODEL_FILE
    file.write_bytes(file.read_bytes() + b"\0")
    shelf.away(True)
    with running(shelf, keep) as server:
        assert eventually(lambda: server.http.get("/version").json()["last_error"])
        assert not server.ready(0.3)
        shelf.away(False)
        assert server.ready()  # fetched anew
        assert server.ask(ROW).json()["predictions"] == [1.0]


def test_the_state_is_read_with_care_and_old_copies_go(tmp_path: Path) -> None:
    for number in range(1, 6):
        folder = tmp_path / f"{number}-x"
        folder.mkdir()
        os.utime(folder, (number, number))
    (tmp_path / ".new-x").mkdir()
    write_state(tmp_path, State("m", "5-x", "1-x", "canary", 0.1))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".new-x", "1-x", "4-x", "5-x", STATE]
    assert read_state(tmp_path, "m") == State("m", "5-x", "1-x", "canary", 0.1)
    assert read_state(tmp_path, "other") is None
    for text in ("", "{", "[]", "{}", json.dumps({"model": "m", "champion": "gone"}), '{"unknown": 1}'):
        (tmp_path / STATE).write_text(text)
        assert read_state(tmp_path, "m") is None


def test_a_model_may_be_ready_before_the_server_looks(
    shelf: Shelf, serve: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = lanes._started

    def slow(*given: Any) -> Any:
        process = start(*given)
        time.sleep(2)
        return process

    shelf.set_alias("m", "champion", odd(shelf, value=1))
    server = serve()
    monkeypatch.setattr(lanes, "_started", slow)
    assert server.deploy(odd(shelf, value=2)).status_code == 200
    assert server.ask(ROW).json()["version"] == "2"


def test_a_model_whose_process_dies_is_brought_up_again(shelf: Shelf, serve: Callable[..., Running]) -> None:
    shelf.set_alias("m", "champion", odd(shelf, value=1))
    server = serve()
    pid = server.app.state.director.now.champion.lane._process.pid
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    with ThreadPoolExecutor(4) as pool:  # they wait for the new process
        answers = list(pool.map(lambda _: server.ask(ROW), range(8)))
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert answers[-1].status_code == 200
    assert eventually(lambda: server.http.get("/version").json()["last_error"])
    assert "process" in server.http.get("/version").json()["last_error"]["reason"]


def test_a_request_that_kills_its_process_kills_no_other(shelf: Shelf, serve: Callable[..., Running]) -> None:
    shelf.set_alias("m", "champion", odd(shelf, "exit", value=1))
    server = serve()
    assert server.ask([{"n0": 1e9}]).status_code == 503
    assert server.ask(ROW).json()["predictions"] == [1.0]


def test_a_canary_whose_process_dies_is_taken_back(shelf: Shelf, serve: Callable[..., Running]) -> None:
    shelf.set_alias("m", "champion", odd(shelf, value=1))
    server = serve()
    server.deploy(odd(shelf, "exit", value=2), mode="canary", share=1.0)
    assert server.ask([{"n0": 1e9}]).json()["version"] == "1"
    assert eventually(lambda: server.http.get("/version").json()["candidate"] is None)
    assert server.ask(ROW).json()["version"] == "1"


def test_who_waits_for_a_canary_that_dies_is_answered_by_the_champion(
    shelf: Shelf, serve: Callable[..., Running]
) -> None:
    shelf.set_alias("m", "champion", odd(shelf, value=1))
    server = serve(slowdown=1e6)  # the candidate takes 0.2 s for a row, and a minute for some
    server.deploy(odd(shelf, "hang", value=2), mode="canary", share=1.0)
    lane = server.app.state.director.now.candidate.lane
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(server.ask, [{"n0": 1e9}])]
        assert eventually(lambda: lane.depth == 1)
        answers += [pool.submit(server.ask, ROW) for _ in range(3)]
        assert eventually(lambda: lane.depth == 4)
        os.kill(lane._process.pid, signal.SIGKILL)
        begin = time.monotonic()
        assert [answer.result().json()["version"] for answer in answers] == ["1"] * 4
        assert time.monotonic() - begin < 15  # and not the 30 s that a model has to answer


def test_a_model_that_hangs_is_given_up(shelf: Shelf, serve: Callable[..., Running]) -> None:
    shelf.set_alias("m", "champion", odd(shelf, "hang", value=1))
    server = serve(limits={"answer_seconds": 2})
    answer = server.ask([{"n0": 1e9}])
    assert (answer.status_code, answer.json()["code"]) == (503, "timeout")
    assert eventually(lambda: server.ask(ROW).status_code == 200)


def test_no_process_is_left(shelf: Shelf, tmp_path: Path) -> None:
    shelf.set_alias("m", "champion", odd(shelf))
    with running(shelf, tmp_path / "keep") as server:
        assert server.ready()
        lane = server.app.state.director.now.champion.lane
    assert eventually(lambda: not lane._process.is_alive())


@pytest.mark.parametrize("name", ["../../etc", "/etc"])
def test_a_state_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path, name: str) -> None:
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep" / STATE).write_text(json.dumps({"model": "m", "champion": name}))
    assert read_state(tmp_path / "keep", "m") is None
