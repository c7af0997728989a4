"""Great Expectations' pandas engine: the whole table, some columns of it, or the rows chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.validation.routes import kind_of
from airflow_mlops.steps.validation.checks import Check, run

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from airflow_mlops.store.snapshots import Snapshot

#: Rows that are looked at at once where a check judges each row alone.
CHUNK = 524_288
#: Great Expectations' own limit of examples.
_EXAMPLES = 20


def on_table(snapshot: Snapshot, checks: Sequence[Check]) -> list[Any]:
    """Load what the checks need and ask them all."""
    names = [column["name"] for column in snapshot.manifest.schema]
    return run(engine_on(snapshot.table(_needed(checks, names)).to_pandas()), checks)


def on_columns(snapshot: Snapshot, checks: Sequence[Check], result_format: Any = "BASIC") -> list[Any]:
    """The same a few columns at a time: those that some checks share are loaded for them alone."""
    sharing: dict[frozenset[str] | None, list[int]] = {}
    for place, check in enumerate(checks):
        sharing.setdefault(check.reads, []).append(place)
    results: list[Any] = [None] * len(checks)
    names = [column["name"] for column in snapshot.manifest.schema]
    for places in sharing.values():
        group = [checks[place] for place in places]
        engine = engine_on(snapshot.table(_needed(group, names)).to_pandas(self_destruct=True, split_blocks=True))
        for place, result in zip(places, run(engine, group, result_format), strict=True):
            results[place] = result
        del engine
        _release()
    return results


def on_names(schema: pa.Schema, checks: Sequence[Check]) -> list[Any]:
    """Checks that look at the names of the columns only: a table without rows will do."""
    return run(engine_on(schema.empty_table().to_pandas()), checks) if checks else []


def in_chunks(snapshot: Snapshot, checks: Sequence[Check], nulls: Mapping[str, bool]) -> list[Any]:
    """Checks that judge each row alone: what was counted in the chunks is added up, and the sum is judged.

    :param nulls: whether a column has nulls anywhere, which decides its type in pandas
    """
    if not checks:
        return []
    sums: dict[Any, Any] = {}
    crashed: dict[int, Any] = {}
    engine = frame = None
    for _, frame in chunks(snapshot, checks, nulls):
        engine = engine_on(frame)
        waiting = [place for place in range(len(checks)) if place not in crashed]
        lost = _add(sums, engine, [checks[place] for place in waiting])
        for place in (waiting[number] for number in lost):
            # Asked again alone, for the words of its error.
            crashed[place] = run(engine, [checks[place]], "BASIC")[0]
    results = [crashed.get(place) or _judged(check, sums, engine) for place, check in enumerate(checks)]
    del engine, frame
    _release()
    return results


def chunks(
    snapshot: Snapshot, checks: Sequence[Check], nulls: Mapping[str, bool]
) -> Iterator[tuple[int, pd.DataFrame]]:
    """The columns that some checks need, with the number of the first row, as pandas would have them in one piece."""
    import pyarrow as pa

    names = _needed(checks, [column["name"] for column in snapshot.manifest.schema])
    start, held, waiting = 0, 0, list[Any]()
    for batch in snapshot.batches(names):
        waiting.append(batch)
        held += batch.num_rows
        if held >= CHUNK:
            yield start, _alike(pa.Table.from_batches(waiting), nulls)
            start, held, waiting = start + held, 0, []
    if waiting or start == 0:
        table = pa.Table.from_batches(waiting) if waiting else snapshot.table(names)
        yield start, _alike(table, nulls)


def engine_on(frame: pd.DataFrame) -> Any:
    """Great Expectations' pandas engine with a frame loaded."""
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.execution_engine.pandas_batch_data import PandasBatchData

    engine = PandasExecutionEngine()
    engine.load_batch_data("rows", PandasBatchData(execution_engine=engine, dataframe=frame))
    return engine


def _release() -> None:
    """Give memory back before the next columns come: Great Expectations' engines are rings of references."""
    import gc

    import pyarrow as pa

    gc.collect()
    pa.default_memory_pool().release_unused()


def _needed(checks: Sequence[Check], names: list[str]) -> list[str] | None:
    """What to load: all (None) as soon as one check may look at any column, or at the list of columns itself."""
    whole = ("expect_table_column", "expect_column_to_exist")
    reads = [check.reads for check in checks]
    if None in reads or any(check.expectation.type.startswith(whole) for check in checks):
        return None
    wanted = frozenset[str]().union(*(read for read in reads if read))
    # A table without columns has no rows to count.
    return [name for name in names if name in wanted] or names[:1]


def _alike(table: pa.Table, nulls: Mapping[str, bool]) -> pd.DataFrame:
    """Numbers become floats and booleans objects by a null anywhere, be it in another chunk."""
    frame: pd.DataFrame = table.to_pandas()
    wanted = {"integer": "float64", "boolean": "object"}
    kinds = {field.name: kind_of(str(field.type)) for field in table.schema}
    types = {name: wanted[kind] for name, kind in kinds.items() if kind in wanted and nulls.get(name)}
    return frame.astype(types) if types else frame


def _add(sums: dict[Any, Any], engine: Any, checks: Sequence[Check]) -> list[int]:
    """Add what a chunk counts to the sums; the places of the checks that it crashed come back."""
    try:
        counted = _counted(engine, checks)
    except Exception:
        # One without an answer takes the others with it: one by one, then.
        return [place for place, check in enumerate(checks) if len(checks) == 1 or _add(sums, engine, [check])]
    lost = [place for place, metrics in enumerate(counted) if metrics is None]
    for key, value in {key: value for metrics in counted for key, value in (metrics or {}).items()}.items():
        if isinstance(value, list):
            sums[key] = (sums.get(key, []) + value)[:_EXAMPLES]
        else:
            sums[key] = sums.get(key, 0) + int(value)
    return lost


def _counted(engine: Any, checks: Sequence[Check]) -> list[dict[Any, Any] | None]:
    """The counts and examples that each check asks for, by their ids; None where one is missing."""
    from great_expectations.validator.metrics_calculator import MetricsCalculator

    asked = [
        check.built.get_validation_dependencies(engine, {"result_format": "BASIC"}).get_metric_configurations()
        for check in checks
    ]
    found, _ = MetricsCalculator(engine).compute_metrics(
        [metric for metrics in asked for metric in metrics], {"result_format": "BASIC"}
    )
    whole = [all(metric.id in found for metric in metrics) for metrics in asked]
    return [
        {metric.id: found[metric.id] for metric in metrics} if complete else None
        for metrics, complete in zip(asked, whole, strict=True)
    ]


def _judged(check: Check, sums: Mapping[Any, Any], engine: Any) -> Any:
    """Great Expectations' own verdict on the sums."""
    return check.built.metrics_validate(sums, {"result_format": "BASIC"}, engine)
