"""Suite files, read without losing a word of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml
from upath import UPath

from airflow_mlops.core.validation import Suite
from airflow_mlops.exceptions import SuiteError


def load_suite(path: UPath | str) -> Suite:
    """Read a suite from a JSON or YAML file."""
    try:
        file = UPath(path) if isinstance(path, str) else path
        return Suite.parse(_parse(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise SuiteError(f"Suite {path} cannot be read: {error.strerror or error}. Check the path.") from error
    except (yaml.YAMLError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SuiteError(f"Suite {path} is neither JSON nor YAML: {error}") from error
    except SuiteError as error:
        raise SuiteError(f"{error} ({path})") from error


def _parse(text: str) -> Any:
    # Not all JSON is YAML 1.1: it takes 1e5 for a text.
    if text.lstrip().startswith("{"):
        return json.loads(text, object_pairs_hook=_unique)
    return yaml.load(text, _Strict)  # noqa: S506 - a subclass of the safe loader


def _unique(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    """A mapping without repeated keys: both parsers keep the last one, and the checks of the first would be lost."""
    keys = [key for key, _ in pairs]
    repeated = [key for key in keys if keys.count(key) > 1]
    if repeated:
        raise SuiteError(f"Key {repeated[0]!r} stands twice in the same mapping: keep one.")
    return dict(pairs)


class _Strict(yaml.SafeLoader):
    """YAML without repeated keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        _unique([(key.value, None) for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
        return super().construct_mapping(node, deep)
