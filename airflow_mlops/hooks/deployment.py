"""Where models are deployed to: a URI, or a URI with options, becomes a target."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from airflow_mlops.clients.folder import FolderTarget
from airflow_mlops.clients.plugins import PluginTarget
from airflow_mlops.clients.sagemaker import SageMakerTarget
from airflow_mlops.clients.serving import ServingTarget
from airflow_mlops.core.deployment import Target
from airflow_mlops.core.deployment.sagemaker import Hosting
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.hooks.serving import ServingHook
from airflow_mlops.hooks.store import object_path

_FORMS = "serving://conn_id, file:///folder, s3://bucket/folder, sagemaker://endpoint or mlflow-deployments:target"


def find_target(value: str | Mapping[str, Any]) -> Target:
    """The target of a URI, or of ``{"uri": …}`` with the options of its kind; a mapping may come as JSON text.

    :raises ConfigurationError: it is none, or an option is unknown
    """
    uri, options = _parts(value)
    scheme, colon, rest = uri.partition(":")
    kind = _KINDS.get(scheme, _folder) if colon else _folder
    try:
        return kind(uri if kind is _folder else rest.removeprefix("//"), **options)
    except TypeError as error:
        raise ConfigurationError(f"Target {uri}: {_said(error)}. Its options are in docs/deployment.md.") from error


def _parts(value: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.lstrip().startswith("{") else {"uri": value}
        except ValueError as error:
            raise ConfigurationError(f"Target {str(value)[:80]!r} is no JSON: {error}.") from error
    options = dict(value)
    uri = options.pop("uri", None)
    if not isinstance(uri, str) or not uri.strip():
        raise ConfigurationError(f"Target {str(value)[:80]!r} names no place: write {_FORMS}.")
    return uri.strip(), options


def _serving(conn_id: str) -> Target:
    return ServingTarget(ServingHook(conn_id or ServingHook.default_conn_name).client)


def _folder(uri: str, *, keep: int = 5) -> Target:
    return FolderTarget(object_path(uri.removeprefix("file://")), keep)


def _sagemaker(endpoint: str, *, aws_conn_id: str = "aws_default", region: str | None = None, **hosting: Any) -> Target:
    described = Hosting(endpoint, **hosting)
    return SageMakerTarget(_aws("sagemaker", aws_conn_id, region), _aws("s3", aws_conn_id, region), described)


def _aws(kind: str, conn_id: str, region: str | None) -> Any:
    try:
        from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    except ModuleNotFoundError as error:
        raise ConfigurationError("The AWS provider is not installed: pip install 'airflow-mlops[s3]'.") from error
    from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

    try:
        return AwsGenericHook(aws_conn_id=conn_id, client_type=kind, region_name=region).get_conn()
    except BotoCoreError as error:
        raise ConfigurationError(f"AWS connection {conn_id} makes no client: {error}") from error


_KINDS: dict[str, Callable[..., Target]] = {
    "serving": _serving,
    "sagemaker": _sagemaker,
    "mlflow-deployments": PluginTarget,
}


def _said(error: TypeError) -> str:
    """What was wrong with the options, without the name of a function of ours."""
    return str(error).rpartition("() ")[2]
