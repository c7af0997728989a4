"""Requests to an MLflow server: bounded in time, retried only where a repeat is harmless, errors by their meaning."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from airflow_mlops.exceptions import AccessDenied, ConfigurationError, NotFound, RegistryError, ServiceUnavailable

_API = "/api/2.0/mlflow"
#: Concurrent first writers of one row collide on its key and get a 400; the next try finds it there.
_COLLISIONS = 5
_AGAIN = {408, 429, 500, 502, 503, 504}
_LATER = "Is the server up, and the connection's host right? A retry goes on from here."


@dataclass(frozen=True)
class MlflowSettings:
    """How to reach a server.

    :param uri: tracking URI, ``http://`` or ``https://``; user and password in it are moved to ``auth``
    :param token: bearer token
    :param auth: user and password, if there is no token
    :param verify: check TLS certificates; a path names a CA bundle
    :param timeout: seconds for one request
    :param retries: repeats of a request that may be repeated
    :param ui: where people open the server, if that is not ``uri``
    """

    uri: str
    token: str | None = field(default=None, repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)
    verify: bool | str = True
    timeout: float = 7.0  # with the retries and one more request, a task gives up within half a minute
    retries: int = 2
    ui: str = ""

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.uri)
        except httpx.InvalidURL as error:
            raise ConfigurationError("The MLflow tracking URI is not a URL: write http://host:5000.") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise ConfigurationError(f"MLflow tracking URI with scheme {url.scheme!r}: write http://host:5000.")
        if url.userinfo and self.auth is None and self.token is None:
            object.__setattr__(self, "auth", (url.username, url.password))
        clean = str(url.copy_with(userinfo=b"")).rstrip("/")
        object.__setattr__(self, "uri", clean)
        object.__setattr__(self, "ui", (self.ui or clean).rstrip("/"))


class MlflowHttp:
    """One connection pool to one server."""

    def __init__(self, settings: MlflowSettings) -> None:
        headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
        self._settings = settings
        self._client = httpx.Client(
            base_url=settings.uri,
            headers=headers,
            auth=settings.auth,
            verify=settings.verify,
            timeout=settings.timeout,
        )
        #: Whether the last request was given up: the next one is not the first to find out, and tries once.
        self._given_up = False

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        return self._json(self._send("GET", _API + path, repeat=True, params=query))

    def post(self, path: str, body: dict[str, Any], *, repeat: bool = False) -> dict[str, Any]:
        """POST; repeated after a fault only if the caller says that it makes no difference."""
        return self._json(self._send("POST", _API + path, repeat=repeat, json=body))

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._json(self._send("PATCH", _API + path, repeat=True, json=body))

    def search(self, path: str, body: dict[str, Any], key: str) -> list[dict[str, Any]]:
        """All pages of a POST search."""
        found: list[dict[str, Any]] = []
        token = None
        while True:
            page = self.post(path, {**body, **({"page_token": token} if token else {})}, repeat=True)
            found += page.get(key, [])
            token = page.get("next_page_token")
            if not token:
                return found

    def put_file(self, path: str, data: Any) -> None:
        """Store one artifact through the server's proxy."""
        url = f"/api/2.0/mlflow-artifacts/artifacts/{path}"
        self._json(self._send("PUT", url, repeat=isinstance(data, bytes), content=data))  # a page stored nothing

    def get_file(self, path: str) -> Iterator[bytes]:
        """Read one artifact through the server's proxy."""
        url = f"/api/2.0/mlflow-artifacts/artifacts/{path}"
        with self._named("GET", url), self._client.stream("GET", url) as answer:
            if answer.status_code >= 400:
                answer.read()
            self._check(answer, "GET", url)
            yield from answer.iter_bytes(1 << 20)

    def list_files(self, folder: str) -> list[dict[str, Any]]:
        answer = self._send("GET", "/api/2.0/mlflow-artifacts/artifacts", repeat=True, params={"path": folder})
        return list(self._json(answer).get("files", []))

    def text(self, path: str) -> str:
        return self._send("GET", path, repeat=True).text

    def close(self) -> None:
        self._client.close()

    def _send(self, method: str, path: str, *, repeat: bool, **request: Any) -> httpx.Response:
        tries = 1 + (self._settings.retries if repeat and not self._given_up else 0)
        for left in reversed(range(tries)):
            try:
                with self._named(method, path):
                    answer = self._check(self._client.request(method, path, **request), method, path)
            except ServiceUnavailable:
                if not left:
                    self._given_up = repeat or self._given_up
                    raise
                time.sleep(2.0 ** (tries - left - 1) / 2)
            else:
                self._given_up = False
                return answer
        raise AssertionError("unreachable")

    def _named(self, method: str, path: str) -> _Named:
        return _Named(f"MLflow at {self._settings.uri} did not answer {method} {path}")

    def _check(self, answer: httpx.Response, method: str, path: str) -> httpx.Response:
        status = answer.status_code
        if status < 300:
            return answer
        what = f"MLflow at {self._settings.uri} answered {method} {path} with {status}"
        if status < 400:
            raise ConfigurationError(f"{what}, a redirect: is the tracking URI complete?")
        code, message = _error(answer)
        # MLflow calls it a bad request when its own pool of database connections is empty.
        if status in _AGAIN or "QueuePool limit" in message:
            raise ServiceUnavailable(f"{what}: {message.rstrip('.')}. {_LATER}")
        if status in (401, 403):
            raise AccessDenied(f"{what}: {message} Check the credentials of the connection.")
        kind = NotFound if code == "RESOURCE_DOES_NOT_EXIST" or status == 404 else RegistryError
        raise kind(f"{what}: {message}", code=code)

    def _json(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            value = answer.json() if answer.content else {}
        except ValueError as error:
            raise ConfigurationError(
                f"{self._settings.uri} answered with a page instead of JSON: is it an MLflow tracking server, "
                "or a login page before it?"
            ) from error
        return value if isinstance(value, dict) else {}


class _Named:
    """Turns what the network raises into an error that names the server, not the request's headers or body."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, httpx.TransportError):
            raise ServiceUnavailable(f"{self.what}: {error or type(error).__name__}. {_LATER}") from error


def collided(error: RegistryError) -> bool:
    """Whether a row that was to be inserted is there already."""
    return any(word in str(error).lower() for word in ("unique", "duplicate key"))


def settle(upsert: Callable[[], object]) -> None:
    """Send an upsert, and again when another first writer came between the server's look and its insert."""
    for left in reversed(range(_COLLISIONS)):
        try:
            upsert()
            return
        except RegistryError as error:
            if not collided(error) or not left:
                raise
            time.sleep(0.1)


def _error(answer: httpx.Response) -> tuple[str, str]:
    try:
        body = answer.json()
        return str(body.get("error_code", "UNKNOWN")), str(body.get("message", ""))[:500]
    except (ValueError, AttributeError):
        return "UNKNOWN", answer.reason_phrase
