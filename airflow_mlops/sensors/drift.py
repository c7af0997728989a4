"""Wait until drift lasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_mlops.core.polling import AwaitedDrift, Poll
from airflow_mlops.sensors.base import PollingSensor
from airflow_mlops.triggers.drift import DriftTrigger, look

if TYPE_CHECKING:
    from typing import Any

    from airflow.sdk import Context


class DriftSensor(PollingSensor):
    """Wait until a drift check has found drift in ``k`` of its last ``n`` windows.

    One window in a hundred alarms by chance, two of three almost never. Returns ``name``, ``as_of``, ``severity``,
    ``summary`` and ``report_uri`` of the newest window that drifted, and the as-ofs of ``windows`` that did. Windows
    that had too few rows to tell do not count.

    :param name: of the check, as ``DriftCheckOperator`` has it
    :param k: so many windows
    :param n: of the last so many
    :param severity: ``small``, ``medium`` or ``large``: what counts as drift
    :param since: only windows with a later as-of count, such as the as-of of the last training; None for all
    :param store: where the reports live; None for ``[mlops] store`` of Airflow's configuration
    """

    template_fields: Sequence[str] = ("name", "k", "n", "severity", "since", "store")

    def __init__(
        self,
        *,
        name: str,
        k: int = 2,
        n: int = 3,
        severity: str = "medium",
        since: str | None = None,
        store: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.k = k
        self.n = n
        self.severity = severity
        self.since = since
        self.store = store

    def look(self, context: Context) -> Poll:
        return look(self.store, self.awaited)

    def trigger(self, *, poke_interval: float, deadline: float) -> DriftTrigger:
        return DriftTrigger(
            awaited=self.awaited.to_json(), store=self.store, poke_interval=poke_interval, deadline=deadline
        )

    @property
    def awaited(self) -> AwaitedDrift:
        since = "" if self.since in (None, "None") else str(self.since)  # nothing, once rendered, is the word None
        return AwaitedDrift(self.name, self.k, self.n, self.severity, since)  # type: ignore[arg-type]
