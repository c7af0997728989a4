"""Leave the verdict of a validation where those look who wait for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_mlops.core.validation.report import ValidationReport
from airflow_mlops.core.validation.verdict import Verdict
from airflow_mlops.store.publish import publish_bytes

if TYPE_CHECKING:
    from upath import UPath


def publish_verdict(store: UPath, name: str, report: ValidationReport) -> None:
    """Once the report is there, so that whoever finds the verdict finds the report too.

    :param name: of the snapshot
    """
    verdict = Verdict.of(report, name, datetime.now(UTC).isoformat())
    for place in verdict.places:
        publish_bytes(store / place, json.dumps(verdict.to_json(), indent=1).encode())
