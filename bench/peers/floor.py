"""The floor: what reading the columns costs. Each is decoded with pyarrow, on two threads, and summed with numpy."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BATCH = 32_768
#: What numpy calls the types that Arrow calls otherwise.
NAMES = {"double": "float64", "float": "float32"}


def total(path: str, column: str, words: bool, metadata: pq.FileMetaData) -> float:
    """The sum of a column's numbers, or of its strings' places in their dictionaries."""
    read = [column] if words else []
    file = pq.ParquetFile(path, metadata=metadata, read_dictionary=read, pre_buffer=False, memory_map=False)
    found = 0.0
    for batch in file.iter_batches(BATCH, columns=[column], use_threads=False):
        values = batch.column(0).indices if words else batch.column(0)
        values = values.drop_null()
        width = np.dtype(NAMES.get(str(values.type), str(values.type)))
        found += float(np.frombuffer(values.buffers()[1], width)[values.offset : values.offset + len(values)].sum())
    return found


def main() -> None:
    path = sys.argv[1]
    file = pq.ParquetFile(path)
    words = {field.name: pa.types.is_string(field.type) for field in file.schema_arrow}
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        sums = pool.map(lambda name: total(path, name, words[name], file.metadata), words)
        print(json.dumps({"sums": dict(zip(words, sums, strict=True)), "sampling": "none"}))


if __name__ == "__main__":
    main()
