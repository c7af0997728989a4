"""Our scoring server over HTTP, and as a target of deployments."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from airflow_mlops.core.deployment import Deployed, Mode, Standing, Trial, Wanted
from airflow_mlops.core.deployment.target import deployed_of
from airflow_mlops.exceptions import (
    AccessDenied,
    ConfigurationError,
    DeploymentError,
    DigestMismatch,
    MlopsError,
    ServiceUnavailable,
    UntrustedModel,
)

_AGAIN = {408, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class ServingSettings:
    """How to reach a server.

    :param uri: its address, ``http://`` or ``https://``
    :param token: bearer token of those who may deploy
    :param verify: check TLS certificates; a path names a CA bundle
    :param timeout: seconds for one request
    :param deploy_timeout: seconds for a deployment: the server loads and warms the model before it answers
    :param retries: repeats of a request that may be repeated, which all but scoring may
    """

    uri: str
    token: str | None = field(default=None, repr=False)
    verify: bool | str = True
    timeout: float = 7.0
    deploy_timeout: float = 300.0
    retries: int = 2

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.uri)
        except httpx.InvalidURL as error:
            raise ConfigurationError("The scoring server's address is not a URL: write http://host:8000.") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise ConfigurationError(f"Scoring server with scheme {url.scheme!r}: write http://host:8000.")
        if url.userinfo:
            raise ConfigurationError("The scoring server's address holds a password: put the token where it belongs.")
        object.__setattr__(self, "uri", str(url).rstrip("/"))


class ServingClient:
    """One connection pool to one server; safe to share between threads."""

    def __init__(self, settings: ServingSettings) -> None:
        self.settings = settings
        headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
        self._http = httpx.Client(
            base_url=settings.uri, headers=headers, verify=settings.verify, timeout=settings.timeout
        )

    def version(self) -> dict[str, Any]:
        """The manifests of champion and candidate, and what went wrong last."""
        return self._json(self._send("GET", "/version"))

    def deploy(self, version: int, mode: Mode = "champion", share: float = 1.0) -> dict[str, Any]:
        """Have the server load a version; what it holds afterwards.

        :raises DeploymentError: it refused the version, and answers with the old one
        """
        body = {"version": version, "mode": mode, "share": float(share)}
        # Repeated after a lost reply: the server does nothing for what it serves already.
        return self._json(self._send("POST", "/deploy", json=body, timeout=self.settings.deploy_timeout))

    def withdraw(self) -> dict[str, Any]:
        """Take the candidate back; what the server holds afterwards."""
        return self._json(self._send("DELETE", "/candidate"))

    def rollout(self) -> dict[str, Any]:
        """What champion and candidate answered since the candidate came."""
        return self._json(self._send("GET", "/rollout"))

    def ready(self) -> bool:
        """Whether a model answers; False too where the server says that none does."""
        try:
            return self._once("GET", "/ready").is_success
        except httpx.TransportError as error:
            raise self._away("GET", "/ready", error) from error

    def invoke(self, body: Mapping[str, Any]) -> httpx.Response:
        """One request for predictions, in MLflow's protocol; sent once, and answered with whatever comes."""
        try:
            return self._once("POST", "/invocations", json=body)
        except httpx.TransportError as error:
            raise self._away("POST", "/invocations", error) from error

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> ServingClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _once(self, method: str, path: str, **request: Any) -> httpx.Response:
        return self._http.request(method, path, **request)

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        for left in reversed(range(1 + self.settings.retries)):
            try:
                return self._check(self._once(method, path, **request), method, path)
            except httpx.TransportError as error:
                if not left:
                    raise self._away(method, path, error) from error
            except ServiceUnavailable:
                if not left:
                    raise
            time.sleep(2.0 ** (self.settings.retries - left) / 2)
        raise AssertionError("unreachable")

    def _check(self, answer: httpx.Response, method: str, path: str) -> httpx.Response:
        if answer.status_code < 300:
            return answer
        what = f"The scoring server at {self.settings.uri} answered {method} {path} with {answer.status_code}"
        reason = _reason(answer)
        if answer.status_code in (401, 403):
            raise AccessDenied(f"{what}: {reason}. Check the token of the connection.")
        if answer.status_code in _AGAIN:
            raise ServiceUnavailable(f"{what}: {reason}.")
        if answer.status_code == 409:
            raise _refusal(answer)(f"The scoring server at {self.settings.uri} refused: {reason}.")
        raise ConfigurationError(f"{what}: {reason}. Is it a server of airflow-mlops?")

    def _json(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            return dict(answer.json())
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"{self.settings.uri} answered with what is no JSON: is it a server of airflow-mlops?"
            ) from error

    def _away(self, method: str, path: str, error: httpx.TransportError) -> ServiceUnavailable:
        return ServiceUnavailable(
            f"The scoring server at {self.settings.uri} did not answer {method} {path}: "
            f"{error or type(error).__name__}. Is it up, and the connection's host right?"
        )


class ServingTarget:
    """A server of ours, which looks the version up in the registry itself, and verifies it."""

    modes: frozenset[Mode] = frozenset(("champion", "canary", "shadow"))
    takes_files = False

    def __init__(self, client: ServingClient) -> None:
        self.client = client

    @property
    def address(self) -> str:
        return self.client.settings.uri

    def standing(self, name: str) -> Standing:
        return standing_of(self.client.version(), name)

    def put(self, wanted: Wanted, files: Path | None) -> None:
        self.client.deploy(wanted.deployed.version, wanted.mode, wanted.share)

    def withdraw(self, name: str) -> None:
        self.client.withdraw()

    def close(self) -> None:
        self.client.close()


def standing_of(told: Mapping[str, Any], name: str) -> Standing:
    """What ``/version`` says.

    :raises ConfigurationError: the server serves another model
    """
    champion = deployed_of(told.get("champion"))
    if champion and champion.name != name:
        raise ConfigurationError(f"The scoring server serves model {champion.name}: model {name} needs one of its own.")
    trial = told.get("candidate") or {}
    candidate: Deployed | None = deployed_of(trial.get("package"))
    share = float(trial.get("share") or 1.0)
    return Standing(champion, Trial(candidate, trial["mode"], share) if candidate else None)


def _refusal(answer: httpx.Response) -> type[MlopsError]:
    """What a refusal means: the server says it by the name of its own error."""
    kinds = (ServiceUnavailable, DigestMismatch, UntrustedModel, AccessDenied)
    code = _body(answer).get("code")
    return next((kind for kind in kinds if kind.__name__ == code), DeploymentError)


def _reason(answer: httpx.Response) -> str:
    return str(_body(answer).get("error") or answer.reason_phrase)[:500].rstrip(".")


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
