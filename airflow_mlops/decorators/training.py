"""``@task.train_model``: a function that returns an unfitted estimator becomes a training task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory

from airflow_mlops.core.import_path import call_path
from airflow_mlops.decorators.snapshots import call_arguments
from airflow_mlops.operators.base import MlopsOperator
from airflow_mlops.operators.training import TrainModelOperator

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.bases.decorator import TaskDecorator


class TrainModelDecoratedOperator(DecoratedOperator, TrainModelOperator):
    """The call's arguments are the estimator's parameters; snapshot, model and target go to the decorator."""

    custom_operator_name = "@task.train_model"
    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *(field for field in TrainModelOperator.template_fields if field not in ("estimator", "parameters")),
    )

    def __init__(self, *, python_callable: Callable[..., Any], **kwargs: Any) -> None:
        super().__init__(
            python_callable=python_callable,
            kwargs_to_upstream={"estimator": call_path(python_callable)},
            **kwargs,
        )

    def execute(self, context: Context) -> Any:
        self.parameters = call_arguments(self)
        return MlopsOperator.execute(self, context)

    def run_step(self, context: Context, build: Callable[..., Any] | None = None) -> dict[str, Any]:
        return super().run_step(context, build or self.python_callable)


def train_model_task(
    python_callable: Callable[..., Any] | None = None, multiple_outputs: bool | None = None, **kwargs: Any
) -> TaskDecorator:
    """Train what the decorated function returns; see :class:`TrainModelOperator` for the arguments."""
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=TrainModelDecoratedOperator,
        **kwargs,
    )
