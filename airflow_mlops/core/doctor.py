"""What is wrong with a set-up, and what to do about it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from airflow_mlops.core.ledger import LedgerEntry
from airflow_mlops.core.pins import pinned
from airflow_mlops.core.promotion import rightful_champion
from airflow_mlops.core.registry import ModelVersion

#: The oldest server that this release is used with: before it logged models are not what a version points at.
FLOOR = (3, 11)
_CRON = re.compile(r"@(hourly|daily|weekly|monthly|quarterly|yearly|midnight|annually)|\S+( +\S+){4,5}")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    :param repairable: whether ``doctor --repair`` mends it
    """

    code: str
    subject: str
    problem: str
    remedy: str
    repairable: bool = False

    def to_json(self) -> dict[str, str | bool]:
        return asdict(self)


def check_uri(uri: str, *, credentials: bool = False) -> Iterator[Finding]:
    """Whether an address is that of a server, and keeps its secrets.

    :param credentials: whether a login or a token is sent, beside one in the address

    >>> [finding.code for finding in check_uri("./mlruns")]
    ['file-store']
    >>> [finding.code for finding in check_uri("http://ann:secret@mlflow.example.com:5000")]
    ['password-in-uri', 'plain-http']
    >>> list(check_uri("https://mlflow.example.com", credentials=True))
    []
    """
    if uri.split("://")[0] == "databricks":
        return
    try:
        url = urlsplit(uri)
    except ValueError:  # the client says so
        return
    if url.scheme not in ("http", "https"):
        kind = "a database" if "sql" in url.scheme else "a folder"
        yield Finding(
            "file-store",
            "tracking URI",
            f"it names {kind}, not a server: MLflow keeps no aliases or logged models for others there.",
            "start `mlflow server --backend-store-uri postgresql://…` (or sqlite:///…), and name its http:// address.",
        )
        return
    if url.password:
        yield Finding(
            "password-in-uri",
            "tracking URI",
            "it holds a password in plain text, which every process list and log may show.",
            "take it out: use the connection's fields, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.",
        )
    if url.scheme == "http" and (credentials or url.password) and not _loopback(url.hostname or ""):
        yield Finding(
            "plain-http",
            f"{url.hostname}",
            "credentials are sent over http, where everybody on the way can read them.",
            "put TLS before the server, and write https:// in the tracking URI.",
        )


def _loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def check_server(version: str) -> Iterator[Finding]:
    """Whether a server is new enough.

    >>> [finding.problem for finding in check_server("2.22.0")]
    ['its version is 2.22.0.']
    >>> list(check_server("3.17.2"))
    []
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < FLOOR:
        floor = ".".join(map(str, FLOOR))
        yield Finding("old-server", "MLflow server", f"its version is {version}.", f"upgrade it to {floor} or later.")


def check_packages(installed: Mapping[str, str]) -> Iterator[Finding]:
    """Whether a package is installed that breaks others.

    >>> [finding.code for finding in check_packages({"pytest-airflow": "0.0.3"})]
    ['pytest-airflow']
    """
    if version := installed.get("pytest-airflow"):
        yield Finding(
            "pytest-airflow",
            f"pytest-airflow {version}",
            "its plugin imports what pytest no longer has: every run of pytest stops at its start.",
            "pip uninstall pytest-airflow; airflow_mlops.testing has fixtures for tests of DAGs.",
        )


def check_dag_file(name: str, text: str) -> Iterator[Finding]:
    """Whether a DAG that uses us has intervals of no width, as every bare cron string gives.

    >>> text = "from airflow_mlops import x\\nwith DAG('d', schedule='@daily'): pass"
    >>> [(finding.subject, finding.problem[:23]) for finding in check_dag_file("dags/d.py", text)]
    [('dags/d.py:2', "schedule='@daily' gives")]
    >>> list(check_dag_file("dags/d.py", text.replace("'@daily'", "None")))
    []
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # a null byte is a ValueError until Python 3.12
        return
    if not any(module.split(".")[0] == "airflow_mlops" for module in _imports(tree)):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) in ("DAG", "dag"):
            for keyword in node.keywords:
                if keyword.arg == "schedule" and (told := _zero_width(keyword.value)):
                    yield Finding(
                        "zero-width",
                        f"{name}:{node.lineno}",
                        f"schedule={told} gives data intervals of no width: a run cannot say which period it is about.",
                        "write schedule=CronDataIntervalTimetable('0 0 * * *', timezone='UTC'), from airflow.sdk.",
                    )


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _zero_width(value: ast.expr) -> str | None:
    """The schedule as it is written, if it is a bare cron string, a bare span of time, or a trigger alone."""
    text = value.value if isinstance(value, ast.Constant) else None
    cron = isinstance(text, str) and _CRON.fullmatch(text.strip())
    span = isinstance(value, ast.Call) and _called(value) == "timedelta"
    trigger = (
        isinstance(value, ast.Call)
        and _called(value) in ("CronTriggerTimetable", "DeltaTriggerTimetable")
        and all(keyword.arg != "interval" for keyword in value.keywords)
    )
    return ast.unparse(value) if cron or span or trigger else None


def check_champion(
    name: str,
    alias: str,
    current: int | None,
    versions: Sequence[ModelVersion],
    model_tags: Mapping[str, str],
    entries: Sequence[LedgerEntry],
) -> Iterator[Finding]:
    """Whether alias, tags and ledger of a model agree.

    >>> one = ModelVersion("m", 1, "s", tags={"mlops.approved": "2026-10-01"})
    >>> [finding.problem for finding in check_champion("m", "champion", None, [one], {}, [])]
    ['alias champion points at no version, the champion by the tags is version 1.']
    """
    pin = pinned(model_tags)
    mend = "`doctor --repair` mends it; the next promotion, rollback or pin does too."
    if pin is not None and pin not in {version.version for version in versions if version.status == "READY"}:
        yield Finding(
            "pin", f"model {name}", f"version {pin} is pinned and is not there or not ready.",
            f"pin another version, or lift it: `unpin {name} --reason …`",
        )  # fmt: skip
        return
    best = rightful_champion(versions, pin)
    if best is None:
        if current is not None:
            yield Finding(
                "unapproved",
                f"model {name}",
                f"alias {alias} points at version {current}, and no version is approved: somebody set it by hand.",
                f"promote it through the gate: `promote {name} {current} --reason …`",
            )
        return
    if current != best.version:
        points = f"version {current}" if current else "no version"
        problem = f"alias {alias} points at {points}, the champion by the tags is version {best.version}."
        yield Finding("champion", f"model {name}", problem, mend, repairable=True)
    elif not entries or (entries[-1].champion, entries[-1].pinned) != (best.version, pin):
        last = f"version {entries[-1].champion}" if entries else "nothing"
        problem = f"the ledger ends at {last}, in production is version {best.version}."
        yield Finding("ledger", f"model {name}", problem, mend, repairable=True)
