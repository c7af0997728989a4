"""Great Expectations' own objects for the checks of a suite, and its results as plain data."""

from __future__ import annotations

import difflib
import gc
import logging
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from airflow_mlops.core.validation import Expectation, Severity, Suite
from airflow_mlops.core.validation.report import raised
from airflow_mlops.core.validation.suite import mentions
from airflow_mlops.exceptions import ConfigurationError, SuiteError

#: All that may be told of a check on a sensitive column.
_COUNTS = ("element_count", "unexpected_count", "unexpected_percent", "missing_count", "missing_percent")
#: Great Expectations knows no quarantine; it makes nothing of a severity but a note on the result.
_THEIRS = {Severity.QUARANTINE: "warning"}


@dataclass(frozen=True)
class Check:
    """A check of a suite as Great Expectations has it.

    :param built: its own object
    :param reads: the columns that it looks at; None if that cannot be known
    :param core: whether it is one of Great Expectations' own, not a class of the user's
    """

    expectation: Expectation
    built: Any
    reads: frozenset[str] | None
    core: bool


def build(suite: Suite, names: frozenset[str]) -> list[Check]:
    """Build every check of a suite, or say why one cannot be built; ``names`` are the columns of the table."""
    checks = [_check(_built(suite, expectation), expectation, names) for expectation in suite.expectations]
    folded = Counter(name.casefold() for name in names)
    for check in checks:
        twins = sorted(name for name in check.reads or () if folded[name.casefold()] > 1)
        if twins and check.core:
            raise SuiteError(
                f"Suite {suite.name}: {check.expectation.label}: another column is called {twins[0]!r} but for "
                "upper and lower case, and Great Expectations takes one for the other: rename it."
            )
    return checks


def great_expectations() -> Any:
    """The library, silent: its import alone logs two hundred lines, and what it says of a crash may quote values."""
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    try:
        with _uncollected():
            import great_expectations as gx
    except SystemExit as error:
        # A task whose process ends this way would be green, and nothing checked.
        raise ConfigurationError(
            "pyspark ended the import of Great Expectations, because it is installed without its Connect half: "
            "install pyspark[connect] (airflow-mlops[spark] has it), or remove pyspark."
        ) from error

    # The one module that sets a level of its own, at import.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.CRITICAL)
    return gx


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector away from what a first import makes: it would walk through it again and again, and at the
    end of the process once more, which is a third of the five seconds that this import costs.
    """
    if "great_expectations" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def run(engine: Any, checks: Sequence[Check], result_format: Any = "SUMMARY") -> list[Any]:
    """What one of Great Expectations' engines says of each check, in their order; its batch is loaded already."""
    from great_expectations.validator.validator import Validator

    validator = Validator(execution_engine=engine, data_context=_context())
    configurations = []
    for number, check in enumerate(checks):
        check.built.id = str(number)
        configurations.append(check.built.configuration)
    results = validator.graph_validate(
        configurations=configurations, runtime_configuration={"result_format": result_format}
    )
    # Those that crashed come first.
    found = {one.expectation_config.id: one for one in results}
    return [found.get(str(number)) for number in range(len(checks))]


def data_docs(name: str, results: Sequence[Any]) -> str:
    """Great Expectations' own page."""
    from great_expectations import __version__ as version
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView
    from great_expectations.validator.validator import calc_validation_statistics

    counts = calc_validation_statistics(list(results))
    whole = ExpectationSuiteValidationResult(
        success=bool(counts.success),
        results=list(results),
        suite_name=name,
        statistics={key: value for key, value in counts._asdict().items() if key != "success"},
        meta={"great_expectations_version": version},
    )
    return str(DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(whole)))


def told(check: Check, result: Any, hidden: frozenset[str]) -> dict[str, Any] | None:
    """A result as JSON, without what could be a value of a hidden column."""
    if result is None:
        return None
    values = bool(hidden if check.reads is None else hidden & check.reads)
    plain: dict[str, Any] = _plain(_withheld(_as_dict(result), values=values, errors=bool(hidden)))
    return plain


def _as_dict(result: Any) -> dict[str, Any]:
    try:
        found: dict[str, Any] = result.to_json_dict()
    except (TypeError, ValueError, OverflowError):  # values that it has no JSON for, such as a time of day
        return {
            "success": bool(result.success),
            "expectation_config": result.expectation_config.to_json_dict(),
            "result": result.result,
            "exception_info": result.exception_info,
        }
    return found


def _context() -> Any:
    context = great_expectations().get_context(mode="ephemeral")
    context.variables.analytics_enabled = False
    context.variables.progress_bars = {"globally": False}
    return context


def _built(suite: Suite, expectation: Expectation) -> Any:
    """Great Expectations' own object, or the reason why there is none."""
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    try:
        kind: Any = get_expectation_impl(expectation.type)
        built = kind(**expectation.kwargs, severity=_THEIRS.get(expectation.severity, expectation.severity.value))
    except ExpectationNotFoundError as error:
        near = difflib.get_close_matches(expectation.type, list_registered_expectation_implementations(), 1)
        hint = f"did you mean {near[0]}?" if near else "import the module that defines it."
        raise SuiteError(f"Suite {suite.name}: {expectation.type} is unknown to Great Expectations: {hint}") from error
    except (ValueError, TypeError) as error:
        raise SuiteError(f"Suite {suite.name}: {expectation.label}: {_first_complaint(error)}") from error
    terms = built.dict()
    bounds = [terms[key] for key in ("min_value", "max_value") if key in terms]
    if terms.get("mostly") == 0 or (expectation.type.endswith("_to_be_between") and bounds == [None, None]):
        raise SuiteError(
            f"Suite {suite.name}: {expectation.label} would pass any data: give min_value, max_value or mostly above 0."
        )
    return built


def _first_complaint(error: Exception) -> str:
    """The first line of pydantic's list that says something; a union adds a dozen that do not."""
    listed = getattr(error, "errors", None)
    if listed is None:
        return str(error)
    first = listed()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "__root__")
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def _check(built: Any, expectation: Expectation, names: frozenset[str]) -> Check:
    kind = type(built)
    core = kind.__module__.startswith("great_expectations.")
    mentioned = mentions(built.dict(), names)
    known = core and (mentioned or "_table_" in kind.expectation_type)
    return Check(expectation, built, mentioned if known else None, core)


def _withheld(found: Mapping[str, Any], *, values: bool, errors: bool) -> dict[str, Any]:
    """The result without what could be a value of a sensitive column; an error may quote any column that was loaded."""
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
