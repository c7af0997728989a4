"""``airflow-mlops``: the commands by a tracking URI."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib import import_module

from airflow_mlops import __version__
from airflow_mlops.cli.answers import Answer
from airflow_mlops.cli.connections import Connections, ShellConnections
from airflow_mlops.cli.definition import COMMANDS, SHELL_COMMANDS
from airflow_mlops.exceptions import MlopsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 well, 1 refused or failed, 2 wrong usage."""
    parser = argparse.ArgumentParser("airflow-mlops", description="Models in production: what stands where, and why.")
    parser.add_argument("--version", action="version", version=__version__)
    _server(parser, None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in (*COMMANDS, *SHELL_COMMANDS):
        its = commands.add_parser(command.name, help=command.help, description=command.help)
        for argument in command.arguments:
            its.add_argument(*argument.flags, **argument.options)
        _server(its, argparse.SUPPRESS)
        its.set_defaults(run=command.run)
    chosen = parser.parse_args(arguments)
    return run(chosen.run, ShellConnections(chosen.tracking_uri, os.environ), chosen)


def run(path: str, connections: Connections, arguments: argparse.Namespace) -> int:
    """Call a command, print its answer, and say in one line what refused it."""
    module, function = path.split(".")
    try:
        # The answer alone is on stdout: Airflow logs there, and a project's functions may print.
        with redirect_stdout(sys.stderr):
            answer: Answer = getattr(import_module(f"airflow_mlops.cli.{module}"), function)(connections, arguments)
    except (MlopsError, OSError) as error:  # a file that nobody may read is no fault of ours
        sys.stderr.write(f"{connections.program}: {' '.join(str(error).split())}\n")
        return 1
    finally:
        connections.close()
    if isinstance(sys.stdout, io.TextIOWrapper):  # of a terminal that has no sign for some of ours
        sys.stdout.reconfigure(errors="replace")
    try:
        sys.stdout.write(f"{answer.render(arguments.json)}\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0 if answer.ok else 1


def _server(parser: argparse.ArgumentParser, default: str | None) -> None:
    """Before the command or after it: a default after it would undo what was said before."""
    text = "MLflow server, such as http://mlflow:5000 (default: MLFLOW_TRACKING_URI)"
    parser.add_argument("--tracking-uri", metavar="URI", default=default, help=text)
