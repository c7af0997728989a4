"""An endpoint of Amazon SageMaker as a target: the model, its configuration, and a blue/green update."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_mlops.core.deployment import Mode, Standing, Trial, Wanted
from airflow_mlops.core.deployment.sagemaker import Hosting, endpoint_standing
from airflow_mlops.exceptions import AccessDenied, ConfigurationError, DeploymentError, MlopsError, ServiceUnavailable

_DENIED = {
    "AccessDenied", "AccessDeniedException", "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId",
    "UnrecognizedClientException",
}  # fmt: skip


class SageMakerTarget:
    """One endpoint, which SageMaker itself changes one at a time: a second change waits until the first has ended.

    Models and configurations are named by what they hold, so that creating one again is known as such, and going back
    to an older version finds the configuration that it had. They are left there: going back needs them.

    :param sagemaker: client of boto3
    :param s3: client of boto3, for the archives
    :param hosting: how versions are hosted
    """

    modes: frozenset[Mode] = frozenset(("champion", "canary", "shadow"))
    takes_files = True

    def __init__(self, sagemaker: Any, s3: Any, hosting: Hosting) -> None:
        self.sagemaker = sagemaker
        self.s3 = s3
        self.hosting = hosting

    @property
    def address(self) -> str:
        return f"sagemaker://{self.hosting.endpoint}"

    def standing(self, name: str) -> Standing:
        with self._named("describe the endpoint"):
            return self._standing(self._endpoint())

    def put(self, wanted: Wanted, files: Path | None) -> None:
        if files is None:
            raise TypeError("SageMaker takes files.")
        with self._named(f"deploy {wanted.deployed}"):
            endpoint = self._endpoint()
            self._archive(wanted, files)
            self._create("create_model", self.hosting.model(wanted.deployed))
            champion = wanted.deployed if wanted.mode == "champion" else self._standing(endpoint).champion
            if champion is None:
                raise DeploymentError(f"{self.address} has no champion that {wanted.deployed} could stand by.")
            trial = None if wanted.mode == "champion" else Trial(wanted.deployed, wanted.mode, wanted.share)
            self._change(endpoint, self.hosting.config(champion, trial))

    def withdraw(self, name: str) -> None:
        with self._named("withdraw the candidate"):
            endpoint = self._endpoint()
            standing = self._standing(endpoint)
            if standing.trial and standing.champion:
                self._change(endpoint, self.hosting.config(standing.champion))

    def close(self) -> None:
        self.sagemaker.close()
        self.s3.close()

    def _endpoint(self) -> Mapping[str, Any] | None:
        try:
            return dict(self.sagemaker.describe_endpoint(EndpointName=self.hosting.endpoint))
        except self._client_error as error:
            if "could not find" in _message(error).lower():
                return None
            raise

    def _standing(self, endpoint: Mapping[str, Any] | None) -> Standing:
        if endpoint is None:
            return Standing()
        config = self.sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
        variants = [*config.get("ProductionVariants", []), *config.get("ShadowProductionVariants", [])]
        models = {variant["ModelName"] for variant in variants}
        return endpoint_standing(endpoint, config, {model: self._environment(model) for model in models})

    def _environment(self, model: str) -> Mapping[str, str]:
        found = self.sagemaker.describe_model(ModelName=model)
        return dict(found.get("PrimaryContainer", {}).get("Environment", {}))

    def _change(self, endpoint: Mapping[str, Any] | None, config: Mapping[str, Any]) -> None:
        self._create("create_endpoint_config", config)
        name = {"EndpointName": self.hosting.endpoint, "EndpointConfigName": config["EndpointConfigName"]}
        if endpoint is not None and endpoint["EndpointStatus"] == "Failed":
            # One that never came up cannot be changed, only made anew.
            self.sagemaker.delete_endpoint(EndpointName=self.hosting.endpoint)
            self.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=self.hosting.endpoint)
            endpoint = None
        if endpoint is None:
            self._create("create_endpoint", name)
            return
        alone = len(config["ProductionVariants"]) == 1 and "ShadowProductionVariants" not in config
        self.sagemaker.update_endpoint(**name, **({"DeploymentConfig": self.hosting.update()} if alone else {}))

    def _archive(self, wanted: Wanted, files: Path) -> None:
        """Put the verified files where SageMaker takes them from; named by their digest, they are put once."""
        bucket, _, key = self.hosting.archive(wanted.deployed).removeprefix("s3://").partition("/")
        if self.s3.list_objects_v2(Bucket=bucket, Prefix=key).get("KeyCount"):
            return
        with tempfile.TemporaryFile() as spool:
            with tarfile.open(fileobj=spool, mode="w:gz") as archive:
                archive.add(files, arcname=".")
            spool.seek(0)
            self.s3.upload_fileobj(spool, bucket, key)

    def _create(self, call: str, arguments: Mapping[str, Any]) -> None:
        """Create what follows from its name: there already, it is what it should be."""
        try:
            getattr(self.sagemaker, call)(**arguments)
        except self._client_error as error:
            if "already exist" not in _message(error).lower():
                raise

    @property
    def _client_error(self) -> Any:
        return self.sagemaker.exceptions.ClientError

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        """Errors of AWS by their meaning."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError  # type: ignore[import-untyped]

        subject = f"SageMaker could not {what} at {self.address}"
        try:
            yield
        except MlopsError:
            raise
        except ClientError as error:
            raise _kind(error)(f"{subject}: {_message(error)}") from error
        except NoCredentialsError as error:
            raise ConfigurationError(f"{subject}: there are no credentials in the AWS connection.") from error
        except (BotoCoreError, OSError) as error:
            raise ServiceUnavailable(f"{subject}: {error}") from error


def _kind(error: Any) -> type[MlopsError]:
    code, status = error.response["Error"].get("Code", ""), error.response.get("ResponseMetadata", {})
    if code in _DENIED:
        return AccessDenied
    if "Throttling" in code or int(status.get("HTTPStatusCode", 400)) >= 500:
        return ServiceUnavailable
    # Somebody else began to change the endpoint between our look and our change: look again.
    if "in-progress" in _message(error).lower() or "in progress" in _message(error).lower():
        return ServiceUnavailable
    return DeploymentError


def _message(error: Any) -> str:
    return str(error.response["Error"].get("Message", error))[:500]
