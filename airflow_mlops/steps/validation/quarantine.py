"""Split rows off with their reasons; the rest goes on as a snapshot of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.snapshots import Manifest
from airflow_mlops.core.validation import Severity, Suite
from airflow_mlops.core.validation.quarantine import REASONS, check_share, check_splits, quarantine_name
from airflow_mlops.core.validation.routes import Way
from airflow_mlops.exceptions import DataError, ValidationFailed
from airflow_mlops.steps.validation.checks import Check, build, great_expectations, run
from airflow_mlops.steps.validation.columns import columns_of
from airflow_mlops.steps.validation.engines import second
from airflow_mlops.steps.validation.frames import chunks, engine_on, on_columns
from airflow_mlops.store.snapshots import Snapshot, write_snapshot

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from upath import UPath

#: Of pandas' engine; it numbers the rows that break a check.
_COMPLETE = {"result_format": "COMPLETE"}


@dataclass(frozen=True)
class Split:
    """What became of a snapshot: the rest, and the rows that were split off."""

    kept: Snapshot
    quarantine: Snapshot
    rows: int


def split(
    store: UPath, snapshot: Snapshot, checks: Sequence[Check], failed: Sequence[bool], share: float
) -> Split | None:
    """Split off the rows that break any of the checks; None if those are too many.

    :param failed: whether some row breaks a check; the others are not asked again
    :param share: the largest share of the rows that may go
    """
    import numpy as np

    nothing = np.empty(0, dtype=np.int64)
    broken = [_broken(snapshot, check) if hit else nothing for check, hit in zip(checks, failed, strict=True)]
    gone = np.zeros(snapshot.manifest.rows, dtype=bool)
    for places in broken:
        gone[places] = True
    rows = int(gone.sum())
    if rows > share * snapshot.manifest.rows:
        return None
    schema = columns_of(snapshot.files).schema
    reasons = [check.expectation.label for check in checks]
    return Split(
        kept=write_snapshot(store, _kept(snapshot, gone), schema, _manifest(snapshot, checks, share)),
        quarantine=write_snapshot(
            store,
            _quarantined(snapshot, gone, broken, reasons),
            _with_reasons(schema, snapshot.manifest.name),
            _manifest(snapshot, checks, share, name=quarantine_name(snapshot.manifest.name)),
        ),
        rows=rows,
    )


def split_again(store: UPath, snapshot: Snapshot, recorded: Mapping[str, Any]) -> Snapshot:
    """Do to other rows what a manifest says of its own, as :func:`split` recorded it; the rest comes back."""
    suite = Suite.parse(recorded["suite"])
    check_splits(suite)
    share = check_share(recorded["max_quarantined"])
    great_expectations()
    checks = build(suite, frozenset(column["name"] for column in snapshot.manifest.schema))
    failed = [len(_broken(snapshot, check)) > 0 for check in checks]
    if not any(failed):
        return snapshot
    found = split(store, snapshot, checks, failed, share)
    if found is None:
        raise ValidationFailed(
            f"Suite {suite.name}: more than {share:.3g} of the rows of {snapshot.uri} would be quarantined. "
            "Mend the data, or the suite."
        )
    return found.kept


def _broken(snapshot: Snapshot, check: Check) -> np.ndarray[Any, Any]:
    """The numbers of the rows that break a check."""
    import numpy as np

    if second(check) is not Way.CHUNKS:
        return _places(on_columns(snapshot, [check], _COMPLETE)[0], check)
    nulls = columns_of(snapshot.files).nulls
    found = [
        start + _places(run(engine_on(frame), [check], _COMPLETE)[0], check)
        for start, frame in chunks(snapshot, [check], nulls)
    ]
    return np.concatenate(found)


def _places(result: Any, check: Check) -> np.ndarray[Any, Any]:
    import numpy as np

    places = result.result.get("unexpected_index_list") if result is not None else None
    if places is None:
        raise DataError(f"{check.expectation.label} does not say which rows break it: make it critical or a warning.")
    return np.asarray(places, dtype=np.int64)


def _kept(snapshot: Snapshot, gone: np.ndarray[Any, Any]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    start = 0
    for batch in snapshot.batches():
        yield batch.filter(pa.array(~gone[start : start + batch.num_rows]))
        start += batch.num_rows


def _quarantined(
    snapshot: Snapshot, gone: np.ndarray[Any, Any], broken: Sequence[np.ndarray[Any, Any]], reasons: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """The split rows, each with the checks that it breaks."""
    import numpy as np
    import pyarrow as pa

    start = 0
    for batch in snapshot.batches():
        places = np.flatnonzero(gone[start : start + batch.num_rows])
        why = [np.isin(start + places, numbers) for numbers in broken]
        texts = [[reasons[n] for n, hit in enumerate(why) if hit[row]] for row in range(len(places))]
        rows = batch.take(pa.array(places))
        schema = _with_reasons(batch.schema, snapshot.manifest.name)
        yield pa.RecordBatch.from_arrays([*rows.columns, pa.array(texts, schema.field(REASONS).type)], schema=schema)
        start += batch.num_rows


def _with_reasons(schema: pa.Schema, name: str) -> pa.Schema:
    import pyarrow as pa

    if REASONS in schema.names:
        raise DataError(f"Snapshot {name} has a column {REASONS} already: rename it, a quarantine writes one.")
    return schema.append(pa.field(REASONS, pa.list_(pa.string())))


def _manifest(snapshot: Snapshot, checks: Sequence[Check], share: float, name: str | None = None) -> Manifest:
    """About the same as-of and windows; how the rows were split is its source."""
    facts = snapshot.manifest
    suite = Suite("quarantine", "1", tuple(check.expectation for check in checks))
    return Manifest(
        name=name or facts.name,
        data_version="",
        rows=0,
        schema=[],
        source={"quarantine": {"suite": suite.to_json(), "max_quarantined": share}},
        as_of=facts.as_of,
        windows=facts.windows,
        event_time=facts.event_time,
        knowledge_time=facts.knowledge_time,
        parents=[snapshot.uri],
        code_version=facts.code_version,
    )


def quarantining(checks: Sequence[Check]) -> list[int]:
    """The places of the checks of severity quarantine."""
    return [place for place, check in enumerate(checks) if check.expectation.severity is Severity.QUARANTINE]
