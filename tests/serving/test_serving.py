"""The server as its clients see it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airflow_mlops.core.signatures import Column
from airflow_mlops.serving.bodies import Reader
from airflow_mlops.serving.values import frame_of
from tests.serving.conftest import Running, running
from tests.serving.models import COLUMNS, Odd, Shelf, pipeline, records, rows_of

MODEL = pipeline()
LIMITS = {"body": 20_000, "rows": 50, "header_seconds": 0.5, "body_seconds": 0.5, "waiting": 8, "explained": 3}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    facts = {"mlops.data_version": "d1", "mlops.code_version": "c1", "mlops.environment": "e1"}
    baseline = rows_of(300)
    import pyarrow as pa

    shelf.set_alias("m", "champion", shelf.publish(MODEL, baseline=pa.Table.from_pandas(baseline), facts=facts))
    with running(shelf, tmp_path_factory.mktemp("keep"), limits=LIMITS) as server:
        assert server.ready()
        yield server


def test_a_model_is_served(server: Running) -> None:
    rows = rows_of(20, seed=5)
    rows.loc[0, "w0"] = "never seen"
    answer = server.ask(records(rows))
    told = answer.json()
    assert answer.status_code == 200
    assert told["predictions"] == list(MODEL.predict(rows))
    assert max(abs(told["scores"] - MODEL.predict_proba(rows)[:, 1])) < 1e-12
    assert (told["model"], told["version"], answer.headers["X-Model-Version"]) == ("m", "1", "1")
    assert answer.headers["X-Request-Id"] == told["id"]
    assert server.ask(records(rows[:1]), **{"X-Request-Id": "mine-1"}).json()["id"] == "mine-1"
    assert server.ask(records(rows[:1]), **{"X-Request-Id": 'not"mine'}).json()["id"] != 'not"mine'


def test_it_tells_what_it_serves(server: Running) -> None:
    told = server.http.get("/version").json()
    assert told["champion"]["version"] == 1
    assert [column["name"] for column in told["champion"]["columns"]] == [column.name for column in COLUMNS]
    assert told["champion"]["facts"]["mlops.data_version"] == "d1"
    assert (told["candidate"], told["last_error"]) == (None, None)
    assert server.http.get("/health").json() == {"status": "alive"}
    assert server.http.get("/ready").json() == {"ready": True}
    server.ask(records(rows_of(3)))
    metrics = server.http.get("/metrics").text
    assert 'mlops_version{role="champion"} 1.0' in metrics
    assert 'mlops_requests_total{status="200"}' in metrics
    assert "python_info" not in metrics  # a registry of its own
    for closed in ("/docs", "/redoc", "/openapi.json"):
        assert server.http.get(closed).status_code == 404


def test_many_at_once_get_their_own_answers(server: Running) -> None:
    rows = rows_of(60, seed=9)
    wanted = list(MODEL.predict(rows))
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda at: server.ask(records(rows.iloc[[at]])), range(60)))
    assert {answer.status_code for answer in answers} == {200}
    assert [answer.json()["predictions"] for answer in answers] == [[label] for label in wanted]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"dataframe_records":[{"n0":true}]}', 422),
        (b'{"dataframe_records":[{"n0":null}]}', 422),
        (b'{"instances":[[1,1,1,1,"a","b"],[1]]}', 422),
        (b'{"dataframe_records":[{"n0":NaN}]}', 400),
        (b"secret", 400),
        (b"x" * 20_001, 413),
        (b'{"dataframe_records":[' + b'{"n0":1},' * 50 + b'{"n0":1}]}', 413),
        (b"[" * 9_000 + b"]" * 9_000, 422),
    ],
)
def test_a_refusal_is_short_and_says_nothing_of_what_was_sent(server: Running, content: bytes, status: int) -> None:
    answer = server.http.post("/invocations", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "code"}
    assert len(answer.text) < 300
    assert "secret" not in answer.text


def test_a_body_of_many_pieces_is_refused_when_it_is_too_large(server: Running) -> None:
    answer = server.http.post("/invocations", content=(b"x" * 1000 for _ in range(30)))
    assert answer.status_code == 413


def test_a_compressed_body_is_refused(server: Running) -> None:
    answer = server.http.post("/invocations", content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415


def sent(server: Running, *parts: bytes, pause: float = 0.0, wait: float = 10.0) -> tuple[bytes, float]:
    """What came back for raw bytes until the server closed the connection, and after how long."""
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        found = b""
        while piece := connection.recv(65536):
            found += piece
    return found, time.monotonic() - begin


def test_a_slow_body_is_given_up(server: Running) -> None:
    head = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    found, _ = sent(server, head, b'{"ins')
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"slow"' in found


@pytest.mark.parametrize("begin", [b"", b"\r\n", b"POST /invoca", b"POST /invocations HTTP/1.1\r\nHost: a\r\nX: "])
def test_a_head_that_never_ends_is_given_up(server: Running, begin: bytes) -> None:
    found, seconds = sent(server, begin)
    assert found == b""
    assert seconds < 8  # the limit is half a second, the machine is busy


@pytest.mark.parametrize(
    ("piece", "pause"), [(b"X: y\r\n", 0.1), (b"y" * 100_000, 0.0)], ids=["that trickles", "of too many bytes"]
)
def test_a_head_is_given_up(server: Running, piece: bytes, pause: float) -> None:
    def send_on(connection: socket.socket) -> None:
        for _ in range(1_000):
            connection.sendall(piece)
            time.sleep(pause)

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n" if pause else b"GET /health HTTP/1.1\r\nX: ")
        with pytest.raises(ConnectionError):
            send_on(connection)


def test_idle_and_kept_alive_connections_are_not_given_up(server: Running) -> None:
    head = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        for _ in range(2):
            connection.sendall(head)
            answer = b""
            while not answer.endswith(b'{"status":"alive"}'):  # head and body may come one after the other
                answer += connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 ")
            time.sleep(0.8)


def test_too_many_at_once_are_told_to_come_again(server: Running) -> None:
    head = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
    waiting = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(8)]
    try:
        for connection in waiting:
            connection.sendall(head)
        time.sleep(0.2)
        answer = server.ask([{"n0": 1}])
        assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (429, "busy", "1")
        assert server.http.get("/health").status_code == 200
    finally:
        for connection in waiting:
            connection.close()
    time.sleep(0.2)
    assert server.ask([{"n0": 1}]).status_code == 200


def test_explanations_add_up_to_what_moved_the_score(server: Running) -> None:
    rows = rows_of(2, seed=3)
    rows["n0"] = [3.0, -3.0]
    answer = server.http.post("/invocations?explain=true", json={"dataframe_records": records(rows)}).json()
    high, low = answer["explanations"]
    assert set(high) == {column.name for column in COLUMNS}
    assert max(high, key=lambda name: abs(high[name])) == "n0"
    assert high["n0"] > 0.2
    assert low["n0"] < -0.2
    usual = rows.assign(n0=rows_of(300)["n0"].mean())
    assert abs(high["n0"] - (answer["scores"][0] - MODEL.predict_proba(usual)[0, 1])) < 1e-5
    too_many = server.http.post("/invocations?explain=true", json={"dataframe_records": records(rows_of(4))})
    assert too_many.status_code == 422


def test_nobody_deploys_without_the_token(server: Running) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic bGV0LW1lLWlu"}):
        answer = server.http.post("/deploy", json={"version": 1}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "token")
        assert server.http.delete("/candidate", headers=headers).status_code == 401
    for body in (
        {"version": "secret"},
        {"version": 0},
        {"version": 1, "mode": "secret"},
        {"version": 1, "secret": 1},
        [],
    ):
        answer = server.http.post("/deploy", json=body, headers=server.token)
        assert answer.status_code == 422
        assert "secret" not in answer.text
    assert server.http.post("/deploy", content=b"x" * 5_000, headers=server.token).status_code == 413


def test_a_closed_server_asks_for_the_token_and_one_without_a_token_deploys_nothing(
    shelf: Shelf, serve: Callable[..., Running]
) -> None:
    shelf.set_alias("m", "champion", shelf.publish(Odd(value=3).fit(None), task="regression"))
    closed = serve(closed=True)
    for path in ("/version", "/metrics", "/rollout"):
        assert closed.http.get(path).status_code == 401
        assert closed.http.get(path, headers=closed.token).status_code == 200
    assert closed.http.get("/ready").status_code == 200
    assert closed.ask([{"n0": 1}]).status_code == 401
    assert closed.ask([{"n0": 1}], **closed.token).json()["predictions"] == [3.0]
    without = serve(token=None)
    assert without.deploy(1).status_code == 403


def test_one_bad_row_fails_no_neighbour_and_rows_are_to_blame(shelf: Shelf, serve: Callable[..., Running]) -> None:
    shelf.set_alias("m", "champion", shelf.publish(Odd("sometimes").fit(None), task="regression"))
    server = serve()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda at: server.ask([{"n0": 1e9 if at % 4 == 0 else 1.0}]), range(40)))
    assert [answer.status_code for answer in answers] == [422 if at % 4 == 0 else 200 for at in range(40)]
    assert "secret" not in answers[0].text
    assert "12345" not in answers[0].text


def test_labels_and_numbers_of_every_kind(shelf: Shelf, serve: Callable[..., Running]) -> None:
    from sklearn.dummy import DummyClassifier

    columns = (Column("n0", "double"),)
    frame = frame_of(columns, Reader(columns).read(b'{"inputs":{"n0":[1,2,3]}}').columns)
    server = None
    for labels in ([1, 0, 1], [True, False, True], ["a", "b", "a"], [0.5, 1.5, 0.5]):
        values: Any = np.array(labels) if not isinstance(labels[0], float) else np.array(["0.5", "1.5", "0.5"])
        number = shelf.publish(DummyClassifier(strategy="prior").fit(frame, values), columns=columns)
        shelf.set_alias("m", "champion", number)
        server = server or serve()
        assert server.deploy(number).status_code == 200
        told = server.ask([{"n0": 1}]).json()
        assert told["predictions"] == [json.loads(json.dumps(values[0].item()))]
        assert told["version"] == str(number)


def test_without_a_model_it_is_alive_and_not_ready(serve: Callable[..., Running], tmp_path: Path) -> None:
    server = serve(wait=False)
    assert server.http.get("/health").status_code == 200
    assert server.http.get("/ready").status_code == 503
    assert (server.ask([{"n0": 1}]).status_code, server.ask([{"n0": 1}]).headers["Retry-After"]) == (503, "1")
    assert server.http.get("/version").json()["champion"] is None
