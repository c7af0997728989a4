"""A report as those find it who wait for it: by its data version, or by the snapshot's name and as-of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_mlops.core.validation.report import ValidationReport
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import DataError


@dataclass(frozen=True)
class Verdict:
    """What a suite said of a snapshot, small, and written after the report that it names.

    :param name: of the snapshot
    :param told: when it was written
    """

    name: str
    snapshot_uri: str
    data_version: str
    as_of: str
    suite: str
    suite_version: str
    suite_digest: str
    rows: int
    success: bool
    blocked: bool
    warnings: int
    summary: str
    report_uri: str
    told: str

    @classmethod
    def of(cls, report: ValidationReport, name: str, told: str) -> Verdict:
        facts = report.to_json()
        return cls(**{key: facts[key] for key in cls.__dataclass_fields__ if key in facts}, name=name, told=told)

    @property
    def places(self) -> tuple[str, str]:
        """Where it is found below the store: the same verdict again takes the place of the one before."""
        file = f"{self.snapshot_uri.rstrip('/').rpartition('/')[2][:16]}-{self.suite_digest[:16]}.json"
        return f"{of_version(self.data_version)}/{file}", f"{of_name(self.name, self.as_of)}/{file}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        try:
            return cls(**data)
        except TypeError as error:
            raise DataError(f"This is not the verdict of a validation: {error}.") from error


def of_version(data_version: str) -> str:
    """The folder of the verdicts on a data version."""
    return f"verdicts/data/{data_version}"


def of_name(name: str, as_of: str) -> str:
    """The folder of the verdicts on the snapshots of a name at an as-of.

    >>> of_name("flights", "2026-11-01T02:00:00+02:00")
    'verdicts/names/flights/20261101T000000.000000Z'
    """
    return f"verdicts/names/{name}/{instant(as_of):%Y%m%dT%H%M%S.%fZ}"
