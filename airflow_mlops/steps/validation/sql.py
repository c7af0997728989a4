"""Great Expectations' SQL engine over a DuckDB view of a snapshot's Parquet files: no row is loaded into Python."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.validation.report import raised
from airflow_mlops.core.validation.routes import is_rounded, kind_of, too_close
from airflow_mlops.steps.validation.checks import Check, run
from airflow_mlops.steps.validation.columns import Columns
from airflow_mlops.steps.validation.unique import quoted, unique

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

#: What DuckDB may hold in memory; beyond it, it spills to the temporary folder.
MEMORY = "400MB"
_VIEW = "snapshot"
_COUNTED = {"result_format": "SUMMARY", "partial_unexpected_count": 0}


def on_view(columns: Columns, checks: Sequence[Check], threads: int = 1) -> list[Any]:
    """What the SQL engine says of each check; None where it does not answer, or too close to a bound to trust it."""
    if not checks:
        return []
    wanted = frozenset[str]().union(*(check.reads or () for check in checks))
    shown = [field for field in columns.schema if field.name in wanted] or [columns.schema.field(0)]
    with _database(columns, shown, threads) as connection, _engine(connection) as engine:
        # Counts first: examples are looked for only where something was found.
        held = [unique(connection, _VIEW, engine, check) for check in checks]
        asked = [place for place, one in enumerate(held) if one is None and not _joins_nulls(checks[place], columns)]
        answers = run(engine, [checks[place] for place in asked], _COUNTED) if asked else []
        found = dict(zip(asked, answers, strict=True))
        results = [found.get(place) if one is None else one for place, one in enumerate(held)]
        results = [
            None if one is None or _unanswered(one) or _unsure(check, one, columns) else one
            for check, one in zip(checks, results, strict=True)
        ]
        for check, one in zip(checks, results, strict=True):
            if one is not None and one.result.get("unexpected_count"):
                _add_examples(engine, check, one)
    return results


@contextmanager
def _database(columns: Columns, shown: Sequence[pa.Field], threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory whose only table is a view of the files; it can reach nothing else."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix="mlops-duckdb-") as folder:
        links = [str(_link(Path(folder), number, file)) for number, file in enumerate(columns.files)]
        connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": MEMORY,
                "threads": threads,
                "temp_directory": str(Path(folder, "spill")),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "preserve_insertion_order": False,
            },
        )
        try:
            listed = ", ".join(_shown(field, columns.nulls[field.name]) for field in shown)
            connection.execute(f"CREATE VIEW {_VIEW} AS SELECT {listed} FROM read_parquet({_literal(links)})")  # noqa: S608
            yield connection
        finally:
            connection.close()


@contextmanager
def _engine(connection: duckdb.DuckDBPyConnection) -> Iterator[Any]:
    """Great Expectations' SQL engine on a connection."""
    import sqlalchemy as sa
    from duckdb_engine import ConnectionWrapper
    from great_expectations.execution_engine import SqlAlchemyExecutionEngine
    from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData
    from sqlalchemy.pool import StaticPool

    class Engine(SqlAlchemyExecutionEngine):  # type: ignore[misc]
        """It fetches rows after it gave the connection back, which duckdb-engine answers with none: keep it."""

        @contextmanager
        def get_connection(self) -> Iterator[Any]:
            yield kept

    class Connection(ConnectionWrapper):
        """Without transactions: there a failed query takes all that come after it with it."""

        def begin(self) -> None: ...

        def commit(self) -> None: ...

        def rollback(self) -> None: ...

    database = sa.create_engine("duckdb:///:memory:", creator=lambda: Connection(connection), poolclass=StaticPool)
    # Those of PostgreSQL are what SQLAlchemy would quote.
    words = {word for (word,) in connection.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()}
    database.dialect.identifier_preparer.reserved_words = words
    try:
        with database.connect() as kept:
            engine = Engine(engine=database)
            engine.load_batch_data("rows", SqlAlchemyBatchData(execution_engine=engine, table_name=_VIEW))
            yield engine
    finally:
        database.dispose()


def _shown(field: pa.Field, nulls: bool) -> str:
    """A column as pandas has it: NaN is a missing value, whole numbers beside nulls are floats."""
    name, kind = quoted(field.name), kind_of(str(field.type))
    if kind == "float":
        return f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END AS {name}"
    if kind == "integer" and nulls:
        return f"CAST({name} AS DOUBLE) AS {name}"
    return name


def _joins_nulls(check: Check, columns: Columns) -> bool:
    """Whether rows are joined by keys that may be null: SQL loses them, and to pandas two of them are alike."""
    compound = check.expectation.type == "expect_compound_columns_to_be_unique"
    return compound and any(columns.nulls[name] for name in check.expectation.columns)


def _unsure(check: Check, found: Any, columns: Columns) -> bool:
    """Whether the two engines' rounding could put a result on two sides of a bound."""
    if not is_rounded(check.expectation):
        return False
    observed = (found.result or {}).get("observed_value")
    largest = columns.largest.get(check.expectation.columns[0], math.inf)
    return observed is None or too_close(check.expectation, float(observed), columns.rows, largest)


def _unanswered(result: Any) -> bool:
    """Whether a check crashed, or found nothing to count or to look at: there SQL has null, and pandas a word."""
    found = result.result or {}
    return (
        raised({"exception_info": result.exception_info})
        or found.get("unexpected_count", 0) is None
        or (result.expectation_config.type.endswith("_between") and found.get("observed_value", 0) is None)
    )


def _add_examples(engine: Any, check: Check, result: Any) -> None:
    """The first values that break a check, without counting them again."""
    from great_expectations.validator.metrics_calculator import MetricsCalculator

    asked = check.built.get_validation_dependencies(engine, {"result_format": "BASIC"})
    values = [one for one in asked.get_metric_configurations() if one.metric_name.endswith(".unexpected_values")]
    found, _ = MetricsCalculator(engine).compute_metrics(values, {"result_format": "BASIC"})
    for one in values:
        if one.id in found:
            result.result["partial_unexpected_list"] = found[one.id][:20]


def _link(folder: Path, number: int, file: str) -> Path:
    """The file by a name without characters that DuckDB would take for a pattern."""
    link = folder / f"part-{number:05d}.parquet"
    link.symlink_to(Path(file).absolute())
    return link


def _literal(texts: Sequence[str]) -> str:
    return "[" + ", ".join("'" + text.replace("'", "''") + "'" for text in texts) + "]"
