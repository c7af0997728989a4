"""``@task.prepare_data``: a function from Arrow tables to a table becomes a task from snapshots to a snapshot."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory

from airflow_mlops.operators.base import MlopsOperator
from airflow_mlops.operators.snapshots import PrepareDataOperator

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.bases.decorator import TaskDecorator


class PrepareDataDecoratedOperator(DecoratedOperator, PrepareDataOperator):
    """The decorated function's arguments that are snapshots arrive as Arrow tables; the others as they are."""

    custom_operator_name = "@task.prepare_data"
    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *MlopsOperator.template_fields,
        "name",
        "order_by",
    )

    def __init__(self, *, python_callable: Callable[..., Any], **kwargs: Any) -> None:
        super().__init__(
            python_callable=python_callable,
            kwargs_to_upstream={"function": python_callable, "inputs": {}},
            **kwargs,
        )

    def execute(self, context: Context) -> Any:
        given = call_arguments(self)
        self.inputs = {name: value for name, value in given.items() if _is_snapshot(value)}
        self.arguments = {name: value for name, value in given.items() if name not in self.inputs}
        return MlopsOperator.execute(self, context)


def call_arguments(task: DecoratedOperator) -> dict[str, Any]:
    """Positional and keyword arguments of the decorated call, by name."""
    return {
        **dict(zip(inspect.signature(task.python_callable).parameters, task.op_args, strict=False)),
        **task.op_kwargs,
    }


def _is_snapshot(value: Any) -> bool:
    return isinstance(value, Mapping) and "uri" in value and "data_version" in value


def prepare_data_task(
    python_callable: Callable[..., Any] | None = None, multiple_outputs: bool | None = None, **kwargs: Any
) -> TaskDecorator:
    """Make a snapshot with the decorated function; see :class:`PrepareDataOperator` for the arguments."""
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=PrepareDataDecoratedOperator,
        **kwargs,
    )
