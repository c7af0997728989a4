"""Wait until data has passed a suite."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlops.clients.arrivals import list_files
from airflow_mlops.core.polling import AwaitedVerdict, Poll, judge_verdicts
from airflow_mlops.core.redaction import redact
from airflow_mlops.core.validation.verdict import Verdict
from airflow_mlops.exceptions import DataError, ServiceUnavailable
from airflow_mlops.hooks.store import store_path
from airflow_mlops.triggers.base import PollingTrigger

if TYPE_CHECKING:
    from upath import UPath


class DataValidatedTrigger(PollingTrigger):
    """Looks into the store until a suite has spoken about some data, or time is up.

    :param store: URI of the store
    :param awaited: arguments of :class:`~airflow_mlops.core.polling.AwaitedVerdict`
    """

    arguments: ClassVar[tuple[str, ...]] = ("store", "awaited")

    def __init__(self, *, store: str, awaited: Mapping[str, Any], **wait: Any) -> None:
        super().__init__(**wait)
        self.store = store
        self.awaited = awaited

    def look(self) -> Poll:
        return look(store_path(self.store), AwaitedVerdict(**self.awaited))


def look(store: UPath, awaited: AwaitedVerdict) -> Poll:
    """One look at the verdicts on some data; it waits for answers."""
    return judge_verdicts(_verdicts(store / awaited.folder), awaited)


def _verdicts(folder: UPath) -> Iterator[Verdict]:
    for file in list_files(folder):
        if file.name.endswith(".json") and not file.name.startswith("."):
            path = folder / file.name
            try:
                yield Verdict.from_json(json.loads(path.read_text()))
            except OSError as error:
                raise ServiceUnavailable(f"{path} cannot be read: {redact(error)}.") from None
            except ValueError as error:
                raise DataError(f"{path} is not the verdict of a validation: {error}") from error
