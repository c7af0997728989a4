"""Calls of MLflow's own client: bound to one address, imported late, with errors by their meaning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from airflow_mlops.exceptions import AccessDenied, MlopsError, NotFound, RegistryError, ServiceUnavailable

_DENIED = {"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}
_MISSING = {"NOT_FOUND", "ENDPOINT_NOT_FOUND"}
#: MLflow gives INTERNAL_ERROR to everything that the network did.
_AGAIN = {
    "ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "INTERNAL_ERROR", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED",
    "TEMPORARILY_UNAVAILABLE",
}  # fmt: skip

#: Seconds in which Databricks' SDK may begin another try; its first pause is longer.
_ONE_TRY = 1


class MlflowCalls:
    """``calls("get_run", run_id)`` is ``MlflowClient(…).get_run(run_id)``; neither global URIs nor environment."""

    def __init__(self, uri: str, registry_uri: str) -> None:
        self.uri = uri
        self.registry_uri = registry_uri
        self.unity_catalog = registry_uri.startswith("databricks-uc")

    def __call__(self, method: str, *args: Any, **kwargs: Any) -> Any:
        with self.errors(method):
            return getattr(self._client, method)(*args, **kwargs)

    def pages(self, method: str, **query: Any) -> Iterator[Any]:
        """All results of a search."""
        token = None
        while True:
            page = self(method, page_token=token, **query)
            yield from page
            token = page.token
            if not token:
                return

    def post_once(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create something: MLflow's client would repeat it, and only the whole process's environment forbids that."""
        with self.errors(path):
            from mlflow.utils.rest_utils import http_request, verify_rest_response

            endpoint = f"/api/2.0/mlflow{path}"
            once = {"max_retries": 0, "raise_on_status": False, "retry_timeout_seconds": _ONE_TRY}
            answer = http_request(self._credentials(), endpoint, "POST", json=body, **once)
            return dict(verify_rest_response(answer, endpoint).json())

    def files(self, artifact_uri: str) -> Any:
        """MLflow's artifact repository at a URI."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
        from mlflow.utils.uri import add_databricks_profile_info_to_artifact_uri

        full = add_databricks_profile_info_to_artifact_uri(artifact_uri, self.uri)
        return get_artifact_repository(full, tracking_uri=self.uri, registry_uri=self.registry_uri)

    def version(self) -> str:
        from mlflow.version import VERSION

        return str(VERSION)

    @contextmanager
    def errors(self, what: str) -> Iterator[None]:
        """Tell MLflow's errors as ours."""
        from mlflow.exceptions import MlflowException
        from requests.exceptions import RequestException

        try:
            yield
        except (RequestException, TimeoutError) as error:
            raise ServiceUnavailable(f"MLflow at {self.uri} did not answer {what}: {error}") from error
        except MlflowException as error:
            # A code that MLflow's client does not know is INTERNAL_ERROR to it, and stands in the answer alone.
            answer = getattr(error, "json", None) or {}
            code = str(answer.get("error_code") or error.error_code)
            raise _ours(f"MLflow at {self.uri} refused {what}: {str(error)[:500]}", code) from error

    @cached_property
    def _client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri, registry_uri=self.registry_uri)

    def _credentials(self) -> Any:
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.databricks_utils import get_databricks_host_creds
        from mlflow.utils.uri import is_databricks_uri

        return (get_databricks_host_creds if is_databricks_uri(self.uri) else get_default_host_creds)(self.uri)


def _ours(message: str, code: str) -> MlopsError:
    if code in _DENIED or "credential configuration failed" in message:
        return AccessDenied(f"{message} Check the Databricks profile.")
    if code in _AGAIN:
        return ServiceUnavailable(message)
    kind = NotFound if code in _MISSING or code.endswith("DOES_NOT_EXIST") else RegistryError
    return kind(message, code=code)
