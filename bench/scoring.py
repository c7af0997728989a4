"""What batch scoring costs beside `predict` alone: ten million flights from Parquet to Parquet, with the shipped model.

Each side is a whole process, and all run alternately on the same file: ours (find, verify and load the model, hash,
check, read, predict, write the log, publish), `predict` alone (of chunks that were read before, only the calls are
timed), what people write with pandas (read all, predict, write), and `mlflow.pyfunc` in the same way. ``seconds`` and
``cpu_seconds`` are inside the process, without its imports. The others load their model before the clock starts, ours
pays for it. ``ratio_cpu`` helps where others use the machine, but counts threads of OpenMP that wait for each other as
work of `predict`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "dags")]

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from bench.processes import Measured, alternate, measure, middle, row  # noqa: E402
from projects import flight_delays  # noqa: E402

BUILD = ROOT / "build" / "bench"
WORK = BUILD / "scoring"
ROWS, SHORT, GROUP = 10_000_000, 500_000, 250_000
BEGIN, END = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)
SIDES = ("ours", "predict", "pandas", "pyfunc")
#: One round of these tells enough.
SLOW = ("pandas", "pyfunc")


def flights() -> pa.Table:
    """Real flights, prepared as for the shipped model."""
    seen = {"start": BEGIN, "end": END, "as_of": END}
    return flight_delays.prepare(flight_delays.flights(**seen), flight_delays.weather(**seen))


def make(rows: int) -> None:
    """The model on a shelf, and a file of flights drawn from the real ones."""
    from airflow_mlops.core.signatures import Column
    from airflow_mlops.testing.shelf import Shelf

    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    table = flights()
    known = table.filter(table["late"].is_valid())
    model = flight_delays.model(random_state=0).fit(
        known.select(list(flight_delays.FEATURES)).to_pandas(), known["late"].to_numpy()
    )
    text = {"carrier", "origin", "dest"}
    takes = [Column(name, "string" if name in text else "double", False) for name in flight_delays.FEATURES]
    numbers = {column.name for column in takes if column.type == "double"}
    shelf = Shelf(WORK)
    shelf.promote("flights", shelf.add("flights", model, takes, output="long"), END)
    kept = table.select(["time_hour", "flight", *flight_delays.FEATURES]).combine_chunks()
    # MLflow takes no whole number for what its signature calls a double.
    schema = [f.with_type(pa.float64()) if f.name in numbers else f for f in kept.schema]
    kept = kept.cast(pa.schema(schema))
    random = np.random.default_rng(0)
    with pq.ParquetWriter(WORK / "rows.parquet", kept.schema, compression="snappy") as writer:
        for start in range(0, rows, GROUP):
            writer.write_table(kept.take(random.integers(0, kept.num_rows, min(GROUP, rows - start))))


class Clock:
    """Wall and CPU seconds of all that is done within it."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0

    def __enter__(self) -> None:
        self._begin = time.perf_counter(), time.process_time()

    def __exit__(self, *failure: object) -> None:
        wall, cpu = self._begin
        self.seconds += time.perf_counter() - wall
        self.cpu_seconds += time.process_time() - cpu


def ours(clock: Clock) -> None:
    import pandas  # noqa: F401
    import skops.io  # noqa: F401
    from upath import UPath

    from airflow_mlops.core.scoring import Batch
    from airflow_mlops.steps.scoring import Keep, find_rows, score
    from airflow_mlops.testing.shelf import Shelf

    shutil.rmtree(WORK / "log", ignore_errors=True)
    shelf, batch = Shelf(WORK), Batch("models:/flights@champion", "bench", END.isoformat())
    with clock:
        score(
            shelf,
            batch,
            find_rows(str(WORK / "rows.parquet"), UPath),
            UPath(WORK / "log"),
            keep=Keep(keys=("time_hour", "flight")),
            threads=os.cpu_count() or 1,
        )


def predict(clock: Clock) -> None:
    """The calls alone; what they need is read between them."""
    model = _model()
    for chunk in _chunks():
        frame = chunk.to_pandas()
        with clock:
            model.predict_proba(frame)


def pandas(clock: Clock) -> None:
    import pandas as pd

    model = _model()
    with clock:
        frame = pd.read_parquet(WORK / "rows.parquet")
        frame["score"] = model.predict_proba(frame[list(flight_delays.FEATURES)])[:, 1]
        frame["prediction"] = (frame["score"] >= 0.5).astype(int)
        frame.to_parquet(WORK / "pandas.parquet", compression="zstd")


def pyfunc(clock: Clock) -> None:
    import mlflow.pyfunc
    import pandas as pd

    model = mlflow.pyfunc.load_model(str(WORK / "m-flights-1"))
    with clock:
        frame = pd.read_parquet(WORK / "rows.parquet")
        frame["prediction"] = model.predict(frame[list(flight_delays.FEATURES)])
        frame.to_parquet(WORK / "pyfunc.parquet", compression="zstd")


def _model() -> Any:
    from airflow_mlops.steps.models import load_file

    return load_file(WORK / "m-flights-1" / "model.skops", ())


def _chunks() -> Iterator[pa.RecordBatch]:
    from airflow_mlops.core.scoring import chunk_rows

    file = pq.ParquetFile(WORK / "rows.parquet", pre_buffer=False)
    yield from file.iter_batches(chunk_rows(len(flight_delays.FEATURES)), columns=list(flight_delays.FEATURES))


def side(name: str) -> Measured:
    return measure([sys.executable, __file__, "--side", name], cwd=ROOT, seconds=900)


def clocked(runs: list[Measured]) -> dict[str, float]:
    """Medians of what the processes say of themselves; nothing where one failed."""
    found = [json.loads(run.out.splitlines()[-1]) for run in runs if not run.failure]
    return {name: middle([one[name] for one in found]) for name in (found[0] if found else ())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=3, help="of ours and of predict alone; the others run once")
    parser.add_argument("--short", action="store_true", help=f"{SHORT:,} rows, one round")
    parser.add_argument("--keep", action="store_true", help="keep the files")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.side:
        clock = Clock()
        globals()[chosen.side](clock)
        print(json.dumps({"seconds": clock.seconds, "cpu_seconds": clock.cpu_seconds}))
        return
    rows, rounds = (SHORT, 1) if chosen.short else (chosen.rows, chosen.rounds)
    make(rows)
    size = (WORK / "rows.parquet").stat().st_size
    runs = alternate({name: partial(side, name) for name in SIDES}, 1)
    if rounds > 1:
        more = alternate({name: partial(side, name) for name in SIDES if name not in SLOW}, rounds - 1, before=1)
        runs = {name: [*found, *more.get(name, [])] for name, found in runs.items()}
    spent = {name: clocked(found) for name, found in runs.items()}
    lines = {name: row(name, "score", found, **spent[name]) for name, found in runs.items()}

    def ratio(one: str, other: str, of: str = "seconds") -> float | None:
        return round(spent[one][of] / spent[other][of], 3) if spent[one] and spent[other] else None

    result = {
        "rows": rows,
        "bytes": size,
        "result_bytes": sum(path.stat().st_size for path in (WORK / "log").rglob("*.parquet")),
        "ratio_predict": ratio("ours", "predict"),
        "ratio_cpu": ratio("ours", "predict", "cpu_seconds"),
        "peak_mb": lines["ours"]["peak_mb"],
        "ours": lines["ours"],
        "predict": lines["predict"],
        "peers": [{**lines[name], "ratio": ratio(name, "ours")} for name in SLOW],
    }
    (BUILD / "scoring.json").write_text(json.dumps(result, indent=1))
    print(json.dumps(result, indent=1))
    if not chosen.keep:
        shutil.rmtree(WORK)


if __name__ == "__main__":
    main()
