"""What a server is told when it starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops.core.packages import ModelRef
from airflow_mlops.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_mlops.core.tracking import Mlflow


@dataclass(frozen=True)
class Limits:
    """What one client may ask of the server; beyond it the answer is short and says what the limit is.

    :param body: bytes of a request's body
    :param rows: rows of a request
    :param explained: rows of a request that asks for explanations
    :param waiting: requests at once; more are told to come again
    :param connections: open connections; more are closed at once
    :param batch: rows that the model is given at once, from as many requests as wait
    :param copies: requests that wait for a shadow; more are not copied
    :param header_seconds: for the head of a request, from its first byte on; then the connection is closed
    :param body_seconds: for the body of a request
    :param idle_seconds: between two requests of a connection
    :param answer_seconds: for the model
    """

    body: int = 4 << 20
    rows: int = 10_000
    explained: int = 10
    waiting: int = 256
    connections: int = 1_000
    batch: int = 4_096
    copies: int = 64
    header_seconds: float = 10
    body_seconds: float = 30
    idle_seconds: float = 75
    answer_seconds: float = 30


@dataclass(frozen=True)
class Settings:
    """One server of one model.

    :param model: the version to serve, or the alias to serve what it points at
    :param connect: makes a client of the registry; it is sent to the processes of the models, so it can be pickled
    :param keep: folder for the last good copy, which is served when the registry is away
    :param trusted: classes of the project's own that the model file may hold
    :param token: what a caller of ``/deploy`` must bring; without one nobody may
    :param closed: whether predictions and everything but ``/health`` and ``/ready`` ask for the token too
    :param follow: seconds between two looks at the alias; 0 for none after the first
    :param deployed_only: serve what a call of ``/deploy`` brought, and never look at the alias
    :param extra: what to do with columns that the model does not take: ``refuse`` or ``ignore``
    :param log: folder or URI of the prediction log; None for none
    :param hashed: sensitive columns of which the log keeps a keyed hash; the others are left out
    :param hash_key: the key of these hashes
    :param load_seconds: for a version to be fetched, verified, loaded and warmed
    :param slowdown: how many times slower than the champion a version may be
    :param threads: of one prediction
    """

    model: ModelRef
    connect: Callable[[], Mlflow]
    keep: Path
    trusted: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    closed: bool = False
    follow: float = 0
    deployed_only: bool = False
    extra: str = "refuse"
    log: str | None = None
    hashed: tuple[str, ...] = ()
    hash_key: bytes | None = field(default=None, repr=False)
    load_seconds: float = 120
    slowdown: float = 5
    threads: int = 1
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.extra not in ("refuse", "ignore"):
            raise ConfigurationError(f"extra is {self.extra!r}: write refuse or ignore.")
        if self.deployed_only and not self.token:
            raise ConfigurationError("Nobody could deploy to this server: give it a token.")
        if self.closed and not self.token:
            raise ConfigurationError("A closed server needs a token: give one.")
