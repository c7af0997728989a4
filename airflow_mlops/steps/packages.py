"""A version that may answer: found, copied, verified and loaded. The one way from the registry to a prediction."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops.core import ledger, tags
from airflow_mlops.core.packages import MODEL_FILE, ModelRef, Package, check_layout, signature_of
from airflow_mlops.core.redaction import redact
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.core.trust import forbidden
from airflow_mlops.exceptions import DigestMismatch, NoVersion, PredictionError, UntrustedModel
from airflow_mlops.steps.models import digest_of, load_file, types_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from airflow_mlops.core.registry import Registry
    from airflow_mlops.core.tracking import Mlflow

#: Classifiers whose label is the class of the greatest probability, and whether a tie of two goes to the second.
#: Others are asked twice: a support vector machine's probabilities may say otherwise than its decision.
_BY_PROBABILITY = {
    "DecisionTreeClassifier": False, "ExtraTreesClassifier": False, "GaussianNB": False,
    "HistGradientBoostingClassifier": True, "KNeighborsClassifier": False, "LogisticRegression": False,
    "RandomForestClassifier": False,
}  # fmt: skip


@dataclass(frozen=True)
class Predictions:
    """What a model says of rows.

    :param values: a label or number per row
    :param scores: of two classes P(the second), of more that of the label; None for what is no classification
    """

    values: np.ndarray
    scores: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class LoadedModel:
    """A verified model in memory."""

    package: Package
    estimator: Any

    def predict(self, rows: pd.DataFrame) -> Predictions:
        """Predictions of rows that have the package's columns, in its order and types.

        :raises PredictionError: the estimator refused, or its answer is not one finite value per row
        """
        import numpy as np

        try:
            values, scores = _answer(self.estimator, rows, self.package.task)
        except Exception as error:  # an estimator of the user's own may raise anything
            raise PredictionError(f"{self._subject} failed to predict: {redact(error)}.") from None
        values = np.asarray(values)
        if values.shape != (len(rows),):
            raise PredictionError(
                f"{self._subject} gave an answer of shape {values.shape} for {len(rows)} rows: it owes one value each."
            )
        for numbers in (values, scores):
            if numbers is not None and numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
                raise PredictionError(f"{self._subject} gave NaN or infinity.")
        return Predictions(values, scores)

    @property
    def _subject(self) -> str:
        return str(self.package)[:1].upper() + str(self.package)[1:]


def find_version(registry: Registry, ref: ModelRef, at: datetime | None = None) -> ModelVersion:
    """The version that a reference means: by number, by its alias of now, or by the ledger at an instant.

    :raises NoVersion: the alias names none
    :raises NotFound: there is none of this number
    """
    number = ref.version
    if number is None:
        if at is not None:
            number = ledger.in_force_at(ledger.history(registry.model_tags(ref.name)), at)
            when = f" at {at.isoformat()}"
        else:
            number, when = registry.alias(ref.name, ref.alias or ""), ""
        if number is None:
            raise NoVersion(f"Model {ref.name} had no {ref.alias}{when}: promote a version first.")
    return registry.version(ref.name, number)


def fetch(client: Mlflow, version: ModelVersion, folder: Path) -> Package:
    """Copy a version's files into an empty folder and verify them; nothing of them is run.

    :raises DigestMismatch: they are not those that were registered
    :raises UntrustedModel: the version says nothing that they could be verified by
    """
    digest = version.tags.get(tags.DIGEST)
    if not digest or not version.model_id:
        raise UntrustedModel(
            f"Version {version.version} of model {version.name} has no digest: it was not registered by this package, "
            "and cannot be told from one that somebody changed. Train and register it here."
        )
    client.tracking.download(client.tracking.model(version.model_id).artifact_uri, folder)
    return read_package(folder, version)


def read_package(folder: Path, version: ModelVersion) -> Package:
    """The manifest of files on this machine, which must be those of the version."""
    subject = f"version {version.version} of model {version.name}"
    columns, output = signature_of(check_files(folder, version.tags[tags.DIGEST], subject))
    return Package(
        name=version.name,
        version=version.version,
        model_id=version.model_id or "",
        digest=version.tags[tags.DIGEST],
        task=TrainingSpec.from_json(json.loads(version.tags[tags.SPEC])).task,
        columns=columns,
        output=output,
        facts={key: value for key, value in version.tags.items() if key.startswith("mlops.")},
    )


def check_files(folder: Path, digest: str, subject: str, known: str = "registered") -> dict[str, Any]:
    """Refuse files that are not those of a digest, or that no training of ours wrote; what their ``MLmodel`` says.

    Who can register a version can register any digest, so the layout is looked at too, and the names of the types;
    whether the project trusts them is known where they are loaded.

    :raises DigestMismatch: they are not those of the digest
    :raises UntrustedModel: they hold code, a pickle, a link, or types that nobody may trust
    """
    import yaml

    check_digest(folder, digest, subject, known)
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()]
    try:
        mlmodel = yaml.safe_load((folder / "MLmodel").read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UntrustedModel(f"The MLmodel file of {subject} cannot be read: refused.") from error
    check_layout(files, mlmodel, subject)
    if hostile := forbidden(types_of(folder / MODEL_FILE)):
        raise UntrustedModel(f"{MODEL_FILE} of {subject} holds {', '.join(hostile)}, which nobody may trust: refused.")
    return dict(mlmodel)


def check_digest(folder: Path, digest: str, subject: str, known: str = "registered") -> None:
    """Refuse files that are not those of a digest, and links that lead elsewhere.

    :param known: since when the digest is
    :raises DigestMismatch: they differ
    :raises UntrustedModel: one is no plain file
    """
    if folder.is_symlink() or any(path.is_symlink() for path in folder.rglob("*")):
        raise UntrustedModel(f"Among the files of {subject} is a link: refused.")
    if digest_of(folder) != digest:
        raise DigestMismatch(f"The files of {subject} are not those that were {known}: do not use them.")


def load(folder: Path, package: Package, trusted: Iterable[str] = ()) -> LoadedModel:
    """Load a fetched model, its digest verified once more: the folder may have lain there for long.

    :param trusted: classes that the project's own file names; what the model says of itself is not read
    """
    check_digest(folder, package.digest, str(package))
    return LoadedModel(package, load_file(folder / MODEL_FILE, trusted))


def load_model(client: Mlflow, artifact_uri: str, digest: str, trusted: Iterable[str] = ()) -> Any:
    """Fetch, verify and load an estimator that may not be registered, by the digest that was recorded at training."""
    with tempfile.TemporaryDirectory(prefix="mlops-model-") as private:  # mode 0700: what is verified is what is loaded
        folder = Path(private)
        client.tracking.download(artifact_uri, folder)
        check_files(folder, digest, f"the model at {artifact_uri}", "trained")
        return load_file(folder / MODEL_FILE, trusted)


def _answer(estimator: Any, rows: pd.DataFrame, task: str) -> tuple[Any, np.ndarray | None]:
    import numpy as np

    if task != "classification" or not hasattr(estimator, "predict_proba"):
        return estimator.predict(rows), None
    if type(estimator).__module__ == "sklearn.pipeline" and len(estimator.steps) > 1:
        # What goes before the last step is the same for both questions.
        rows, estimator = estimator[:-1].transform(rows), estimator[-1]
    chances = estimator.predict_proba(rows)
    kind = type(estimator)
    up = _BY_PROBABILITY.get(kind.__name__) if kind.__module__.startswith("sklearn.") else None
    if up is None:
        values = np.asarray(estimator.predict(rows))
        places = np.searchsorted(estimator.classes_, values)
    else:
        places = chances.argmax(axis=1)
        if up and chances.shape[1] == 2:
            places = (chances[:, 1] >= chances[:, 0]).astype(int)
        values = estimator.classes_[places]
    return values, chances[:, 1] if chances.shape[1] == 2 else chances[np.arange(len(chances)), places]
