"""The part of Airflow's REST API that a test or a demo needs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from airflow_mlops.exceptions import ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ENDED = ("success", "failed")


class AirflowApi:
    """Talks to ``/api/v2``; repeats reads while the server is away, never writes.

    :param url: of the API server
    :param username: of Airflow's simple auth manager
    :param password: of that user
    """

    def __init__(self, url: str, username: str, password: str, *, patience: float = 30) -> None:
        self._credentials = {"username": username, "password": password}
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self._patience = patience

    def healthy(self) -> bool:
        """All four components run."""
        try:
            answer = self._http.get("/api/v2/monitor/health", timeout=5)
        except httpx.TransportError:
            return False
        return answer.is_success and all(part.get("status") == "healthy" for part in answer.json().values())

    def get(self, path: str, **params: Any) -> Any:
        return self._request("GET", path, params=params).json()

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._request("POST", path, json=body).json()

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._request("PATCH", path, json=body).json()

    def import_errors(self) -> dict[str, str]:
        """File name and stack trace of every DAG file that cannot be imported."""
        return {error["filename"]: error["stack_trace"] for error in self.get("/importErrors")["import_errors"]}

    def has_dag(self, dag_id: str) -> bool:
        return any(dag["dag_id"] == dag_id for dag in self.get("/dags", dag_id_pattern=dag_id)["dags"])

    def pause(self, dag_id: str, paused: bool = True) -> None:
        self.patch(f"/dags/{quote(dag_id)}", {"is_paused": paused})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, logical_date: str | None = None) -> str:
        """Start a live run and return its run id."""
        body = {"logical_date": logical_date, "conf": dict(conf or {})}
        return str(self.post(f"/dags/{quote(dag_id)}/dagRuns", body)["dag_run_id"])

    def clear(self, dag_id: str, run_id: str, *, only_failed: bool = False) -> None:
        """Run the tasks of a run again, as a person does who clears it in the UI."""
        self.post(f"{_run(dag_id, run_id)}/clear", {"dry_run": False, "only_failed": only_failed})

    def runs(self, dag_id: str, **filters: Any) -> list[dict[str, Any]]:
        """The runs of a DAG in the order they run after."""
        page = self.get(f"/dags/{quote(dag_id)}/dagRuns", limit=100, order_by="run_after", **filters)
        return list(page["dag_runs"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return dict(self.get(_run(dag_id, run_id)))

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run."""
        return list(self.get(f"{_run(dag_id, run_id)}/taskInstances", limit=100)["task_instances"])

    def tries(self, dag_id: str, run_id: str, task_id: str) -> list[dict[str, Any]]:
        """Every try of a task, the first one first."""
        page = self.get(f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}/tries")
        return sorted(page["task_instances"], key=lambda each: each["try_number"])

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task pushed; None if it pushed nothing."""
        try:
            return self.get(f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/{quote(key)}")["value"]
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return None
            raise

    def wait(
        self, dag_id: str, run_id: str, seconds: float = 300, look: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        """Wait for the end of a run, calling ``look`` at every poll; failed is an end too."""
        deadline = time.monotonic() + seconds
        while (run := self.run(dag_id, run_id))["state"] not in _ENDED:
            if time.monotonic() > deadline:
                raise ServiceUnavailable(f"Run {run_id} of {dag_id} is still {run['state']} after {seconds:.0f} s.")
            look()
            time.sleep(0.5)
        return run

    def _request(self, method: str, path: str, **content: Any) -> httpx.Response:
        answer = self._send(method, f"/api/v2{path}", **content)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            token = self._send("POST", "/auth/token", json=self._credentials).raise_for_status().json()["access_token"]
            self._http.headers["Authorization"] = f"Bearer {token}"
            answer = self._send(method, f"/api/v2{path}", **content)
        if answer.is_error:
            message = f"{method} {path} answered {answer.status_code}: {answer.text[:2000]}"
            raise httpx.HTTPStatusError(message, request=answer.request, response=answer)
        return answer

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        """One request; a read (or a log-in) that meets an absent server is repeated until patience ends."""
        repeatable = method == "GET" or path == "/auth/token"
        deadline = time.monotonic() + self._patience
        while True:
            last = not repeatable or time.monotonic() > deadline
            try:
                answer = self._http.request(method, path, **content)
                if last or not answer.is_server_error:
                    return answer
            except httpx.TransportError:
                if last:
                    raise
            time.sleep(0.5)


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"
