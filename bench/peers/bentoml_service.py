"""The model behind BentoML with its adaptive batching: of lists, since its batches of frames fail."""

import os
from typing import Any

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1)
class Scorer:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])
        self.columns = list(self.model.feature_names_in_)

    @bentoml.api(batchable=True, max_batch_size=2048, max_latency_ms=60_000)
    def predict(self, rows: list[list[Any]]) -> list[int]:
        return self.model.predict(pd.DataFrame(rows, columns=self.columns)).tolist()
