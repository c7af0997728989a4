"""Keys that no two rows share: one grouping shows it, where Great Expectations' query joins the table with itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_mlops.steps.validation.checks import Check

if TYPE_CHECKING:
    import duckdb

_TYPES = ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique")
#: The summary asks for places of rows too, which a database does not have.
_FORMAT = {"result_format": "BASIC"}


def unique(connection: duckdb.DuckDBPyConnection, view: str, engine: Any, check: Check) -> Any:
    """Great Expectations' own verdict on counts that were taken in one go; None where rows share a key.

    None too where the check asks for something else than the keys of all rows: then the engine answers it.
    """
    if check.expectation.type not in _TYPES or check.built.row_condition is not None:
        return None
    if getattr(check.built, "ignore_row_if", "all_values_are_missing") != "all_values_are_missing":
        return None
    keys = ", ".join(quoted(name) for name in check.expectation.columns)
    missing = " AND ".join(f"{quoted(name)} IS NULL" for name in check.expectation.columns)
    found = connection.execute(
        f"SELECT coalesce(sum(n), 0), coalesce(max(n), 0) "  # noqa: S608
        f"FROM (SELECT count(*) AS n FROM {view} WHERE NOT ({missing}) GROUP BY {keys})"
    ).fetchone()
    filled, most = map(int, found or (0, 0))
    if most != 1:
        return None
    (rows,) = connection.execute(f"SELECT count(*) FROM {view}").fetchone() or (0,)  # noqa: S608
    counts = {
        "table.row_count": rows,
        "column_values.nonnull.unexpected_count": rows - filled,
        "column_values.unique.unexpected_count": 0,
        "column_values.unique.unexpected_values": [],
        "compound_columns.unique.filtered_row_count": filled,
        "compound_columns.unique.unexpected_count": 0,
        "compound_columns.unique.unexpected_values": [],
    }
    asked = check.built.get_validation_dependencies(engine, _FORMAT).get_metric_configurations()
    if {one.metric_name for one in asked} - set(counts):
        return None
    return check.built.metrics_validate({one.id: counts[one.metric_name] for one in asked}, _FORMAT, engine)


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever its characters."""
    return '"' + name.replace('"', '""') + '"'
