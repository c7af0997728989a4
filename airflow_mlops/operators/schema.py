"""Schema inference: a suite and a schema learned from a snapshot."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.schema import ProposalPolicy
from airflow_mlops.hooks.store import object_path
from airflow_mlops.operators.base import MlopsOperator, number, snapshot_of
from airflow_mlops.steps.schema import infer_schema

if TYPE_CHECKING:
    from airflow.sdk import Context
    from upath import UPath


class InferSchemaOperator(MlopsOperator):
    """Propose an expectation suite and a schema from a snapshot, and say what they would change in those in use.

    Nothing is applied unless ``accept`` says so: then ``<store>/suites/<name>/accepted.yaml`` (and ``accepted.json``,
    the schema) is the suite in use with the changes. Returns ``suite_uri`` and ``schema_uri`` to validate with,
    ``proposal_uri``, ``evolved_uri``, ``changed``, the ``changes`` and their ``text`` for a person.

    :param snapshot: output of an earlier task, or the URI of a snapshot
    :param name: of the suite
    :param keys: columns that tell every row from every other
    :param sensitive: columns of whose values nothing is proposed
    :param categories: more distinct values than this are no categories
    :param severity: of the checks on values: ``warning`` or ``critical``
    :param current: the suite in use: a URI, or a file (a relative path starts at the DAG file); None for the accepted
        one
    :param accept: take the changes over
    """

    template_fields: Sequence[str] = (
        *MlopsOperator.template_fields, "snapshot", "name", "keys", "sensitive", "categories", "severity", "current",
        "accept",
    )  # fmt: skip

    def __init__(
        self,
        *,
        snapshot: str | Mapping[str, Any],
        name: str,
        keys: Sequence[str] | None = None,
        sensitive: Sequence[str] | None = None,
        categories: int = 50,
        severity: str = "warning",
        current: str | None = None,
        accept: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
        self.name = name
        self.keys = keys
        self.sensitive = sensitive
        self.categories = categories
        self.severity = severity
        self.current = current
        self.accept = accept

    def run_step(self, context: Context) -> dict[str, Any]:
        found = infer_schema(
            self.store_path,
            snapshot_of(self.snapshot),
            name=self.name,
            keys=self.keys or (),
            sensitive=self.sensitive or (),
            policy=ProposalPolicy(number(self.categories, "categories"), self.severity),
            current=self._current(),
            accept=str(self.accept) == "True",  # text, once rendered
        )
        self.log.info("Suite %s: %s", found.name, found.text)
        return found.to_json()

    def _current(self) -> UPath | None:
        if not self.current:
            return None
        relative = "://" not in self.current and not os.path.isabs(self.current)
        return object_path(os.path.join(self.dag.folder, self.current) if relative else self.current)
