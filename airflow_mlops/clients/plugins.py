"""Any plugin of ``mlflow.deployments`` as a target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from airflow_mlops.core.deployment import Deployed, Mode, Standing, Wanted
from airflow_mlops.core.deployment.target import deployed_of
from airflow_mlops.core.redaction import redact
from airflow_mlops.exceptions import ConfigurationError, DeploymentError, MlopsError, ServiceUnavailable

_PREFIX = "mlops_"


class PluginTarget:
    """One deployment of a plugin.

    The manifest goes along in its ``config``. A plugin that tells it back can be verified, and nothing is sent twice.
    Of one that does not, only what this task sent itself is known, and the next task sends it again.

    :param uri: of the plugin's target, such as ``sagemaker:/us-east-1``
    :param deployment: its name there; None for that of the model
    :param config: the plugin's own settings
    :param send: ``files`` (a folder with the verified files) or ``registry`` (the version's URI, for plugins that fetch
        it themselves)
    """

    modes: frozenset[Mode] = frozenset(("champion",))

    def __init__(
        self,
        uri: str,
        *,
        deployment: str | None = None,
        config: Mapping[str, Any] | None = None,
        send: Literal["files", "registry"] = "files",
    ) -> None:
        if send not in ("files", "registry"):
            raise ConfigurationError(f"send is {send!r}: write files or registry.")
        self.uri = uri
        self.deployment = deployment
        self.config = dict(config or {})
        self.send = send
        self._sent: Deployed | None = None

    @property
    def address(self) -> str:
        return f"mlflow-deployments:{self.uri}"

    @property
    def takes_files(self) -> bool:
        return self.send == "files"

    def standing(self, name: str) -> Standing:
        with self._named("list its deployments"):
            if self._name(name) not in self._names():
                return Standing()
            return Standing(_told(self._client.get_deployment(self._name(name))) or self._sent)

    def put(self, wanted: Wanted, files: Path | None) -> None:
        deployed = wanted.deployed
        uri = str(files) if files else f"models:/{deployed.name}/{deployed.version}"
        config = {**self.config, **{_PREFIX + key: value for key, value in wanted.facts.items()}}
        with self._named(f"deploy {deployed}"):
            name = self._name(deployed.name)
            send = self._client.update_deployment if name in self._names() else self._client.create_deployment
            send(name=name, model_uri=uri, config=config)
        self._sent = deployed

    def withdraw(self, name: str) -> None:
        """Nothing is ever on trial here."""

    def close(self) -> None:
        """The plugin keeps its connections to itself."""

    def _name(self, model: str) -> str:
        return self.deployment or model

    def _names(self) -> set[str]:
        return {str(one.get("name")) for one in self._client.list_deployments()}

    @property
    def _client(self) -> Any:
        from mlflow.deployments import get_deploy_client

        return get_deploy_client(self.uri)

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        """A plugin raises what it likes: what the network did may pass, anything else will not."""
        try:
            yield
        except MlopsError:
            raise
        except OSError as error:  # what requests raises is one
            raise ServiceUnavailable(f"{self.address} could not {what}: {redact(error)}.") from error
        except Exception as error:
            raise DeploymentError(f"{self.address} could not {what}: {redact(error)}.") from error


def _told(answer: Any) -> Deployed | None:
    """The manifest, wherever in a plugin's answer it stands.

    >>> _told({"name": "d", "config": {"mlops_name": "m", "mlops_version": "3", "mlops_digest": "x"}})
    Deployed(name='m', version=3, digest='x')
    """
    if not isinstance(answer, Mapping):
        return None
    mine = {str(key).removeprefix(_PREFIX): value for key, value in answer.items() if str(key).startswith(_PREFIX)}
    return deployed_of(mine) or next(filter(None, map(_told, answer.values())), None)
