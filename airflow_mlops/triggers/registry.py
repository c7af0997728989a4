"""Wait for versions and aliases in the registry: for a deferred task, or for ever, as the watcher of an asset."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_mlops.core.polling import AwaitedAlias, AwaitedVersion, Poll, judge_alias, judge_versions
from airflow_mlops.core.tracking import Mlflow
from airflow_mlops.hooks.mlflow import MlflowHook
from airflow_mlops.triggers.base import STORED, Memory, PollingTrigger, told


class Clients:
    """The MLflow clients of this process: one for each connection, however many triggers look through it."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[Mlflow, int]] = {}
        self._lock = threading.Lock()

    def take(self, conn_id: str) -> Mlflow:
        """A client, which its taker gives back; it reads the connection, so it belongs in a thread.

        :raises MlopsError: there is no such connection, or it makes no client
        """
        with self._lock:
            client, takers = self._held.get(conn_id) or (MlflowHook(conn_id).client, 0)
            self._held[conn_id] = client, takers + 1
            return client

    def give_back(self, conn_id: str) -> None:
        """The last one to give it back closes it, so that a changed connection is read again."""
        with self._lock:
            client, takers = self._held.pop(conn_id)
            if takers > 1:
                self._held[conn_id] = client, takers - 1
            else:
                client.close()


CLIENTS = Clients()


def look(client: Mlflow, awaited: AwaitedVersion | AwaitedAlias) -> Poll:
    """One look at the registry."""
    if isinstance(awaited, AwaitedAlias):
        return judge_alias(client.registry.alias(awaited.model, awaited.alias), awaited)
    return judge_versions(client.registry.versions(awaited.model), awaited)


class _Through:
    """Looks through the shared client, which is taken at the first look; a look may still run when its trigger ends."""

    def __init__(self, conn_id: str) -> None:
        self.conn_id = conn_id
        self.client: Mlflow | None = None
        self._left = False
        self._lock = threading.Lock()

    def __call__(self, awaited: AwaitedVersion | AwaitedAlias) -> Poll:
        with self._lock:
            if self._left:
                return Poll("wait", "Nobody waits any more.")
            client = self.client = self.client or CLIENTS.take(self.conn_id)
        return look(client, awaited)

    def leave(self) -> None:
        with self._lock:
            if self.client is not None:
                CLIENTS.give_back(self.conn_id)
            self.client, self._left = None, True


class _RegistryTrigger(PollingTrigger):
    arguments: ClassVar[tuple[str, ...]] = ("awaited", "mlflow_conn_id")
    kind: ClassVar[type[AwaitedVersion | AwaitedAlias]]

    def __init__(self, *, awaited: Mapping[str, Any], mlflow_conn_id: str = "mlflow_default", **wait: Any) -> None:
        super().__init__(**wait)
        self.awaited = awaited
        self.mlflow_conn_id = mlflow_conn_id
        self._through = _Through(mlflow_conn_id)

    def look(self) -> Poll:
        return self._through(self.kind(**self.awaited))

    async def cleanup(self) -> None:
        await asyncio.to_thread(self._through.leave)


class ModelVersionTrigger(_RegistryTrigger):
    """Looks at a model until it has a new version or time is up.

    :param awaited: arguments of :class:`~airflow_mlops.core.polling.AwaitedVersion`
    :param mlflow_conn_id: Airflow connection to MLflow
    """

    kind = AwaitedVersion


class ModelAliasTrigger(_RegistryTrigger):
    """Looks at an alias until it points where it is waited for or time is up.

    :param awaited: arguments of :class:`~airflow_mlops.core.polling.AwaitedAlias`
    :param mlflow_conn_id: Airflow connection to MLflow
    """

    kind = AwaitedAlias


class _Watcher(BaseEventTrigger):
    """Fires for ever; what it has told is kept in the asset's state store, so that a restart goes on from there.

    It is written some seconds after the event, so that none is lost: a triggerer that dies in between tells it twice.
    Whatever goes wrong is logged, and it looks on.
    """

    def __init__(self, *, mlflow_conn_id: str, poke_interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.mlflow_conn_id = mlflow_conn_id
        self.poke_interval = poke_interval
        self._through = _Through(mlflow_conn_id)

    @property
    def begin(self) -> AwaitedVersion | AwaitedAlias:
        raise NotImplementedError

    def after(self, version: int) -> AwaitedVersion | AwaitedAlias:
        """What is waited for once a version was told."""
        raise NotImplementedError

    @property
    def key(self) -> str:
        """The name of what is remembered, which no other watcher of the asset has."""
        raise NotImplementedError

    async def run(self) -> AsyncIterator[TriggerEvent]:
        awaited = self.begin
        memory = Memory(self.asset_state_store, self.key, self.log)
        while not await memory.recalled():
            await asyncio.sleep(self.poke_interval)
        if memory.watermark is not None:
            awaited = self.after(memory.watermark)
        while True:
            poll = await asyncio.to_thread(told, lambda: self._through(awaited))  # noqa: B023
            (self.log.warning if poll.state == "failed" else self.log.info)(poll.reason)
            if poll.state == "done" and poll.found:
                yield TriggerEvent(dict(poll.found))  # type: ignore[no-untyped-call]
                memory.watermark = poll.found["version"]
                awaited = self.after(memory.watermark)
                await asyncio.sleep(STORED)
            await memory.keep()
            await asyncio.sleep(self.poke_interval)

    async def cleanup(self) -> None:
        await asyncio.to_thread(self._through.leave)


class ModelVersionEventTrigger(_Watcher):
    """Fires whenever a model has new versions: for the ``AssetWatcher`` of an asset.

    The payload has ``name``, ``version`` (the newest) and all new ``versions``.

    :param model: the registered model
    :param since: where to begin, the first time: versions above this one are new
    :param tags: that the versions carry
    :param mlflow_conn_id: Airflow connection to MLflow
    :param poke_interval: seconds between two looks
    """

    def __init__(
        self,
        *,
        model: str,
        since: int = 0,
        tags: Mapping[str, str] | None = None,
        mlflow_conn_id: str = "mlflow_default",
        poke_interval: float = 60,
    ) -> None:
        super().__init__(mlflow_conn_id=mlflow_conn_id, poke_interval=poke_interval)
        self.model = model
        self.since = since
        self.tags = tags

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("model", "since", "tags", "mlflow_conn_id", "poke_interval")
        return f"{type(self).__module__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    @property
    def begin(self) -> AwaitedVersion:
        return AwaitedVersion(self.model, self.since, dict(self.tags or {}))

    def after(self, version: int) -> AwaitedVersion:
        return AwaitedVersion(self.model, version, dict(self.tags or {}))

    @property
    def key(self) -> str:
        return f"versions_{self.model}"


class ModelAliasEventTrigger(_Watcher):
    """Fires whenever an alias of a model has moved: for the ``AssetWatcher`` of an asset.

    The payload has ``name``, ``alias`` and ``version``. It looks: of two moves between two looks the last one is told.

    :param model: the registered model
    :param alias: its alias
    :param mlflow_conn_id: Airflow connection to MLflow
    :param poke_interval: seconds between two looks
    """

    def __init__(
        self,
        *,
        model: str,
        alias: str = "champion",
        mlflow_conn_id: str = "mlflow_default",
        poke_interval: float = 60,
    ) -> None:
        super().__init__(mlflow_conn_id=mlflow_conn_id, poke_interval=poke_interval)
        self.model = model
        self.alias = alias

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("model", "alias", "mlflow_conn_id", "poke_interval")
        return f"{type(self).__module__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    @property
    def begin(self) -> AwaitedAlias:
        return AwaitedAlias(self.model, self.alias)

    def after(self, version: int) -> AwaitedAlias:
        return AwaitedAlias(self.model, self.alias, other_than=version)

    @property
    def key(self) -> str:
        return f"alias_{self.model}_{self.alias}"
