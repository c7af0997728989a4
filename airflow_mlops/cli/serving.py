"""The command that serves a model until it is told to stop."""

from __future__ import annotations

import logging
import os
import sys
from argparse import Namespace
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops.cli.answers import Answer
from airflow_mlops.cli.connections import Connections, ShellConnections
from airflow_mlops.core.packages import ModelRef
from airflow_mlops.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_mlops.core.tracking import Mlflow


def serve(connections: Connections, arguments: Namespace) -> Answer:
    """Serve until a signal comes."""
    try:
        from airflow_mlops.serving.server import run
        from airflow_mlops.serving.settings import Limits, Settings
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{error.name} is not installed: pip install 'airflow-mlops[serving]'.") from error

    ref = ModelRef.parse(arguments.model)
    uri, _ = connections.address()
    if not uri:
        raise ConfigurationError("No tracking server is named: give --tracking-uri, or set MLFLOW_TRACKING_URI.")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = Settings(
        model=ref,
        connect=partial(client_of, uri, {k: v for k, v in os.environ.items() if k.startswith("MLFLOW_TRACKING")}),
        keep=Path(arguments.keep or f"~/.airflow-mlops/serving/{ref.name}").expanduser().absolute(),
        trusted=tuple(arguments.trusted),
        token=_secret(arguments.token_file),
        closed=arguments.closed,
        follow=arguments.follow if ref.alias else 0,
        deployed_only=arguments.deployed_only,
        extra="ignore" if arguments.ignore_extra else "refuse",
        log=str(connections.path(arguments.log)) if arguments.log else None,
        hashed=tuple(arguments.hash),
        hash_key=(_secret(arguments.hash_key_file) or "").encode() or None,
        load_seconds=arguments.load_seconds,
        slowdown=arguments.slowdown,
        threads=arguments.threads,
        limits=Limits(body=arguments.max_body, rows=arguments.max_rows, waiting=arguments.max_waiting),
    )
    try:
        run(settings, arguments.host, arguments.port)
    except SystemExit as error:  # uvicorn said why
        raise ConfigurationError(f"Cannot listen on {arguments.host}:{arguments.port}.") from error
    except KeyboardInterrupt:
        pass
    return Answer([f"{arguments.model} is served no more."], {"model": arguments.model})


def client_of(uri: str, environ: Mapping[str, str]) -> Mlflow:
    """A client of the registry, in whichever process it is needed."""
    return ShellConnections(uri, environ).client


def _secret(file: str | None) -> str | None:
    """What a file holds, which is never empty."""
    if file is None:
        return None
    text = Path(file).read_text().strip()
    if not text:
        raise ConfigurationError(f"{file} is empty: write a secret into it.")
    return text
