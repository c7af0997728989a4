"""The server as its clients see it."""

from __future__ import annotations

from collections.abc import Callable

from tests.serving.conftest import Running
from tests.serving.models import Shelf, pipeline, records, rows_of


def test_a_model_is_served(shelf: Shelf, serve: Callable[..., Running]) -> None:
    model = pipeline()
    shelf.set_alias("m", "champion", shelf.publish(model))
    server = serve()
    rows = rows_of(20, seed=5)
    answer = server.ask(records(rows))
    assert answer.status_code == 200
    told = answer.json()
    assert told["predictions"] == list(model.predict(rows))
    assert max(abs(told["scores"] - model.predict_proba(rows)[:, 1])) < 1e-12
    assert (told["model"], told["version"]) == ("m", "1")
    assert answer.headers["X-Model-Version"] == "1"
