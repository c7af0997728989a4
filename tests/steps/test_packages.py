"""From the registry to a prediction: the version that is meant, files that are verified, answers that are usable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from airflow_mlops.core.packages import ModelRef, Package, signature_of
from airflow_mlops.core.signatures import Column
from airflow_mlops.exceptions import ConfigurationError, PredictionError, UntrustedModel
from airflow_mlops.steps.packages import LoadedModel

RANDOM = np.random.default_rng(0)
ROWS = pd.DataFrame(RANDOM.normal(size=(300, 2)), columns=["a", "b"])
TWO = np.where(ROWS["a"] + RANDOM.normal(size=300) > 0, "yes", "no")
THREE = np.where(ROWS["b"] > 1, "hot", TWO)


def loaded(estimator: Any, task: str = "classification") -> LoadedModel:
    columns = (Column("a", "double"), Column("b", "double"))
    return LoadedModel(Package("m", 1, "m-1", "d", task, columns, "string"), estimator)


@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)),
        HistGradientBoostingClassifier(max_iter=5),
        SVC(probability=True, random_state=0),
    ],
    ids=["logistic", "forest in a pipeline", "boosting", "vectors"],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_labels_and_scores_are_the_estimators_own(estimator: Any, labels: np.ndarray) -> None:
    found = loaded(estimator.fit(ROWS, labels)).predict(ROWS)
    chances = estimator.predict_proba(ROWS)
    assert np.array_equal(found.values, estimator.predict(ROWS))
    label = np.searchsorted(estimator.classes_, found.values)
    wanted = chances[:, 1] if chances.shape[1] == 2 else chances[np.arange(len(ROWS)), label]
    assert found.scores is not None
    assert np.array_equal(found.scores, wanted)


def test_a_threshold_of_the_users_own_decides() -> None:
    careful = FixedThresholdClassifier(LogisticRegression(), threshold=0.9, pos_label="yes").fit(ROWS, TWO)
    found = loaded(careful).predict(ROWS)
    assert np.array_equal(found.values, careful.predict(ROWS))
    assert (found.values == "yes").sum() < (LogisticRegression().fit(ROWS, TWO).predict(ROWS) == "yes").sum()


def test_an_answer_that_is_none_is_refused() -> None:
    model = LinearRegression().fit(ROWS, ROWS["a"])
    model.coef_ = np.array([np.nan, 0])
    with pytest.raises(PredictionError, match=r"Version 1 of model m gave NaN"):
        loaded(model, "regression").predict(ROWS)
    model = LinearRegression().fit(ROWS, ROWS)
    with pytest.raises(PredictionError, match=r"shape \(300, 2\) for 300 rows"):
        loaded(model, "regression").predict(ROWS)
    with pytest.raises(PredictionError, match="failed to predict"):
        loaded(model, "regression").predict(ROWS[["a"]])


@pytest.mark.parametrize(
    "uri",
    ["", "models:/m", "models:/m@", "models:/m/0", "models:/m/latest", "models:/m@v1", "models:/../x/1", "runs:/1"],
)
def test_what_names_no_version_is_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError):
        ModelRef.parse(uri)


@pytest.mark.parametrize("mlmodel", [{}, {"signature": None}, {"signature": {"inputs": "[]", "outputs": "[]"}}, []])
def test_without_a_signature_nothing_is_known(mlmodel: Any) -> None:
    with pytest.raises(UntrustedModel, match="no signature"):
        signature_of(mlmodel)
