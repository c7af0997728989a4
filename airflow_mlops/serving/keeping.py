"""The last good copy on this machine: what served before a restart serves after it, with the registry or without."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from upath import UPath

from airflow_mlops.store.publish import publish_bytes

STATE: Final = "state.json"


@dataclass(frozen=True)
class State:
    """What serves, by the names of its folders.

    :param mode: of the candidate
    :param share: of the candidate
    """

    model: str
    champion: str
    candidate: str | None = None
    mode: str | None = None
    share: float = 0.0


def read_state(keep: Path, model: str) -> State | None:
    """What served last; None where nothing of this model did, or nobody can tell."""
    try:
        state = State(**json.loads((keep / STATE).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return state if state.model == model and (keep / os.path.basename(state.champion)).is_dir() else None


def write_state(keep: Path, state: State) -> None:
    """Whole or not at all; then copies that nothing names go, except the newest one beside them."""
    publish_bytes(UPath(keep / STATE), json.dumps(vars(state)).encode())
    named = {state.champion, state.candidate}
    others = [path for path in keep.iterdir() if path.is_dir() and path.name not in named and path.name[:1] != "."]
    for path in sorted(others, key=_modified)[:-1]:
        shutil.rmtree(path, ignore_errors=True)


def _modified(path: Path) -> Any:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
