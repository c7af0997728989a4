"""Whether data has passed a suite."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_mlops.core.names import check_name
from airflow_mlops.core.polling.poll import Poll
from airflow_mlops.core.validation.verdict import Verdict, of_name, of_version
from airflow_mlops.exceptions import ConfigurationError


@dataclass(frozen=True)
class AwaitedVerdict:
    """Which data must have passed which suite.

    >>> AwaitedVerdict(suite="flights", name="flights", as_of="2026-11-01").folder
    'verdicts/names/flights/20261101T000000.000000Z'
    """

    suite: str
    suite_version: str | None = None
    suite_digest: str | None = None
    data_version: str | None = None
    name: str | None = None
    as_of: str | None = None

    def __post_init__(self) -> None:
        if bool(self.data_version) == bool(self.name and self.as_of):
            raise ConfigurationError("Which data is waited for? Name either data_version, or snapshot and as_of.")
        if not self.suite:
            raise ConfigurationError("Which suite must the data pass? Name it.")
        _ = self.folder

    @property
    def folder(self) -> str:
        """Where its verdicts are, below the store."""
        if self.data_version:
            return of_version(check_name(str(self.data_version), "data version"))
        return of_name(check_name(str(self.name), "snapshot"), str(self.as_of))

    def __str__(self) -> str:
        data = f"data version {str(self.data_version)[:12]}" if self.data_version else f"{self.name} at {self.as_of}"
        version = f" version {self.suite_version}" if self.suite_version else ""
        digest = f" ({self.suite_digest[:12]})" if self.suite_digest else ""
        return f"{data} by suite {self.suite}{version}{digest}"

    def asks_for(self, verdict: Verdict) -> bool:
        return (
            verdict.suite == self.suite
            and (not self.suite_version or verdict.suite_version == str(self.suite_version))
            and verdict.suite_digest.startswith(self.suite_digest or "")
        )


def judge_verdicts(verdicts: Iterable[Verdict], awaited: AwaitedVerdict) -> Poll:
    """What the verdicts so far mean to somebody who waits for data that has passed; the last one counts.

    >>> judge_verdicts([], AwaitedVerdict(suite="flights", data_version="3f")).reason
    'There is no verdict yet on data version 3f by suite flights.'
    """
    found = sorted(filter(awaited.asks_for, verdicts), key=lambda verdict: (verdict.told, verdict.blocked))
    if not found:
        return Poll("wait", f"There is no verdict yet on {awaited}.")
    last = found[-1]
    return Poll("failed" if last.blocked else "done", f"{last.summary} {last.report_uri}", last.to_json())
