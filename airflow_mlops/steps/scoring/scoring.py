"""From a batch to its result: find the model, stream the rows through it, publish one file last."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops._failpoints import around
from airflow_mlops.core import ledger
from airflow_mlops.core.packages import ModelRef
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.core.scoring import Batch, Scored, check_columns, check_keys
from airflow_mlops.core.windows import instant
from airflow_mlops.exceptions import NotEnoughData
from airflow_mlops.steps.budget import CpuBudget
from airflow_mlops.steps.packages import fetch, find_version, load
from airflow_mlops.steps.scoring.rows import Rows, check_footers
from airflow_mlops.steps.scoring.stream import Keep, Scoring, encoding
from airflow_mlops.store.predictions import MANIFEST, SPOOL, folder_of, read_manifest
from airflow_mlops.store.publish import publish_new

if TYPE_CHECKING:
    from upath import UPath

    from airflow_mlops.core.tracking import Mlflow


def score(
    client: Mlflow,
    batch: Batch,
    rows: Rows,
    root: UPath,
    *,
    keep: Keep | None = None,
    trusted: Iterable[str] = (),
    threads: int = 1,
    budget: CpuBudget | None = None,
) -> tuple[Scored, UPath, bool]:
    """Score a batch once: the manifest of its result, where that lies, and whether it is new.

    Memory is bounded by a few chunks for each thread, whatever the rows.

    :param root: where the logs of predictions lie
    :param trusted: importable classes of your own that the model file may hold
    :param threads: chunks that are predicted at a time, on one thread each
    :raises PredictionError: the model does not take these rows, or its answer cannot be used
    :raises NotFound: nothing is in production
    :raises NotEnoughData: nothing was, at the instant that is asked for
    """
    keep, budget = keep or Keep(), budget or CpuBudget()
    ref = ModelRef.parse(batch.ref)
    folder = folder_of(root, ref.name) / batch.folder
    if batch.message_id and (found := _known(folder / batch.file())):
        return found
    version = _version(client, ref, batch)
    with budget("read"):
        target = folder / batch.file(version, rows.data_version, keep.form)
    if found := _known(target):
        return found
    with tempfile.TemporaryDirectory(prefix=SPOOL) as spool:
        files, file = Path(spool, "model"), Path(spool, target.name)
        files.mkdir()
        with budget("load"):
            package = fetch(client, version, files)
        with budget("read"):
            check_columns(package, rows.schema, rows.where)
            check_keys(package, rows.schema, keep.names, keep.hashed, rows.where)
            check_footers(rows, package)
        with budget("load"):
            model = load(files, package, trusted)
        with budget("score"):
            scored = _write(file, Scoring(model, batch, rows, keep), threads)
        with budget("publish"), around("file"):
            new = publish_new(file, target)
    return (scored, target, True) if new else _known(target) or (scored, target, False)


def _version(client: Mlflow, ref: ModelRef, batch: Batch) -> ModelVersion:
    at = instant(batch.at) if batch.at else None
    if at and ref.alias and ledger.in_force_at(ledger.history(client.registry.model_tags(ref.name)), at) is None:
        raise NotEnoughData(f"Model {ref.name} had no champion at {batch.at}: there is nothing to score with.")
    return find_version(client.registry, ref, at)


def _known(path: UPath) -> tuple[Scored, UPath, bool] | None:
    """The result that is there."""
    path.fs.invalidate_cache()  # somebody else may just have made it
    try:
        found = read_manifest(path)
    except FileNotFoundError:
        return None
    return (Scored.from_json(found), path, False) if found else None


def _write(file: Path, scoring: Scoring, threads: int) -> Scored:
    """All rows, and the manifest, which only then knows their number."""
    import pyarrow.parquet as pq

    rows, schema = 0, scoring.schema
    with pq.ParquetWriter(file, schema, compression="zstd", **encoding(schema)) as writer:
        for batch in scoring.run(threads):
            writer.write_batch(batch)
            rows += batch.num_rows
        scored = scoring.manifest(rows, datetime.now(UTC))
        writer.add_key_value_metadata({MANIFEST: json.dumps(scored.to_json()).encode()})
    return scored
