"""What Prometheus reads, in a registry of the server's own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


class Metrics:
    """One server's counts."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        its = self._registry = CollectorRegistry()
        self.requests = Counter("mlops_requests", "Answered requests", ["status"], registry=its)
        self.rows = Counter("mlops_predictions", "Predicted rows", ["version", "mode"], registry=its)
        self.errors = Counter("mlops_model_errors", "Answers that a model owes", ["version", "mode"], registry=its)
        self.seconds = Histogram("mlops_request_seconds", "From body to answer", registry=its, buckets=_SECONDS)
        self.batch = Histogram("mlops_batch_rows", "Rows of a batch", registry=its, buckets=_ROWS)
        self.waiting = Gauge("mlops_waiting", "Requests that wait now", registry=its)
        self.version = Gauge("mlops_version", "Version in force, by its role", ["role"], registry=its)
        self.swaps = Gauge("mlops_swaps", "Changes of what serves since the start", registry=its)
        self.logged = Gauge("mlops_logged_rows", "Rows in the prediction log", registry=its)
        self.unlogged = Gauge("mlops_unlogged_rows", "Rows that the prediction log dropped", registry=its)

    def text(self) -> bytes:
        return generate_latest(self._registry)
