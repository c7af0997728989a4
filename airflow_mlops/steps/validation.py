"""Check a snapshot against an expectation suite; the evidence goes to the store whatever the verdict."""

from __future__ import annotations

import difflib
import json
import logging
import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml
from upath import UPath

from airflow_mlops.core.validation import Expectation, ExpectationOutcome, Suite, ValidationReport
from airflow_mlops.core.validation.report import raised
from airflow_mlops.core.validation.suite import mentions
from airflow_mlops.exceptions import ConfigurationError, SuiteError
from airflow_mlops.reports.validation import validation_page
from airflow_mlops.steps.budget import CpuBudget
from airflow_mlops.store.publish import publish_bytes

if TYPE_CHECKING:
    import pandas as pd

    from airflow_mlops.store.snapshots import Snapshot

#: All that may be told of a check on a sensitive column.
_COUNTS = ("element_count", "unexpected_count", "unexpected_percent", "missing_count", "missing_percent")


def load_suite(path: UPath | str) -> Suite:
    """Read a suite from a JSON or YAML file."""
    try:
        file = UPath(path) if isinstance(path, str) else path
        return Suite.parse(_parse(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise SuiteError(f"Suite {path} cannot be read: {error.strerror or error}. Check the path.") from error
    except (yaml.YAMLError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SuiteError(f"Suite {path} is neither JSON nor YAML: {error}") from error
    except SuiteError as error:
        raise SuiteError(f"{error} ({path})") from error


def validate(
    *,
    store: UPath,
    snapshot: Snapshot,
    suite: Suite,
    min_rows: int = 1,
    parameters: Mapping[str, Any] | None = None,
    sensitive: Collection[str] = (),
    data_docs: bool = False,
    budget: CpuBudget | None = None,
) -> ValidationReport:
    """Run a suite over a snapshot and publish the full result and a page; failed data is a verdict, not an error.

    :param min_rows: fewer rows than this block, whatever the suite says
    :param parameters: values for the suite's ``{"$PARAMETER": name}``
    :param sensitive: columns of which no value may be shown anywhere, not even in the store's report
    :param data_docs: publish Great Expectations' own page too, which loads scripts and styles from the network
    """
    if data_docs and sensitive:
        raise ConfigurationError("Data Docs show values of every column: leave data_docs off where some are sensitive.")
    if isinstance(sensitive, str):
        raise ConfigurationError(f"sensitive must be a list of columns, not the text {sensitive!r}.")
    suite, budget = suite.bind(parameters), budget or CpuBudget()
    types = {column["name"]: str(column["type"]) for column in snapshot.manifest.schema}
    with budget("imports"):
        _great_expectations()
    checks = [_build(suite, expectation) for expectation in suite.expectations]
    reads = [_reads(check, frozenset(types)) for check in checks]
    with budget("read"):
        frame = snapshot.table(_needed(checks, reads, list(types))).to_pandas()
    with budget("validate"):
        whole = _run(frame, checks)
    hidden = frozenset(sensitive) & set(types)
    found = [
        _plain(_withheld(one, values=bool(hidden if read is None else hidden & read), errors=bool(hidden)))
        for one, read in zip(_in_order(whole, len(checks)), reads, strict=True)
    ]
    judged = (ExpectationOutcome.of(*pair, types) for pair in zip(suite.expectations, found, strict=True))
    folder = store / "reports" / "validation" / snapshot.manifest.id / suite.digest[:16]
    report = ValidationReport(
        suite=suite.name,
        suite_version=suite.version,
        suite_digest=suite.digest,
        snapshot_uri=snapshot.uri,
        data_version=snapshot.manifest.data_version,
        as_of=snapshot.manifest.as_of,
        rows=len(frame),
        outcomes=(ExpectationOutcome.of_rows(len(frame), int(min_rows)), *judged),
        report_uri=str(folder / "report.html"),
        result_uri=str(folder / "result.json"),
    )
    with budget("io"):
        _publish(folder, report, suite, found)
        if data_docs:
            publish_bytes(folder / "data_docs.html", _data_docs(whole).encode())
    return report


def _publish(folder: UPath, report: ValidationReport, suite: Suite, found: Sequence[Any]) -> None:
    from great_expectations import __version__ as version

    result = {"report": report.to_json(), "suite": suite.to_json(), "great_expectations": version, "results": found}
    publish_bytes(folder / "result.json", json.dumps(result, indent=1, allow_nan=False).encode())
    publish_bytes(folder / "report.html", validation_page(report, suite, found).encode())


def _parse(text: str) -> Any:
    # Not all JSON is YAML 1.1: it takes 1e5 for a text.
    if text.lstrip().startswith("{"):
        return json.loads(text, object_pairs_hook=_unique)
    return yaml.load(text, _Strict)  # noqa: S506 - a subclass of the safe loader


def _unique(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    """A mapping without repeated keys: both parsers keep the last one, and the checks of the first would be lost."""
    keys = [key for key, _ in pairs]
    repeated = [key for key in keys if keys.count(key) > 1]
    if repeated:
        raise SuiteError(f"Key {repeated[0]!r} stands twice in the same mapping: keep one.")
    return dict(pairs)


class _Strict(yaml.SafeLoader):
    """YAML without repeated keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        _unique([(key.value, None) for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
        return super().construct_mapping(node, deep)


def _build(suite: Suite, expectation: Expectation) -> Any:
    """Great Expectations' own object, or the reason why there is none."""
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    try:
        kind: Any = get_expectation_impl(expectation.type)
        check = kind(**expectation.kwargs, severity=expectation.severity.value)
    except ExpectationNotFoundError as error:
        near = difflib.get_close_matches(expectation.type, list_registered_expectation_implementations(), 1)
        hint = f"did you mean {near[0]}?" if near else "import the module that defines it."
        raise SuiteError(f"Suite {suite.name}: {expectation.type} is unknown to Great Expectations: {hint}") from error
    except (ValueError, TypeError) as error:
        raise SuiteError(f"Suite {suite.name}: {expectation.label}: {_first_complaint(error)}") from error
    terms = check.dict()
    bounds = [terms[key] for key in ("min_value", "max_value") if key in terms]
    if terms.get("mostly") == 0 or (expectation.type.endswith("_to_be_between") and bounds == [None, None]):
        raise SuiteError(
            f"Suite {suite.name}: {expectation.label} would pass any data: give min_value, max_value or mostly above 0."
        )
    return check


def _first_complaint(error: Exception) -> str:
    """The first line of pydantic's list that says something; a union adds a dozen that do not."""
    listed = getattr(error, "errors", None)
    if listed is None:
        return str(error)
    first = listed()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "__root__")
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def _reads(check: Any, names: frozenset[str]) -> frozenset[str] | None:
    """The columns that a check looks at; None if that cannot be known."""
    kind = type(check)
    mentioned = mentions(check.dict(), names)
    known = kind.__module__.startswith("great_expectations.") and (mentioned or "_table_" in kind.expectation_type)
    return mentioned if known else None


def _needed(checks: Sequence[Any], reads: Sequence[frozenset[str] | None], names: list[str]) -> list[str] | None:
    """What to load: all (None) as soon as one check may look at any column, or at the list of columns itself."""
    whole = ("expect_table_column", "expect_column_to_exist")
    if None in reads or any(check.expectation_type.startswith(whole) for check in checks):
        return None
    wanted = frozenset[str]().union(*(read for read in reads if read))
    # A table without columns has no rows to count.
    return [name for name in names if name in wanted] or names[:1]


def _great_expectations() -> Any:
    """The library, silent: its import alone logs two hundred lines, and what it says of a crash may quote values."""
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    import great_expectations as gx

    # The one module that sets a level of its own, at import.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.CRITICAL)
    return gx


def _run(frame: pd.DataFrame, checks: Sequence[Any]) -> Any:
    """Great Expectations' own result; the checks are told apart by their place in the suite, as ids."""
    gx = _great_expectations()
    context = gx.get_context(mode="ephemeral")
    context.variables.analytics_enabled = False
    context.variables.progress_bars = {"globally": False}
    suite = gx.ExpectationSuite(name="suite", expectations=list(checks))
    for number, check in enumerate(suite.expectations):
        check.id = str(number)
    batch = context.data_sources.pandas_default.read_dataframe(frame)
    return batch.validate(suite, result_format="SUMMARY")


def _in_order(result: Any, count: int) -> list[Mapping[str, Any] | None]:
    """What is said of each check, in their order: results come grouped by column."""
    found = {one["expectation_config"]["id"]: one for one in result.to_json_dict()["results"]}
    return [found.get(str(number)) for number in range(count)]


def _data_docs(result: Any) -> str:
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    return str(DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(result)))


def _withheld(found: Mapping[str, Any] | None, *, values: bool, errors: bool) -> dict[str, Any] | None:
    """The result without what could be a value of a sensitive column; an error may quote any column that was loaded."""
    if found is None:
        return None
    kept = {**found, "withheld": [*(["result"] if values else []), *(["exception_info"] if errors else [])]}
    if values:
        kept["result"] = {key: value for key, value in (found.get("result") or {}).items() if key in _COUNTS}
    if errors:
        kept["exception_info"] = {"raised_exception": raised(found)}
    return kept


def _plain(value: Any) -> Any:
    """JSON's types only: numpy's scalars and arrays come in results, and NaN is not JSON."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if type(value).__module__ == "numpy":
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
