"""Batch scoring: rows of an interval, a file or a message through a registered model, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlops.core.packages import ModelRef
from airflow_mlops.core.run_types import historical
from airflow_mlops.core.scoring import Batch
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import ConfigurationError, NoVersion
from airflow_mlops.hooks.connections import find_connection
from airflow_mlops.hooks.store import object_path
from airflow_mlops.operators.base import MlopsOperator, as_of, may_be_absent, number, run_type
from airflow_mlops.operators.training import fair_threads
from airflow_mlops.steps.scoring import Keep, find_rows, score

if TYPE_CHECKING:
    from airflow.sdk import Context
    from upath import UPath


class BatchScoreOperator(MlopsOperator):
    """Score rows with a registered model, from Parquet to Parquet, in a memory that does not grow with the rows.

    The result is one file of the log of predictions. Its name is made of the model, the version, the interval and the
    data version, and it is there whole or not at all: a retry, or another copy of the task, adds nothing. A backfill
    asks the model that was in production at its as-of.

    Returns the manifest of the result (``rows``, ``model``, ``version``, ``digest``, ``data_version``, ``as_of`` …),
    its ``uri``, and whether it is ``new``.

    :param model: ``models:/NAME@champion`` or ``models:/NAME/3``
    :param rows: output of a snapshot task, URI of a snapshot, files such as ``/data/*.parquet``, or ``{"files": path}``
        with the ``format``, ``types`` and ``columns`` of such a source
    :param since: rows of a snapshot before this instant are not scored: the preparation needed them
    :param at: an instant: the version that was in production then, by the ledger; None for now, or for the as-of of a
        backfill
    :param interval: what the rows are about, where that is not the run's data interval: the same name again is the same
        batch, on whatever day
    :param message_id: id of the queue message that asks: whatever was scored for it counts
    :param keys: columns to pass through to the result, such as those that name what a row is about: a list, or
        ``{"id": "customer"}`` where one is to be called otherwise
    :param log_inputs: whether the result holds the model's inputs too
    :param hidden: inputs to leave out, beside those that were declared sensitive at training
    :param hashed: inputs and keys of which a keyed hash is kept
    :param hash_conn_id: Airflow connection whose password is the key of the hashes
    :param predictions: where the logs of predictions lie; None for ``predictions`` in the store
    :param as_of: the instant the run is about; None for the run's own
    :param trusted: importable classes of your own that the model file may hold
    :param if_absent: ``fail``, or ``skip`` the task where the model has no such alias yet
    :param threads: chunks that are predicted at a time, of which each takes a core; None for the cores divided by the
        tasks that may run at once (``[core] parallelism``), at least one: where few run, say the number of cores
    """

    template_fields: Sequence[str] = (
        *MlopsOperator.template_fields,
        "model", "rows", "since", "at", "interval", "message_id", "keys", "log_inputs", "hidden", "hashed",
        "hash_conn_id", "predictions", "as_of", "trusted", "if_absent", "threads",
    )  # fmt: skip
    template_fields_renderers: ClassVar[dict[str, str]] = {"rows": "json"}

    def __init__(
        self,
        *,
        model: str,
        rows: str | Mapping[str, Any],
        since: str | None = None,
        at: str | None = None,
        interval: str | None = None,
        message_id: str | None = None,
        keys: Sequence[str] | Mapping[str, str] | None = None,
        log_inputs: bool = True,
        hidden: Sequence[str] | None = None,
        hashed: Sequence[str] | None = None,
        hash_conn_id: str | None = None,
        predictions: str | None = None,
        as_of: str | None = None,
        trusted: list[str] | None = None,
        if_absent: str = "fail",
        threads: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.rows = rows
        self.since = since
        self.at = at
        self.interval = interval
        self.message_id = message_id
        self.keys = keys
        self.log_inputs = log_inputs
        self.hidden = hidden
        self.hashed = hashed
        self.hash_conn_id = hash_conn_id
        self.predictions = predictions
        self.as_of = as_of
        self.trusted = trusted
        self.if_absent = if_absent
        self.threads = threads

    def run_step(self, context: Context) -> dict[str, Any]:
        with may_be_absent(NoVersion, self.if_absent):
            found, path, new = score(
                self.client,
                self._batch(context),
                find_rows(self.rows, object_path, instant(str(self.since), "since") if _given(self.since) else None),
                self._root,
                keep=self._keep(),
                trusted=self.trusted or [],
                threads=number(self.threads, "threads") if _given(self.threads) else fair_threads(),
                budget=self.budget,
            )
        self.log.info(
            "%s rows by version %s of %s%s: %s",
            found.rows, found.version, found.model, "" if new else ", which were there already", path,
        )  # fmt: skip
        return {**found.to_json(), "uri": str(path), "new": new}

    def _batch(self, context: Context) -> Batch:
        moment, past = as_of(context, self.as_of), historical(run_type(context))
        at = instant(str(self.at), "at") if _given(self.at) else None
        if at is None and past and ModelRef.parse(self.model).alias:
            at = moment
        name = str(self.interval) if _given(self.interval) else None
        return Batch(
            ref=str(ModelRef.parse(self.model)),
            interval=name or self._interval(context, moment),
            as_of=moment.isoformat(),
            at=at.isoformat() if at else None,
            mode="backfill" if past or at else "batch",
            message_id=str(self.message_id) if _given(self.message_id) else None,
            named=name is not None,
        )

    def _interval(self, context: Context, moment: datetime) -> str:
        """What the rows of a run are about: from since, or from the begin of its data interval, to the as-of."""
        run: Any = context["dag_run"]
        start, end = getattr(run, "data_interval_start", None), getattr(run, "data_interval_end", None)
        if _given(self.since):
            start, end = instant(str(self.since), "since"), moment
        if not start or not end or not instant(start) < instant(end) == moment:
            return moment.isoformat()
        return f"{instant(start).isoformat()}/{moment.isoformat()}"

    @property
    def _root(self) -> UPath:
        return object_path(str(self.predictions)) if _given(self.predictions) else self.store_path / "predictions"

    def _keep(self) -> Keep:
        for name in ("keys", "hidden", "hashed"):
            if isinstance(getattr(self, name), str) and _given(getattr(self, name)):
                raise ConfigurationError(f"Scoring: {name} must be a list of columns, not {getattr(self, name)!r}.")
        hashed = tuple(_columns(self.hashed))
        if hashed and not _given(self.hash_conn_id):
            raise ConfigurationError(f"Scoring: {', '.join(hashed)} are to be hashed: name a hash_conn_id.")
        return Keep(
            keys=_columns(self.keys),
            inputs=str(self.log_inputs) == "True",  # text, once rendered
            hidden=tuple(_columns(self.hidden)),
            hashed=hashed,
            key=_secret(str(self.hash_conn_id)) if hashed else b"",
        )


def _given(value: Any) -> bool:
    """Whether there is a value; nothing, once rendered, is the word None."""
    return value not in (None, "", "None")


def _columns(given: Any) -> dict[str, str]:
    """Columns, and what each is called in the result."""
    if not _given(given):
        return {}
    return dict(given) if isinstance(given, Mapping) else {name: name for name in given}


def _secret(conn_id: str) -> bytes:
    return (find_connection(conn_id, "generic, with a password").password or "").encode()
