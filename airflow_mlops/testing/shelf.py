"""Registered models in a folder, for tests that need a model that loads and no server to keep it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_mlops.core import ledger, tags
from airflow_mlops.core.signatures import Column
from airflow_mlops.core.tracking import LoggedModel
from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.steps.models import save_model
from airflow_mlops.testing.registry import InMemoryRegistry


class Shelf:
    """What finds, verifies and loads a version takes it for a client; another one of the same folder has the same.

    >>> from sklearn.linear_model import LinearRegression
    >>> shelf = Shelf(getfixture("tmp_path"))
    >>> shelf.add("m", LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), [Column("a", "double")], task="regression")
    1
    >>> shelf.promote("m", 1, datetime.fromisoformat("2026-11-01T00:00:00+00:00"))
    >>> Shelf(shelf.folder).registry.alias("m", "champion")
    1
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = InMemoryRegistry()
        self._deeds = [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []
        for deed in self._deeds:
            self._do(**deed)

    @property
    def tracking(self) -> Shelf:
        return self

    def add(
        self,
        name: str,
        estimator: Any,
        columns: Sequence[Column],
        *,
        task: str = "classification",
        output: str = "double",
        trusted: Iterable[str] = (),
        facts: Mapping[str, str] | None = None,
    ) -> int:
        """Save a fitted estimator and register it; the number of its version."""
        number = len(self.registry.versions(name)) + 1
        folder = self.folder / f"m-{name}-{number}"
        found = save_model(folder, estimator, inputs=list(columns), outputs=output, trusted=trusted)
        spec = TrainingSpec(name, "a.b", task=task, target="y")
        known = {tags.DIGEST: found, tags.SPEC: json.dumps(spec.to_json()), **(facts or {})}
        self._told(name=name, facts=known)
        return number

    def promote(self, name: str, version: int, at: datetime) -> None:
        """Point the champion at a version, and say so in the ledger."""
        self._told(name=name, champion=version, at=at.isoformat())

    def model(self, model_id: str) -> LoggedModel:
        return LoggedModel(model_id, "0", None, str(self.folder / model_id), 0)

    def download(self, artifact_uri: str, folder: Path) -> None:
        shutil.copytree(artifact_uri, folder, dirs_exist_ok=True)

    @property
    def _log(self) -> Path:
        return self.folder / "deeds.jsonl"

    def _told(self, **deed: Any) -> None:
        self._do(**deed)
        with self._log.open("a") as file:
            file.write(json.dumps(deed) + "\n")

    def _do(
        self, *, name: str, facts: Mapping[str, str] | None = None, champion: int | None = None, at: str = ""
    ) -> None:
        self.registry.ensure_model(name)
        if facts is not None:
            self.registry.create_version(name, f"models:/m-{name}-{len(self.registry.versions(name)) + 1}", None, facts)
            return
        entries = ledger.history(self.registry.model_tags(name))
        entry = ledger.LedgerEntry(
            len(entries) + 1, at, entries[-1].champion if entries else None, champion, at, "test", "better"
        )
        self.registry.tag_model(name, entry.tag, json.dumps(asdict(entry)))
        self.registry.set_alias(name, "champion", champion or 0)
