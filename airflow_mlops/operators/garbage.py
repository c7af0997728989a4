"""Remove snapshots that no model names any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops.operators.base import MlopsOperator
from airflow_mlops.steps.garbage import collect_garbage

if TYPE_CHECKING:
    from airflow.sdk import Context


class CollectGarbageOperator(MlopsOperator):
    """Remove the snapshots of the store that no registered version and no recent model names.

    Returns ``removed``, ``spools``, ``bytes``, ``kept`` and ``dry``. If MLflow does not answer, or names nothing in
    this store, nothing is removed.

    :param keep: how long a snapshot stays that no registered version names, such as ``90d``
    :param grace: how long an unfinished one may be a writer at work; longer than any ingest takes
    :param delete: remove them; without it the task only says what would go
    :param orphans: go on although no model on the server names a snapshot of this store
    """

    template_fields: Sequence[str] = (*MlopsOperator.template_fields, "keep", "grace")

    def __init__(
        self, *, keep: str = "90d", grace: str = "2d", delete: bool = False, orphans: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.keep = keep
        self.grace = grace
        self.delete = delete
        self.orphans = orphans

    def run_step(self, context: Context) -> dict[str, Any]:
        found = collect_garbage(
            self.store_path,
            named_by=self.client,
            keep=self.keep,
            grace=self.grace,
            dry=not self.delete,
            orphans=self.orphans,
        )
        deed = "would go" if found.dry else "removed"
        self.log.info("%s: %s snapshots of %s bytes %s", found.store, len(found.removed), found.bytes, deed)
        return found.to_json()
