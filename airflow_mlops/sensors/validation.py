"""Wait until data has passed a suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.polling import AwaitedVerdict, Poll
from airflow_mlops.hooks.store import store_path
from airflow_mlops.sensors.base import PollingSensor
from airflow_mlops.triggers.validation import DataValidatedTrigger, look

if TYPE_CHECKING:
    from airflow.sdk import Context
    from upath import UPath


class DataValidatedSensor(PollingSensor):
    """Wait until a ``ValidateDataOperator`` somewhere has said that data passes a suite.

    Returns the verdict: ``snapshot_uri``, ``data_version``, ``suite``, ``success``, ``warnings``, ``summary``,
    ``report_uri`` and more. Data that the suite blocks fails the task, without a retry. Of several verdicts the last
    one counts.

    :param suite: name of the suite
    :param suite_version: this version of it alone
    :param suite_digest: or the beginning of its digest: exactly these checks
    :param data_version: the data
    :param snapshot: or the name of a snapshot
    :param as_of: and the instant that it is about
    :param store: where reports live; None for ``[mlops] store`` of Airflow's configuration
    """

    template_fields: Sequence[str] = (
        "suite", "suite_version", "suite_digest", "data_version", "snapshot", "as_of", "store",
    )  # fmt: skip

    def __init__(
        self,
        *,
        suite: str,
        suite_version: str | None = None,
        suite_digest: str | None = None,
        data_version: str | None = None,
        snapshot: str | None = None,
        as_of: str | None = None,
        store: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.suite = suite
        self.suite_version = suite_version
        self.suite_digest = suite_digest
        self.data_version = data_version
        self.snapshot = snapshot
        self.as_of = as_of
        self.store = store

    def look(self, context: Context) -> Poll:
        return look(self.store_path, self.awaited)

    def trigger(self, *, poke_interval: float, deadline: float) -> DataValidatedTrigger:
        return DataValidatedTrigger(
            store=str(self.store_path),
            awaited=asdict(self.awaited),
            poke_interval=poke_interval,
            deadline=deadline,
        )

    @cached_property
    def awaited(self) -> AwaitedVerdict:
        return AwaitedVerdict(
            suite=self.suite,
            suite_version=self.suite_version,
            suite_digest=self.suite_digest,
            data_version=self.data_version,
            name=self.snapshot,
            as_of=self.as_of,
        )

    @cached_property
    def store_path(self) -> UPath:
        return store_path(self.store)
