"""``airflow mlops``: the commands by Airflow's connections, as the provider announces them."""

from __future__ import annotations

import argparse
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from airflow_mlops.cli.definition import COMMANDS, Argument, Command

if TYPE_CHECKING:
    from airflow.cli.cli_config import ActionCommand, Arg, CLICommand  # noqa: TID251

_CONN_ID = Argument(
    ("--conn-id",), {"metavar": "ID", "default": "mlflow_default", "help": "connection of MLflow (mlflow_default)"}
)


def get_commands() -> list[CLICommand]:
    """The group ``mlops`` of Airflow's command line."""
    from airflow.cli.cli_config import GroupCommand  # noqa: TID251

    help_text = "Models in production: what stands where, and why"
    return [GroupCommand(name="mlops", help=help_text, subcommands=[_action(command) for command in COMMANDS])]


def _action(command: Command) -> ActionCommand:
    from airflow.cli.cli_config import ActionCommand  # noqa: TID251

    arguments = [_arg(argument) for argument in (*command.arguments, _CONN_ID)]
    return ActionCommand(name=command.name, help=command.help, func=partial(_run, command.run), args=arguments)


def _arg(argument: Argument) -> Arg:
    from airflow.cli.cli_config import Arg  # noqa: TID251

    return Arg(argument.flags, **argument.options)  # type: ignore[no-untyped-call]


def _run(path: str, arguments: argparse.Namespace) -> None:
    from airflow_mlops.cli.connections import AirflowConnections
    from airflow_mlops.cli.main import run

    with suppress(ImportError):  # as Airflow does for its commands with --output, from 3.3 on
        from airflow.cli.utils import redirect_stdout_log_handlers_to_stderr  # noqa: TID251

        redirect_stdout_log_handlers_to_stderr()
    raise SystemExit(run(path, AirflowConnections(arguments.conn_id), arguments))
