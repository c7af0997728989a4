"""Server processes: started in a session of their own, logged to files, stopped with everything they started."""

from __future__ import annotations

import os
import pwd
import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import psutil

from airflow_mlops.exceptions import ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

LOOPBACK = "127.0.0.1"
#: Settings of the caller's shell that would change what our servers do.
_FOREIGN = ("AIRFLOW", "_AIRFLOW", "MLFLOW", "PG", "PYTHON", "VIRTUAL_ENV", "CONDA")


def clean_environment() -> dict[str, str]:
    """The caller's environment without foreign settings; requests to loopback never go through a proxy."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    no_proxy = ",".join(filter(None, (kept.get("no_proxy") or kept.get("NO_PROXY"), LOOPBACK, "localhost")))
    return {**kept, "no_proxy": no_proxy, "NO_PROXY": no_proxy, "PYTHONUNBUFFERED": "1"}


def free_port() -> int:
    """A loopback port nobody listens on.

    Taken from below the range that outgoing connections use: between now and the server's start a port from there
    (what binding to port 0 gives) can be taken by any request of any process.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    raise ServiceUnavailable("No free port between 20000 and 32000: stop some servers.")


class Server(ABC):
    """Something that runs between ``start`` and ``stop``, or as a context; of one process or more."""

    processes: Sequence[ServerProcess] = ()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @abstractmethod
    def start(self) -> None:
        """Start it and return once it is healthy; raise with the end of its log if it does not get there."""

    @abstractmethod
    def stop(self) -> None:
        """End it, started or not, and leave no process behind."""


def run_as(user: str | None) -> dict[str, Any]:
    """What ``subprocess`` takes to run a command as another user."""
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}


class ServerProcess:
    """A command that runs until it is stopped."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.env = dict(env)
        self.user = user
        self.stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                env=self.env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **run_as(self.user),
            )

    @property
    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def terminate(self) -> None:
        """Ask the session to end, without waiting."""
        for process in self.members():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(self.stop_signal)

    def stop(self, seconds: float = 10) -> None:
        """End the session: politely, then by force after ``seconds``."""
        self.terminate()
        deadline = time.monotonic() + seconds
        while self.members() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.kill()

    def kill(self) -> None:
        """End the session at once, as the system does when memory runs out; ``start`` starts it again."""
        while left := self.members():
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.1)
        if self._process:
            self._process.wait()

    def members(self) -> list[psutil.Process]:
        """The server's living processes, the first one included."""
        return session_members(self._process.pid) if self._process else []

    def log_tail(self, lines: int = 30) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def session_members(leader: int) -> list[psutil.Process]:
    """The living processes of a session: Airflow's tasks leave the process group, but not the session."""
    members = []
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(pid) == leader and (process := psutil.Process(pid)).status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def wait_until(healthy: Callable[[], bool], servers: Sequence[ServerProcess], seconds: float) -> None:
    """Return once the servers are healthy; raise with the end of the log if one dies or time runs out."""
    deadline = time.monotonic() + seconds
    while not healthy():
        for server in servers:
            if server.exit_code is not None:
                raise ServiceUnavailable(_report(server, f"ended with exit code {server.exit_code} during its start"))
        if time.monotonic() > deadline:
            raise ServiceUnavailable("\n".join(_report(s, f"is not healthy after {seconds:.0f} s") for s in servers))
        time.sleep(0.1)


def _report(server: ServerProcess, what: str) -> str:
    return f"{server.name} {what}. The end of {server.log}:\n{server.log_tail()}"
