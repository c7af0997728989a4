"""The commands and their arguments, once for both ways in; Airflow reads this whenever it starts, so it stays light."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import ConfigurationError


@dataclass(frozen=True)
class Argument:
    """One argument, as argparse takes it."""

    flags: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Command:
    """One command.

    :param run: module below ``airflow_mlops.cli`` and function, imported when the command is called
    """

    name: str
    help: str
    run: str
    arguments: tuple[Argument, ...]


def date(text: str) -> datetime:
    """An instant from the command line; a wrong one is wrong usage."""
    try:
        return instant(text, "the date")
    except ConfigurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def seconds(text: str) -> float:
    """A span in seconds from 0 on."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return found


def _argument(*flags: str, **options: Any) -> Argument:
    return Argument(flags, options)


_NAME = _argument("name", metavar="NAME", help="registered model")
_JSON = _argument("--json", action="store_true", help="print JSON")
_REASON = _argument("--reason", required=True, help="why; it goes to the ledger")
_ACTOR = _argument("--actor", help="who, for the ledger (default: user@host)")
_ALIAS = _argument("--alias", default="champion", help="alias of the version in production (default: champion)")
_FROM = _argument("--from", dest="start", metavar="DATE", type=date, help="first date")
_TO = _argument("--to", dest="end", metavar="DATE", type=date, help="last date")
_PROJECT = _argument("project", metavar="PROJECT|DAG", help="project file, or the name of a project or its DAG")
_STORE = _argument("--store", metavar="URI", required=True, help="folder or URI of the store")
_DAGS = _argument("--dags", metavar="FOLDER", help="folder of the DAGs (default: ./dags, else that of Airflow)")
_WRITES = (_REASON, _ACTOR, _ALIAS, _JSON)


def _required(argument: Argument) -> Argument:
    return Argument(argument.flags, {**argument.options, "required": True})


COMMANDS = (
    Command(
        "status",
        "What is in production since when, and what became of the newest models",
        "reading.status",
        (
            _argument("name", metavar="NAME", nargs="?", help="registered model (default: a line for each)"),
            _argument("--limit", type=positive, default=10, help="models to show, the newest as-of first"),
            _JSON,
        ),
    ),
    Command("history", "The ledger: every change of the champion, who and why", "reading.history", (_NAME, _JSON)),
    Command(
        "in-force",
        "Which version was in production at an instant",
        "reading.in_force",
        (_NAME, _argument("--at", metavar="DATE", type=date, required=True, help="such as 2026-10-15"), _JSON),
    ),
    Command(
        "best",
        "The best model by a metric between two as-of dates, and what made it",
        "reading.best",
        (
            _NAME,
            _argument("--metric", required=True, help="such as roc_auc"),
            _FROM,
            _TO,
            _argument("--registered", action="store_true", help="leave historical and refused models aside"),
            _JSON,
        ),
    ),
    Command(
        "compare",
        "Two models side by side; a * marks what differs",
        "reading.compare",
        (
            _NAME,
            _argument("a", metavar="A", help="version number, champion, or model id"),
            _argument("b", metavar="B", help="version number, champion, or model id"),
            _JSON,
        ),
    ),
    Command(
        "rollback",
        "Go back to an earlier version; those above it are retracted and never return by themselves",
        "writing.rollback",
        (
            _NAME,
            _argument("--to", default="previous", help="previous, a version number, or a date (default: previous)"),
            *_WRITES,
        ),
    ),
    Command(
        "promote",
        "Send a version or a historical model through the gate, and into production if it is the newest",
        "writing.promote",
        (
            _NAME,
            _argument("chosen", metavar="VERSION|MODEL", help="version number, or model id (m-…)"),
            _argument("--project", metavar="FILE", help="project file: its evaluation, gate and trusted classes count"),
            _DAGS,
            *_WRITES,
        ),
    ),
    Command(
        "pin",
        "Make a version champion by a person's word, until it is unpinned",
        "writing.pin",
        (_NAME, _argument("version", metavar="VERSION", type=positive, help="version number"), *_WRITES),
    ),
    Command("unpin", "Lift the pin: the newest approved version is champion again", "writing.unpin", (_NAME, *_WRITES)),
    Command(
        "doctor",
        "What is wrong with this set-up, and what to do about it",
        "examining.doctor",
        (
            _DAGS,
            _argument("--repair", action="store_true", help="reconcile models whose alias or ledger is wrong"),
            _ACTOR,
            _JSON,
        ),
    ),
    Command(
        "snapshots",
        "Snapshots of a name in a store, the newest as-of first, or the one of a data version",
        "storing.snapshots",
        (
            _argument("name", metavar="NAME", help="of the snapshots, such as flights"),
            _STORE,
            _argument("--data-version", metavar="HASH", help="its first 8 digits or more"),
            _argument("--verify", action="store_true", help="hash the rows of each again"),
            _JSON,
        ),
    ),
    Command(
        "gc",
        "Which snapshots no model names any more; removes them only with --delete",
        "storing.collect",
        (
            _STORE,
            _argument("--keep", metavar="SPAN", default="90d", help="of what no version names (default: 90d)"),
            _argument("--grace", metavar="SPAN", default="2d", help="for writers at work (default: 2d)"),
            _argument("--orphans", action="store_true", help="go on although no model names a snapshot of the store"),
            _argument("--delete", action="store_true", help="remove them; without it nothing is changed"),
            _JSON,
        ),
    ),
    Command(
        "backfill-plan",
        "What a backfill would do, date by date, before anything runs",
        "planning.backfill_plan",
        (
            _PROJECT,
            _required(_FROM),
            _required(_TO),
            _argument("--max-active-runs", type=positive, default=1, help="runs at once, for the time (default: 1)"),
            _argument("--no-rows", action="store_true", help="do not read the sources to count rows"),
            _DAGS,
            _JSON,
        ),
    ),
    Command(
        "explain-window",
        "Which rows a run of one date may use, in words",
        "planning.explain_window",
        (_PROJECT, _argument("--at", metavar="DATE", type=date, required=True, help="date of the run"), _DAGS, _JSON),
    ),
)

#: Commands of a shell alone: the server runs on machines where Airflow does not.
SHELL_COMMANDS = (
    Command(
        "serve",
        "Serve a model over HTTP, and follow its alias",
        "serving.serve",
        (
            _argument("model", metavar="MODEL", help="models:/NAME@champion, or models:/NAME/3"),
            _argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)"),
            _argument("--port", type=int, default=8080, help="port to listen on (default: 8080)"),
            _argument(
                "--keep", metavar="FOLDER", help="of the last good copy (default: ~/.airflow-mlops/serving/NAME)"
            ),
            _argument(
                "--trusted",
                metavar="CLASS",
                action="append",
                default=[],
                help="class of your own, package.module.Class",
            ),
            _argument("--token-file", metavar="FILE", help="holds the token of /deploy; without it nobody may deploy"),
            _argument("--closed", action="store_true", help="ask for the token everywhere but at /health and /ready"),
            _argument(
                "--follow", metavar="SECONDS", type=seconds, default=10, help="look at the alias this often (0: once)"
            ),
            _argument(
                "--deployed-only", action="store_true", help="serve what /deploy brings, and never look at the alias"
            ),
            _argument("--ignore-extra", action="store_true", help="ignore columns that the model does not take"),
            _argument("--log", metavar="URI", help="folder or URI of the prediction log (default: none)"),
            _argument(
                "--hash", metavar="COLUMN", action="append", default=[], help="sensitive column to log as a keyed hash"
            ),
            _argument("--hash-key-file", metavar="FILE", help="holds the key of these hashes"),
            _argument("--threads", type=positive, default=1, help="of one prediction (default: 1)"),
            _argument(
                "--load-seconds", metavar="SECONDS", type=seconds, default=120, help="to bring a version up (120)"
            ),
            _argument(
                "--slowdown", type=seconds, default=5, help="how many times slower a version may be (default: 5)"
            ),
            _argument(
                "--max-body", metavar="BYTES", type=positive, default=4 << 20, help="of a request (default: 4 MB)"
            ),
            _argument("--max-rows", metavar="N", type=positive, default=10_000, help="of a request (default: 10000)"),
            _argument("--max-waiting", metavar="N", type=positive, default=256, help="requests at once (default: 256)"),
            _JSON,
        ),
    ),
)
