"""Great Expectations' Spark engine over a snapshot's Parquet files, which the cluster must be able to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from airflow_mlops.core.validation.report import raised
from airflow_mlops.core.validation.routes import is_rounded, too_close
from airflow_mlops.steps.spark import quoted, spark_session
from airflow_mlops.steps.validation.checks import Check, run

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Spark takes the lower of the two middle values.
_ANOTHER: Final = frozenset({"expect_column_median_to_be_between"})


def on_cluster(
    files: Sequence[str], kinds: Mapping[str, str], nulls: Mapping[str, bool], checks: Sequence[Check]
) -> list[Any]:
    """What Spark says of each check; None where it does not answer, or too close to a bound to trust it."""
    if not checks:
        return []
    from great_expectations.execution_engine import SparkDFExecutionEngine
    from great_expectations.execution_engine.sparkdf_batch_data import SparkDFBatchData

    frame = _shown(spark_session().read.parquet(*files), kinds, nulls)
    engine = SparkDFExecutionEngine(persist=False)
    engine.load_batch_data("rows", SparkDFBatchData(execution_engine=engine, dataframe=frame))
    results = run(engine, checks)
    return [
        None if one is None or raised({"exception_info": one.exception_info}) or _unsure(check, one, frame) else one
        for check, one in zip(checks, results, strict=True)
    ]


def _shown(frame: DataFrame, kinds: Mapping[str, str], nulls: Mapping[str, bool]) -> DataFrame:
    """Columns as pandas has them: NaN is a missing value, whole numbers beside nulls are floats."""
    shown = []
    for name in frame.columns:
        column = quoted(name)
        if kinds.get(name) == "float":
            column = f"nanvl({column}, null) as {column}"
        elif kinds.get(name) == "integer" and nulls.get(name):
            column = f"cast({column} as double) as {column}"
        shown.append(column)
    return frame.selectExpr(*shown)


def _unsure(check: Check, found: Any, frame: DataFrame) -> bool:
    """Whether the two engines' rounding could put a result on two sides of a bound."""
    if not is_rounded(check.expectation):
        return False
    observed = (found.result or {}).get("observed_value")
    if observed is None or check.expectation.type in _ANOTHER:
        return True
    name = quoted(check.expectation.columns[0])
    rows, largest = frame.selectExpr(f"count({name})", f"max(abs(cast({name} as double)))").collect()[0]
    return too_close(check.expectation, float(observed), int(rows), float(largest or 0))
