"""Wait until drift lasts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_mlops.core.polling import AwaitedDrift, DriftWindow, Poll, judge_drift
from airflow_mlops.exceptions import ServiceUnavailable
from airflow_mlops.hooks.store import store_path
from airflow_mlops.triggers.base import PollingTrigger

#: Windows that are read beyond those that count: some could not tell.
_SPARE = 20


class DriftTrigger(PollingTrigger):
    """Looks at the verdicts of a check until its drift lasts or time is up.

    :param awaited: arguments of :class:`~airflow_mlops.core.polling.AwaitedDrift`
    :param store: where the reports live; None for ``[mlops] store`` of Airflow's configuration
    """

    arguments: ClassVar[tuple[str, ...]] = ("awaited", "store")

    def __init__(self, *, awaited: Mapping[str, Any], store: str | None, **wait: Any) -> None:
        super().__init__(**wait)
        self.awaited = awaited
        self.store = store

    def look(self) -> Poll:
        return look(self.store, AwaitedDrift(**self.awaited))


def look(store: str | None, awaited: AwaitedDrift) -> Poll:
    """One look at the verdicts in the store, those of the newest windows."""
    folder = store_path(store) / "reports" / "drift" / awaited.name
    try:
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        texts = [_text(folder / name / "verdict.json") for name in names[-awaited.n - _SPARE :]]
    except OSError as error:
        raise ServiceUnavailable(f"The verdicts at {folder} cannot be read: {error}.") from error
    return judge_drift([DriftWindow.from_json(json.loads(text)) for text in texts if text], awaited)


def _text(path: Any) -> str:
    """A verdict; empty while its check is still running."""
    try:
        return str(path.read_text())
    except FileNotFoundError:
        return ""
