"""What the sensors share: one look in a worker, the others there or in the triggerer, and what they mean to Airflow."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue, conf
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout

from airflow_mlops.core.polling import Poll
from airflow_mlops.triggers.base import PollingTrigger, told

if TYPE_CHECKING:
    from airflow.sdk import Context


class PollingSensor(BaseSensorOperator):
    """Waits by looking: subclasses implement :meth:`look` and :meth:`trigger`.

    What no patience helps fails the task without a retry. ``timeout`` and ``poke_interval`` hold in both modes,
    ``exponential_backoff`` in a worker only.

    :param deferrable: wait in the triggerer, without a worker's slot; else as ``[operators] default_deferrable`` says
    """

    ui_color = "#e4f2ef"

    def __init__(
        self,
        *,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable

    def look(self, context: Context) -> Poll:
        """One look, in this process."""
        raise NotImplementedError

    def trigger(self, *, poke_interval: float, deadline: float) -> PollingTrigger:
        """What looks in the triggerer."""
        raise NotImplementedError

    def poke(self, context: Context) -> PokeReturnValue:
        """One look; a deferrable sensor leaves the others to the triggerer."""
        outcome = self._told(told(lambda: self.look(context)))
        if self.deferrable and not outcome.is_done:
            self.defer(
                trigger=self.trigger(poke_interval=self.poke_interval, deadline=time.time() + self.timeout),
                method_name="execute_complete",
                timeout=timedelta(seconds=self.timeout),
            )
        return outcome

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        return self._told(Poll.from_json(event)).xcom_value

    def _told(self, poll: Poll) -> PokeReturnValue:
        """What a look means to Airflow."""
        self.log.info(poll.reason)
        self.run_url = (poll.found or {}).get("url", "")
        if poll.state == "failed":
            raise AirflowFailException(poll.reason)
        if poll.state == "timeout":
            raise AirflowSensorTimeout(poll.reason)
        return PokeReturnValue(poll.state == "done", dict(poll.found) if poll.found else None)
