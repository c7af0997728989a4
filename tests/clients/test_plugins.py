"""A plugin of mlflow.deployments: one that tells what it was given, and one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.deployments import BaseDeploymentClient
from mlflow.deployments.interface import plugin_store

from airflow_mlops.clients.plugins import PluginTarget
from airflow_mlops.core.deployment import Deployed, Standing, Wanted
from airflow_mlops.exceptions import ConfigurationError, DeploymentError, ServiceUnavailable

HELD: dict[str, dict[str, Any]] = {}
ONE, TWO = Wanted(Deployed("m", 1, "d1")), Wanted(Deployed("m", 2, "d2"))


class Client(BaseDeploymentClient):
    def create_deployment(self, name, model_uri, flavor=None, config=None, endpoint=None):  # type: ignore[no-untyped-def]
        if name in HELD:
            raise ValueError(f"{name} is there already")
        HELD[name] = {"name": name, "model_uri": model_uri, "inner": {"config": config}}
        return HELD[name]

    def update_deployment(self, name, model_uri=None, flavor=None, config=None, endpoint=None):  # type: ignore[no-untyped-def]
        HELD[name] |= {"model_uri": model_uri, "inner": {"config": config}}

    def delete_deployment(self, name, config=None, endpoint=None):  # type: ignore[no-untyped-def]
        del HELD[name]

    def list_deployments(self, endpoint=None):  # type: ignore[no-untyped-def]
        if self.target_uri.endswith("away"):
            raise ConnectionError("nobody at home")
        return [{"name": name} for name in HELD]

    def get_deployment(self, name, endpoint=None):  # type: ignore[no-untyped-def]
        return HELD[name] if not self.target_uri.endswith("silent") else {"name": name, "state": "up"}

    def predict(self, deployment_name=None, inputs=None, endpoint=None):  # type: ignore[no-untyped-def]
        raise NotImplementedError


@pytest.fixture(autouse=True)
def plugin() -> Iterator[None]:
    """As a package registers its plugin with an entry point."""
    import sys
    import types

    module: Any = types.ModuleType("behaving_plugin")
    module.run_local, module.target_help = lambda *_: None, lambda: "help"
    module.Client = type("Client", (Client,), {"__module__": "behaving_plugin"})
    sys.modules["behaving_plugin"] = module
    plugin_store.registry["behaving"] = module
    HELD.clear()
    yield
    del plugin_store.registry["behaving"], sys.modules["behaving_plugin"]


def test_what_was_sent_is_told_back(tmp_path: Path) -> None:
    target = PluginTarget("behaving:/here", config={"size": "small"})
    assert target.takes_files
    assert target.standing("m") == Standing()
    for wanted in (ONE, TWO, ONE):
        target.put(wanted, tmp_path)
        assert PluginTarget("behaving:/here").standing("m") == Standing(wanted.deployed)
    assert HELD["m"]["model_uri"] == str(tmp_path)
    assert HELD["m"]["inner"]["config"]["size"] == "small"


def test_the_registrys_own_uri_for_those_who_fetch_it_themselves() -> None:
    target = PluginTarget("behaving:/here", deployment="flights", send="registry")
    assert not target.takes_files
    target.put(TWO, None)
    assert HELD["flights"]["model_uri"] == "models:/m/2"
    with pytest.raises(ConfigurationError, match="write files or registry"):
        PluginTarget("behaving:/here", send="both")  # type: ignore[arg-type]


def test_of_a_silent_plugin_only_this_task_knows_what_it_sent(tmp_path: Path) -> None:
    target = PluginTarget("behaving:/silent")
    target.put(ONE, tmp_path)
    assert target.standing("m") == Standing(ONE.deployed)
    assert PluginTarget("behaving:/silent").standing("m") == Standing()


def test_what_a_plugin_raises() -> None:
    with pytest.raises(ServiceUnavailable, match="could not list its deployments: nobody at home"):
        PluginTarget("behaving:/away").standing("m")
    with pytest.raises(DeploymentError, match="mlflow-deployments:unheard-of could not list"):
        PluginTarget("unheard-of").standing("m")
