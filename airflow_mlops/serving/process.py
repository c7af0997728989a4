"""The process of one model: it brings a version up, then answers batches until the server lets it go.

A process of its own, because loading 50 MB of trees, a prediction that runs wild and what a model leaves in memory then
stay away from the connections: the server's interpreter never waits, an old model's memory goes back as a whole, and
one that hangs or dies can be ended.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from airflow_mlops.core.redaction import redact
from airflow_mlops.exceptions import MlopsError, PredictionError
from airflow_mlops.serving.explanation import explain
from airflow_mlops.serving.frames import packed, receive
from airflow_mlops.serving.loading import Order, Ready, bring, warm_rows
from airflow_mlops.serving.values import Values, frame_of

if TYPE_CHECKING:
    from airflow_mlops.steps.packages import Predictions

#: What every model needs, imported once in the process that the others are forked from.
PRELOADED: Final = (
    "numpy", "orjson", "pandas", "pyarrow", "skops.io", "sklearn.compose", "sklearn.ensemble", "sklearn.impute",
    "sklearn.linear_model", "sklearn.pipeline", "sklearn.preprocessing", "sklearn.tree", "threadpoolctl", "yaml",
    "airflow_mlops.clients.mlflow", "airflow_mlops.serving.process",
)  # fmt: skip


def main(connection: socket.socket, order: Order) -> None:
    """Tell whether the version may serve, then serve it."""
    gc.freeze()  # what was imported before the fork stays shared: the collector would write on each of its pages
    for one in (signal.SIGINT, signal.SIGTERM):  # they are for the server, which ends us when all is answered
        signal.signal(one, signal.SIG_IGN)
    import orjson

    with suppress(BrokenPipeError, ConnectionResetError), connection:
        with ThreadPoolExecutor(1, initializer=_yield_to_others) as loader:
            found = loader.submit(_brought, order).result()
        gc.freeze()  # nor does it walk over the model again and again
        if isinstance(found, Ready):
            connection.sendall(packed(orjson.dumps({"ready": found.to_json()})))
            _serve(connection, found, order.threads)
        else:
            connection.sendall(packed(orjson.dumps(found)))


def _yield_to_others() -> None:
    """A thread of its own, for what was made less urgent may not become urgent again: what serves goes first."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def _brought(order: Order) -> Ready | dict[str, str]:
    from threadpoolctl import threadpool_limits

    try:
        with threadpool_limits(limits=order.threads):
            return bring(order)
    except MlopsError as error:
        return {"refused": type(error).__name__, "reason": str(error)}
    except Exception as error:  # whatever a model's own code may raise
        return {"refused": "PredictionError", "reason": f"Loading failed: {type(error).__name__}: {redact(error)}."}


def _serve(connection: socket.socket, ready: Ready, threads: int) -> None:
    from threadpoolctl import threadpool_limits

    answers = Answers(ready)
    with threadpool_limits(limits=threads):
        while (message := receive(connection)) is not None:
            connection.sendall(packed(answers.to(message)))


class Answers:
    """Answers to batches of one model."""

    def __init__(self, ready: Ready) -> None:
        self._model, self._typical = ready.model, ready.kept.typical
        self._columns = ready.model.package.columns

    def to(self, message: bytes) -> bytes:
        """The answer to a message of the server; each request of the batch gets its own part."""
        import orjson

        task, counts, values = pickle.loads(message)  # noqa: S301 - of the server alone, over a socket pair
        begin = time.perf_counter()
        parts = self._explanations(values) if task == "explain" else self._parts(counts, values)
        head = {"lengths": [len(part) for _, part in parts], "faults": [fault for fault, _ in parts]}
        head["milliseconds"] = (time.perf_counter() - begin) * 1000
        return orjson.dumps(head) + b"\n" + b"".join(part for _, part in parts)

    def _parts(self, counts: Sequence[int], values: Sequence[Values]) -> list[tuple[str | None, bytes]]:
        try:
            predictions = self._model.predict(frame_of(self._columns, values))
        except PredictionError:
            if len(counts) == 1:
                return [self._fault()]
            parts, low = [], 0
            for count in counts:  # one bad row does not fail its neighbours
                parts += self._parts([count], [its[low : low + count] for its in values])
                low += count
            return parts
        parts, low = [], 0
        for count in counts:
            parts.append((None, encoded(predictions, low, low + count)))
            low += count
        return parts

    def _explanations(self, values: Sequence[Values]) -> list[tuple[str | None, bytes]]:
        import orjson

        try:
            return [(None, orjson.dumps(explain(self._model, frame_of(self._columns, values), self._typical)))]
        except Exception:  # whatever a model's own code may raise
            return [self._fault()]

    def _fault(self) -> tuple[str, bytes]:
        """Whether the rows are to blame, or a model that cannot answer the rows of its warm-up any more."""
        try:
            self._model.predict(warm_rows(self._model.package, self._typical))
        except PredictionError:
            return "model", b""
        return "rows", b""


def encoded(predictions: Predictions, low: int, high: int) -> bytes:
    """The inside of a JSON object: predictions and scores of some rows."""
    import numpy as np
    import orjson

    values = predictions.values[low:high]
    scores = None if predictions.scores is None else np.ascontiguousarray(predictions.scores[low:high])
    plain: Any = np.ascontiguousarray(values) if values.dtype.kind in "fiub" else values.tolist()
    return orjson.dumps({"predictions": plain, "scores": scores}, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
