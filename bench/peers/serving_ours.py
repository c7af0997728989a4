"""Our server over a registry that is a folder: a version is ``<folder>/<number>``, with its tags beside it."""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow_mlops.core.packages import ModelRef
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.exceptions import NotFound
from airflow_mlops.serving.server import run
from airflow_mlops.serving.settings import Settings


@dataclass(frozen=True)
class Folder:
    """As much of MLflow as the server asks for."""

    root: Path

    def __call__(self) -> Folder:
        return self

    @property
    def registry(self) -> Folder:
        return self

    @property
    def tracking(self) -> Folder:
        return self

    def alias(self, name: str, alias: str) -> int | None:
        return 1

    def version(self, name: str, version: int) -> ModelVersion:
        path = self.root / f"{version}.json"
        if not path.exists():
            raise NotFound(f"There is no version {version}.")
        return ModelVersion(name, version, f"models:/m-{version}", tags=json.loads(path.read_text()))

    def model(self, model_id: str) -> Any:
        return SimpleNamespace(artifact_uri=str(self.root / model_id.removeprefix("m-")), run_id="")

    def download(self, uri: str, folder: Path) -> None:
        shutil.copytree(uri, folder, dirs_exist_ok=True)

    def close(self) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", help="write a prediction log there")
    given = parser.parse_args()
    settings = Settings(
        ModelRef("flights", alias="champion"),
        Folder(given.folder.absolute()),
        given.folder.absolute() / "kept",
        token="bench",
        log=given.log,
    )
    run(settings, port=given.port)


if __name__ == "__main__":
    main()
