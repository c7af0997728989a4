"""Try a version in a process of its own before anybody is answered by it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops.core import tags
from airflow_mlops.core.golden import Golden
from airflow_mlops.core.packages import ModelRef, Package
from airflow_mlops.core.signatures import Column
from airflow_mlops.core.smoke import (
    Check,
    SmokeBudget,
    SmokeReport,
    breaks,
    budget_checks,
    golden_check,
    schema_check,
)
from airflow_mlops.core.windows import Bounds
from airflow_mlops.steps.golden import read_golden
from airflow_mlops.steps.packages import fetch, find_version
from airflow_mlops.steps.smoke.process import Findings, try_package
from airflow_mlops.store.predictions import read_predictions

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

    from airflow_mlops.core.tracking import Mlflow

#: How far back in the log requests are looked at, and how many of them.
_LOG_DAYS, _LOG_ROWS = 7, 100_000


def smoke_test(
    client: Mlflow,
    *,
    name: str,
    version: int | str,
    alias: str = "champion",
    trusted: Iterable[str] = (),
    log: UPath | None = None,
    budget: SmokeBudget | None = None,
) -> SmokeReport:
    """Fetch and verify a version, load it in a clean process, and ask all that can be asked; a no is no error.

    The answer goes to the version's tag ``mlops.smoke``.

    :param version: its number, or another alias
    :param alias: of the version whose clients must not break
    :param trusted: classes of the project's own that the model file may hold
    :param log: where the logs of predictions lie; what was sent in the last week must fit too
    :raises DigestMismatch: the files are not those that were registered
    :raises UntrustedModel: they name types, or hold links, that nobody trusts
    """
    budget, trusted = budget or SmokeBudget(), list(trusted)
    chosen = find_version(client.registry, ModelRef.parse(_uri(name, version)))
    golden = read_golden(client, chosen)
    with tempfile.TemporaryDirectory(prefix="mlops-smoke-") as private:  # mode 0700: what is verified is what is loaded
        package = fetch(client, chosen, Path(private, "model"))
        checks = [_against_champion(client, package, alias)]
        checks.append(_against_log(package, log))
        found = try_package(Path(private), package, golden, trusted, budget)
    checks += _answers(found, golden, budget)
    report = SmokeReport(name, package.version, package.digest, tuple(checks), found.latency_ms, found.memory_mb)
    client.registry.tag_version(name, package.version, tags.SMOKE, report.summary[:4000])
    return report


def _uri(name: str, version: int | str) -> str:
    return f"models:/{name}/{version}" if str(version).isdigit() else f"models:/{name}@{version}"


def _answers(found: Findings, golden: Golden | None, budget: SmokeBudget) -> list[Check]:
    if found.problem:
        return [Check(found.stage, "failed", found.problem)]
    checks = [Check("loads", "passed", "It loads in a clean process.")]
    checks.append(golden_check(golden, found.values or (), found.scores))
    return checks + budget_checks(budget, found.latency_ms or 0.0, found.memory_mb or 0.0)


def _against_champion(client: Mlflow, package: Package, alias: str) -> Check:
    number = client.registry.alias(package.name, alias)
    if number is None or number == package.version:
        return schema_check("champion", [], f"There is no other {alias} to compare with.")
    with tempfile.TemporaryDirectory(prefix="mlops-smoke-champion-") as folder:
        champion = fetch(client, client.registry.version(package.name, number), Path(folder))
    found = list(breaks(package.columns, champion.columns, f"the {alias}"))
    if package.output != champion.output:
        found.append(f"It answers with {package.output}, the {alias} with {champion.output}.")
    return schema_check("champion", found)


def _against_log(package: Package, log: UPath | None) -> Check:
    sent = logged_columns(log, package.name) if log is not None else []
    if not sent:
        why = (
            "No log of predictions was named."
            if log is None
            else f"The log has no request of the last {_LOG_DAYS} days."
        )
        return schema_check("log", [], why)
    # What the log leaves out it says nothing about: the champion's columns do.
    unseen = {column.name for column in package.columns} - {column.name for column in sent}
    return schema_check("log", list(breaks(package.columns, sent, "what is sent", unseen)))


def logged_columns(log: UPath, model: str, now: datetime | None = None) -> list[Column]:
    """The columns of the requests of the last days; one that was missing in some is not required."""
    now = now or datetime.now(UTC)
    found: dict[str, Column] = {}
    rows = 0
    window = Bounds(now - timedelta(days=_LOG_DAYS), now + timedelta(minutes=5))
    for batch in read_predictions(log, model, window, columns=["inputs"]):
        if "inputs" not in batch.schema.names:
            continue
        inputs = batch.column("inputs")
        for field, values in zip(inputs.type, inputs.flatten(), strict=True):
            known = found.get(field.name)
            required = values.null_count == 0 and (known is None or known.required)
            found[field.name] = Column(field.name, _mlflow_type(field.type), required)
        rows += batch.num_rows
        if rows >= _LOG_ROWS:
            break
    return list(found.values())


def _mlflow_type(type_: pa.DataType) -> str:
    import pyarrow as pa

    if pa.types.is_timestamp(type_):
        return "datetime"
    names = {"bool": "boolean", "int32": "integer", "int64": "long", "float": "float", "double": "double"}
    return names.get(str(type_), "string")
