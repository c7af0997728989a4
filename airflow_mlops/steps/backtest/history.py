"""The models of the past that belong together: one name, one spec, and windows of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_mlops.core import tags
from airflow_mlops.core.backtest import PastModel
from airflow_mlops.core.training import TrainedModel
from airflow_mlops.core.windows import Bounds, instant
from airflow_mlops.exceptions import ConfigurationError, NotEnoughData
from airflow_mlops.steps.logged_models import describe, trained_models

if TYPE_CHECKING:
    from airflow_mlops.core.tracking import LoggedModel, Mlflow


@dataclass(frozen=True)
class History:
    """Models of one name and one spec, the oldest first, and what was left out for it."""

    experiment_id: str
    models: Mapping[str, TrainedModel]
    past: list[PastModel]
    left_out: list[str]


def find_history(
    client: Mlflow, name: str, *, start: str | datetime | None, end: str | datetime | None, like: str | None
) -> History:
    """Finished models that nobody superseded, live and historical, of one spec and with windows of time."""
    found = [
        model
        for model in trained_models(client, name)
        if {tags.SPEC, tags.AS_OF, tags.SNAPSHOT, tags.DIGEST} <= set(model.tags)
        and tags.SUPERSEDED_BY not in model.tags
    ]
    first, last = (instant(bound, what) if bound else None for bound, what in ((start, "start"), (end, "end")))
    inside = [
        model
        for model in found
        if (first is None or first <= instant(model.tags[tags.AS_OF]))
        and (last is None or instant(model.tags[tags.AS_OF]) <= last)
    ]
    if not inside:
        between = f" with an as-of from {first or 'the first'} to {last or 'the last'}" if first or last else ""
        raise NotEnoughData(f"Model {name} has no trained model{between}: backfill its training first.")
    regular = [model for model in inside if tags.PARENT not in model.tags] or inside  # a candidate is an attempt
    spec = _spec_of(found, name, like) or regular[-1].tags[tags.SPEC]
    of_spec = [model for model in inside if model.tags[tags.SPEC] == spec]
    timed = [model for model in of_spec if tags.UNKNOWN not in _bounds(model)]
    left_out = [
        *_counted(len(inside) - len(of_spec), "of another spec: other parameters, features or seed"),
        *_counted(len(of_spec) - len(timed), "without windows of time"),
    ]
    if not timed:
        raise NotEnoughData(
            f"Model {name}: none of its {len(of_spec)} models has a training window: nothing has an age."
        )
    models = {model.model_id: describe(model) for model in timed}
    return History(timed[0].experiment_id, models, [_past(model) for model in timed], left_out)


def _spec_of(found: list[LoggedModel], name: str, like: str | None) -> str | None:
    if not like:
        return None
    named = next((model for model in found if model.model_id == like), None)
    if named is None:
        raise ConfigurationError(f"Model {name} has no trained model {like} to be like.")
    return named.tags[tags.SPEC]


def _counted(count: int, what: str) -> list[str]:
    return [f"{count} model{'s' if count > 1 else ''} {what}."] if count else []


def _bounds(model: LoggedModel) -> list[str]:
    return [model.tags.get(name, tags.UNKNOWN) for name in (tags.TRAIN_END, tags.TEST_START, tags.TEST_END)]


def _past(model: LoggedModel) -> PastModel:
    train_end, start, end = map(instant, _bounds(model))
    return PastModel(model.model_id, instant(model.tags[tags.AS_OF]), train_end, Bounds(start, end), model.created)
