"""The names that we create: models, aliases, projects, snapshots."""

from __future__ import annotations

import re

from airflow_mlops.exceptions import ConfigurationError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)


def is_name(name: object) -> bool:
    """Whether it is a name that we give.

    >>> is_name("flight_delays"), is_name("another's model")
    (True, False)
    """
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check_name(name: object, what: str = "model") -> str:
    """Return the name, or say what is wrong with it.

    >>> check_name("flight_delays")
    'flight_delays'
    >>> check_name("../etc")
    Traceback (most recent call last):
    ...
    airflow_mlops.exceptions.ConfigurationError: Model name '../etc' is not allowed: use 1 to 128 ...
    """
    if not isinstance(name, str) or not is_name(name):
        raise ConfigurationError(
            f"{what.capitalize()} name {name!r} is not allowed: use 1 to 128 letters, digits, '.', '_' or '-', "
            "starting with a letter or a digit."
        )
    return name


def check_alias(alias: object) -> str:
    """Return the alias; MLflow keeps ``latest`` and ``v1``, ``v2`` … for itself.

    >>> check_alias("champion")
    'champion'
    """
    name = check_name(alias, "alias")
    if _RESERVED_ALIAS.fullmatch(name):
        raise ConfigurationError(f"Alias {name!r} is reserved by MLflow: choose a word such as 'champion'.")
    return name
