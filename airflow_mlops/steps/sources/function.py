"""A function of the project."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.import_path import call_path, import_object
from airflow_mlops.core.slices import Slice
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.steps.sources.base import as_table, in_order

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class CallableSource:
    """A function ``f(*, start, end, as_of, **kwargs)`` that returns an Arrow table, batches, or a DataFrame."""

    function: str | Callable[..., Any]
    order_by: list[str]
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        path = self.function if isinstance(self.function, str) else call_path(self.function)
        return {"callable": path, "kwargs": dict(self.kwargs), "order_by": list(self.order_by)}

    def read(self, rows: Slice) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        if not self.order_by:
            raise ConfigurationError("A callable source needs order_by: name the columns that put its rows in order.")
        function = import_object(self.function, "source") if isinstance(self.function, str) else self.function
        bounds = rows.bounds
        table = as_table(
            function(start=bounds and bounds.start, end=bounds and bounds.end, as_of=rows.as_of, **self.kwargs),
            self.describe()["callable"],
        )
        return table.schema, in_order(table, self.order_by).to_batches()
