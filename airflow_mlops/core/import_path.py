"""Functions and classes that a project names by import path."""

from __future__ import annotations

import importlib
import re
from typing import Any

from airflow_mlops.exceptions import ConfigurationError


def import_object(path: str, what: str = "function") -> Any:
    """The object behind ``package.module.name`` or ``package.module:name``.

    >>> import_object("math.sqrt")(9.0)
    3.0
    """
    module_name, _, name = path.replace(":", ".").rpartition(".")
    if not module_name:
        raise ConfigurationError(f"{what.capitalize()} {path!r} is not an import path: write package.module.name.")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigurationError(
            f"{what.capitalize()} {path!r} cannot be imported ({error}): is its folder on the Python path?"
        ) from error
    try:
        return getattr(module, name)
    except AttributeError as error:
        raise ConfigurationError(f"Module {module_name} has no {name!r}: check the {what} {path!r}.") from error


#: Airflow imports a DAG file under this name and a hash of its path, which differs between machines.
_DAG_FILE = re.compile(r"^unusual_prefix_[0-9a-f]+_")


def call_path(function: Any) -> str:
    """How to name a callable in a record.

    >>> import json; call_path(json.dumps)
    'json.dumps'
    """
    return f"{_DAG_FILE.sub('', function.__module__)}.{function.__qualname__}"
