"""Profiles on Spark: each partition counts its own rows with the kernel of one process, and the parts add up.

The workers need this package, numpy and pyarrow.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_mlops.core.profiles import Plan, Profile, profile_batches
from airflow_mlops.core.profiles.fitting import MOST_TEXTS, ColumnFitter, fitters_of, plan_of
from airflow_mlops.core.profiles.profiler import check_columns
from airflow_mlops.core.profiles.sources import instant_of
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.steps.scan import SAMPLE

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

_SEED = 2013
#: A Spark that no setting sends to a cluster runs in this process and listens to this machine alone.
_ALONE = {
    "spark.master": f"local[{min(2, os.cpu_count() or 1)}]",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
}


class SparkScan:
    """The rows of a Spark DataFrame, with what :class:`~airflow_mlops.steps.scan.ParquetScan` can do with files."""

    def __init__(self, frame: DataFrame) -> None:
        self.frame = frame

    def profile(self, plan: Plan, as_of: datetime | str | None = None) -> Profile:
        """Count all rows as a plan says: integer for integer what one process counts.

        :raises ProfileError: a column is missing, or of a type that the plan cannot count
        """
        check_columns(plan, self.frame.columns)
        moment = instant_of(as_of).isoformat() if plan.needs_as_of else None
        # By plain names: mapInArrow takes none with a dot or a backtick.
        chosen = self.frame.selectExpr(*(f"{quoted(name)} as c{i}" for i, name in enumerate(plan.sources)))
        parts = chosen.mapInArrow(_counter(plan, moment), "profile string").collect()
        return Profile.empty(plan, moment).merge(*(Profile.from_json(json.loads(part.profile)) for part in parts))

    def fit(
        self,
        columns: Sequence[str] | None = None,
        sensitive: Iterable[str] = (),
        as_of: datetime | str | None = None,
    ) -> Plan:
        """The plan of these rows as a reference: edges from a sample of them, keys from all."""
        fitters = list(fitters_of(self.frame.limit(0).toArrow().schema, columns, sensitive, as_of))
        sampled = [fitter for fitter in fitters if not fitter.wants_all and not fitter.wants_none]
        if sampled:
            rows = self._sample([fitter.name for fitter in sampled])
            for fitter in sampled:
                for part in rows.column(fitter.name).chunks:
                    fitter.update(part)
        for fitter in fitters:
            if fitter.wants_all:
                self._tally(fitter)
        return plan_of(fitter.plans() for fitter in fitters)

    def _sample(self, names: Sequence[str]) -> pa.Table:
        rows = self.frame.count()
        chosen = self.frame.select(*map(quoted, names))
        if rows > SAMPLE:
            chosen = chosen.sample(fraction=SAMPLE / rows, seed=_SEED)
        return chosen.toArrow()

    def _tally(self, fitter: ColumnFitter) -> None:
        """Each text of a column and how often it is there; of too many those that are there most often."""
        name = quoted(fitter.name)
        counted = self.frame.where(f"{name} is not null").groupBy(name).count()
        most = counted.orderBy("count", fitter.name, ascending=[False, True]).limit(MOST_TEXTS + 1).toArrow()
        fitter.tally(most.column(0).to_pylist(), most.column("count").to_numpy())


def profile_frame(
    frame: DataFrame,
    plan: Plan | None = None,
    *,
    columns: Sequence[str] | None = None,
    sensitive: Iterable[str] = (),
    as_of: datetime | str | None = None,
) -> Profile:
    """The profile of a Spark DataFrame; without a plan it is a reference, and the plan is made of it.

    :param columns: the columns of a reference; None for all
    :param sensitive: columns of a reference of which nothing but rows and nulls may be counted
    """
    scan = SparkScan(frame)
    return scan.profile(plan or scan.fit(columns, sensitive, as_of), as_of)


def spark_session() -> SparkSession:
    """The session that is there, else the one that the machine's settings ask for, else one in this process alone.

    :raises ConfigurationError: Spark or its Java is missing
    """
    try:
        from pyspark import SparkConf
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigurationError("Spark is missing: install airflow-mlops[spark], and a Java of version 17.") from error
    if active := SparkSession.getActiveSession():
        return active
    builder = SparkSession.builder.appName("airflow-mlops")
    if not (SparkConf().get("spark.master", None) or os.environ.get("MASTER") or os.environ.get("SPARK_REMOTE")):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        for name, value in _ALONE.items():
            builder = builder.config(name, value)
    return builder.getOrCreate()


def _counter(plan: Plan, as_of: str | None) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What a worker runs on the batches of its partition."""
    told, sources = plan.to_json(), plan.sources

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        named = (pa.RecordBatch.from_arrays(batch.columns, names=sources) for batch in batches)
        yield pa.RecordBatch.from_pydict({"profile": [json.dumps(profile_batches(told, named, as_of))]})

    return count


def quoted(name: str) -> str:
    """A column's name as Spark's SQL has it."""
    return "`" + name.replace("`", "``") + "`"
