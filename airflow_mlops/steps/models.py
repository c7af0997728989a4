"""Model files: saved for MLflow, loaded only from a verified digest through our own allow-list."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from airflow_mlops.clients.digests import digest_of as digest_of
from airflow_mlops.core.import_path import import_object
from airflow_mlops.core.signatures import Column, synthetic_example
from airflow_mlops.core.trust import trusted_types
from airflow_mlops.exceptions import ConfigurationError, TrainingError, UntrustedModel

#: A skops file is a zip: bounds on what it may unpack to.
_MAX_ENTRIES, _MAX_BYTES = 100_000, 8 << 30


def save_model(folder: Path, estimator: Any, *, inputs: list[Column], outputs: str, trusted: Iterable[str] = ()) -> str:
    """Write a fitted estimator in MLflow's format and return the folder's digest.

    :param inputs: the signature
    :param outputs: MLflow type of a prediction
    :raises TrainingError: the estimator holds a type that neither the allow-list nor ``trusted`` names
    """
    import mlflow.sklearn
    import pandas as pd
    from mlflow.exceptions import MlflowException
    from mlflow.models.signature import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    allowed = _allowed(trusted)
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType[c.type], c.name, c.required) for c in inputs]),
        outputs=Schema([ColSpec(DataType[outputs])]),
    )
    try:
        mlflow.sklearn.save_model(
            estimator,
            str(folder),
            serialization_format="skops",
            signature=signature,
            input_example=pd.DataFrame([synthetic_example(inputs)]),
            pip_requirements=_requirements(),
            skops_trusted_types=sorted(allowed),
        )
    except MlflowException as error:
        if "untrusted" not in str(error).lower():
            raise
        raise TrainingError(
            f"The estimator holds types that are not trusted: {', '.join(sorted(_untrusted_of(estimator, allowed)))}. "
            "Use importable classes instead of functions, and name them under trusted in the project file."
        ) from error
    return digest_of(folder)


def load_file(path: Path, trusted: Iterable[str] = ()) -> Any:
    """Load a skops file whose types are all on the allow-list."""
    allowed = _allowed(trusted)
    unknown = types_of(path) - allowed
    if unknown:
        raise UntrustedModel(
            f"{path.name} holds types that are not trusted: {', '.join(sorted(unknown))}. "
            "If they are your own classes, name them under trusted in the project file."
        )
    return import_skops().load(str(path), trusted=sorted(allowed))


def types_of(path: Path) -> set[str]:
    """The types that a skops file names, beyond those that skops itself trusts; nothing of it is run.

    :raises UntrustedModel: it is no skops file, or would unpack to too much
    """
    if not zipfile.is_zipfile(path):
        raise UntrustedModel(f"{path.name} is not a skops file: refused.")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        if len(entries) > _MAX_ENTRIES or sum(entry.file_size for entry in entries) > _MAX_BYTES:
            raise UntrustedModel(f"{path.name} would unpack to too much: refused.")
        return set(import_skops().get_untrusted_types(file=str(path)))
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise UntrustedModel(f"{path.name} cannot be read as a skops file: refused.") from error


def import_skops() -> Any:
    """``skops.io``, silent: its import looks through every loaded module, and Airflow's warn of old names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import skops.io

    return skops.io


@cache
def environment() -> str:
    """Every installed distribution as ``name==version``, one per line."""
    import importlib.metadata

    texts = (found.metadata for found in importlib.metadata.distributions())  # parsed anew each time it is asked for
    versions = {text["Name"].lower(): text["Version"] for text in texts if text["Name"]}
    return "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))


def _requirements() -> list[str]:
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in ("scikit-learn", "skops", "numpy", "pandas")]


def _allowed(trusted: Iterable[str]) -> frozenset[str]:
    names = list(trusted)
    for name in names:
        if not isinstance(import_object(name, "trusted type"), type):
            raise ConfigurationError(f"Trusted type {name} is not a class: name importable classes only.")
    return trusted_types(names)


def _untrusted_of(estimator: Any, allowed: frozenset[str]) -> set[str]:
    skops_io = import_skops()
    return set(skops_io.get_untrusted_types(data=skops_io.dumps(estimator))) - allowed
