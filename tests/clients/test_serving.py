"""The client of our server: what the server says keeps its meaning, and a deployment is verified where it serves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from airflow_mlops.clients.serving import ServingClient, ServingSettings, ServingTarget
from airflow_mlops.core import tags
from airflow_mlops.core.deployment import Deployed, Standing, Wanted
from airflow_mlops.core.packages import ModelRef
from airflow_mlops.exceptions import (
    AccessDenied,
    ConfigurationError,
    DeploymentError,
    ServiceUnavailable,
    UntrustedModel,
)
from airflow_mlops.hooks.deployment import find_target
from airflow_mlops.hooks.serving import ServingHook
from airflow_mlops.steps.deployment import Request, deploy
from tests.serving.conftest import TOKEN, Running, serve, shelf  # noqa: F401
from tests.serving.models import Odd, Shelf


@dataclass
class Approving:
    """The shelf as a registry in which somebody promoted."""

    shelf: Shelf
    tracking: Any = None
    noted: dict[tuple[int, str], str] = field(default_factory=dict)

    @property
    def registry(self) -> Approving:
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.shelf, name)

    def model_tags(self, name: str) -> dict[str, str]:
        return {}

    def tag_version(self, name: str, version: int, key: str, value: str) -> None:
        self.noted[version, key] = value

    def promoted(self, value: float = 0.0, how: str = "fine") -> int:
        facts = {tags.APPROVED: "2026-10-01"}
        number = self.shelf.publish(Odd(how, value).fit(None), facts=facts, task="regression")
        self.shelf.set_alias("m", "champion", number)
        return number


@pytest.fixture
def approving(shelf: Shelf) -> Approving:  # noqa: F811
    return Approving(shelf)


@pytest.fixture
def server(serve: Callable[..., Running], approving: Approving) -> Running:  # noqa: F811
    """A server that waits for what is deployed."""
    return serve(deployed_only=True, wait=False)


@pytest.fixture
def client(server: Running) -> Iterator[ServingClient]:
    with ServingClient(ServingSettings(server.url, TOKEN, retries=0)) as client:
        yield client


CHAMPION = Request(ModelRef("m", alias="champion"))


def test_champion_canary_and_back_at_a_real_server(
    client: ServingClient, approving: Approving, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = ServingTarget(client)
    registry: Any = approving
    one = approving.promoted(1)
    assert target.standing("m") == Standing()
    assert not client.ready()  # nobody deployed it yet
    assert deploy(registry, target, CHAMPION).changed
    assert client.ready()
    assert not deploy(registry, target, CHAMPION).changed
    digest = approving.version("m", one).tags[tags.DIGEST]
    assert target.standing("m").champion == Deployed("m", one, digest)

    two = approving.promoted(2)
    for mode, share in (("canary", 0.25), ("shadow", 0.1)):
        request = Request(CHAMPION.ref, mode, share)  # type: ignore[arg-type]
        assert deploy(registry, target, request).holds
        assert not deploy(registry, target, request).changed
        standing = target.standing("m")
        assert standing.trial
        assert (standing.trial.deployed.version, standing.trial.mode) == (two, mode)
        assert client.rollout()["candidate"]["requests"] == 0
    target.withdraw("m")
    target.withdraw("m")
    assert target.standing("m").trial is None
    assert deploy(registry, target, CHAMPION).previous == one
    assert target.standing("m").champion == Deployed("m", two, approving.version("m", two).tags[tags.DIGEST])

    hook = json.dumps({"conn_type": "mlops_serving", "host": server.url, "password": TOKEN})
    monkeypatch.setenv("AIRFLOW_CONN_SERVING_DEFAULT", hook)
    assert find_target("serving://serving_default").standing("m") == target.standing("m")
    assert ServingHook().test_connection() == (True, f"The scoring server answers, it serves version {two} of model m.")


def test_what_the_server_refuses_is_refused_with_its_reason(
    client: ServingClient, approving: Approving, server: Running
) -> None:
    target = ServingTarget(client)
    registry: Any = approving
    approving.promoted(1)
    deploy(registry, target, CHAMPION)
    before = target.standing("m")
    approving.promoted(how="nan")
    with pytest.raises(DeploymentError, match=r"refused: .*gave NaN"):
        deploy(registry, target, CHAMPION)
    with pytest.raises(DeploymentError, match="refused: "):
        client.deploy(99)
    assert target.standing("m") == before
    assert "gave NaN" in approving.noted[2, tags.REFUSED]
    with ServingClient(ServingSettings(server.url, "wrong", retries=0)) as stranger, pytest.raises(AccessDenied):
        stranger.deploy(1)
    with pytest.raises(ConfigurationError, match="serves model m: model other needs one of its own"):
        target.standing("other")
    with pytest.raises(ConfigurationError, match="422"):
        client.deploy(0)


class Faulty(BaseHTTPRequestHandler):
    """Answers what it was told to, one after the other; the last answer again and again."""

    answers: list[tuple[int, str]]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def faulty() -> Iterator[Callable[..., tuple[ServingClient, list[str]]]]:
    started = []

    def start(*answers: tuple[int, str], retries: int = 0) -> tuple[ServingClient, list[str]]:
        handler = type("Handler", (Faulty,), {"answers": list(answers), "asked": []})
        http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        started.append(http)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        return ServingClient(ServingSettings(f"http://127.0.0.1:{http.server_port}", retries=retries)), handler.asked

    yield start
    for http in started:
        http.shutdown()
        http.server_close()


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (409, '{"error": "slow.", "code": "DeploymentError"}', DeploymentError, "refused: slow"),
        (409, '{"error": "x", "code": "ServiceUnavailable"}', ServiceUnavailable, "refused: x"),
        (409, '{"error": "x", "code": "UntrustedModel"}', UntrustedModel, "refused: x"),
        (409, "[]", DeploymentError, "refused: Conflict"),
        (403, "no", AccessDenied, "Check the token"),
        (404, "<html>", ConfigurationError, "Is it a server of airflow-mlops"),
        (503, "", ServiceUnavailable, "Service Unavailable"),
        (200, "<html>", ConfigurationError, "no JSON"),
    ],
)
def test_what_a_server_may_answer(faulty: Any, status: int, body: str, kind: Any, reason: str) -> None:
    client, _ = faulty((status, body))
    with pytest.raises(kind, match=reason):
        client.deploy(1)


def test_what_may_pass_is_asked_again(faulty: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_mlops.clients.serving.time.sleep", lambda _: None)
    client, asked = faulty((503, ""), (502, ""), (200, '{"champion": null}'), retries=2)
    assert ServingTarget(client).standing("m") == Standing()
    assert len(asked) == 3
    with pytest.raises(ServiceUnavailable, match="did not answer POST /deploy"):
        ServingTarget(ServingClient(ServingSettings("http://127.0.0.1:9"))).put(Wanted(Deployed("m", 1, "d")), None)


@pytest.mark.parametrize("uri", ["serving:8000", "ftp://serving", "http://", "http://me:secret@serving"])
def test_an_address_that_is_none(uri: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ServingSettings(uri)
    assert "secret" not in str(caught.value)
