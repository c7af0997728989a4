"""Bring up a version: fetched once, verified, kept on this machine, loaded and warmed. Runs in the model's process."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_mlops.core.packages import Package
from airflow_mlops.core.signatures import synthetic_example
from airflow_mlops.exceptions import DeploymentError, MlopsError
from airflow_mlops.serving.explanation import typical_values
from airflow_mlops.serving.values import Values, frame_of, taker_of
from airflow_mlops.steps.baselines import baseline_of
from airflow_mlops.steps.packages import LoadedModel, fetch, load

if TYPE_CHECKING:
    import pandas as pd

    from airflow_mlops.core.tracking import Mlflow

MANIFEST: Final = "manifest.json"
#: Warm-up: predictions of one row, at most so many and so long, and one of more rows.
_TRIES, _SECONDS, _MANY = 10, 2.0, 64


@dataclass(frozen=True)
class Order:
    """Which version to bring up.

    :param model: its registered name
    :param version: its number, to be fetched; None for what a folder holds
    :param folder: of a kept copy
    :param keep: where copies are kept
    """

    model: str
    version: int | None
    folder: Path | None
    keep: Path
    connect: Callable[[], Mlflow]
    trusted: tuple[str, ...] = ()
    threads: int = 1


@dataclass(frozen=True)
class Kept:
    """A verified copy on this machine.

    :param typical: a usual value of each column, where one is known
    """

    folder: Path
    package: Package
    typical: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Kept:
        """Read a copy's manifest; its files are verified when they are loaded.

        :raises DeploymentError: it is no copy
        """
        try:
            data = json.loads((folder / MANIFEST).read_text())
            return cls(folder, Package.from_json(data["package"]), data["typical"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DeploymentError(f"The kept copy {folder.name} cannot be read: fetch the version again.") from error


@dataclass(frozen=True)
class Ready:
    """A model that may answer.

    :param milliseconds: the fastest prediction of one row
    """

    kept: Kept
    model: LoadedModel
    milliseconds: float

    def to_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.kept.folder),
            "package": self.kept.package.to_json(),
            "typical": dict(self.kept.typical),
            "milliseconds": self.milliseconds,
        }


def bring(order: Order) -> Ready:
    """Fetch if it must be, verify, load and warm; any error means that this version serves nothing."""
    kept = Kept.open(order.folder) if order.folder else obtain(order)
    model = load(kept.folder / "model", kept.package, order.trusted)
    return Ready(kept, model, warm(model, kept.typical))


def obtain(order: Order) -> Kept:
    """The kept copy of a version whose digest the registry names, fetched if it is not there."""
    client = order.connect()
    try:
        version = client.registry.version(order.model, order.version or 0)
        if version.status != "READY":
            raise DeploymentError(f"Version {version.version} of model {version.name} is {version.status}, not READY.")
        order.keep.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=order.keep) as spool:
            package = fetch(client, version, Path(spool, "copy", "model"))
            typical = _typical(client, package)
            manifest = {"package": package.to_json(), "typical": typical}
            Path(spool, "copy", MANIFEST).write_text(json.dumps(manifest))
            folder = order.keep / f"{package.version}-{package.digest[:16]}"
            if folder.exists():  # kept before, and perhaps changed since
                os.replace(folder, Path(spool, "old"))
            os.replace(Path(spool, "copy"), folder)
        return Kept(folder, package, typical)
    finally:
        client.close()


def warm(model: LoadedModel, typical: Mapping[str, Any]) -> float:
    """Predict made-up rows; the milliseconds of the fastest single one.

    :raises PredictionError: the model cannot answer them
    """
    one = warm_rows(model.package, typical)
    fastest, end = float("inf"), time.monotonic() + _SECONDS
    for _ in range(_TRIES):
        begin = time.perf_counter()
        model.predict(one)
        fastest = min(fastest, time.perf_counter() - begin)
        if time.monotonic() > end:
            break
    import pandas as pd

    model.predict(pd.concat([one] * _MANY, ignore_index=True))
    return fastest * 1000


def warm_rows(package: Package, typical: Mapping[str, Any]) -> pd.DataFrame:
    """One row of usual values, or of made-up ones where none are known."""
    example = {**synthetic_example(package.columns), **typical}
    values: list[Values] = [taker_of(column)([example[column.name]]) for column in package.columns]
    return frame_of(package.columns, values)


def _typical(client: Mlflow, package: Package) -> dict[str, Any]:
    """Usual values by the baseline; a version without one is served all the same."""
    try:
        return typical_values(baseline_of(client, package.name, package.version), package.columns)
    except MlopsError:
        return {}
