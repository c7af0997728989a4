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
