"""Leave the verdict of a validation where those look who wait for it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_mlops.core.validation.report import ValidationReport
from airflow_mlops.core.validation.verdict import Verdict
from airflow_mlops.store.publish import publish_bytes

if TYPE_CHECKING:
    from upath import UPath

    from airflow_mlops.core.snapshots import Manifest


def publish_verdict(store: UPath, asked: Manifest, report: ValidationReport) -> None:
    """Once the report is there, so that whoever finds the verdict finds the report too.

    :param asked: of the snapshot that was to be validated; where rows were split off the report is about the rest
    """
    verdict = Verdict.of(report, asked.name, datetime.now(UTC).isoformat())
    versions = replace(verdict, data_version=asked.data_version).places
    for place in dict.fromkeys((*verdict.places, *versions)):
        publish_bytes(store / place, json.dumps(verdict.to_json(), indent=1).encode())
