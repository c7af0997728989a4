"""``predict`` alone: frames that are there already, one after the other."""

from __future__ import annotations

import json
import sys
import time

import joblib
import pandas as pd

#: Seconds whose answers do not count.
WARM_UP = 1.0


def main(model_file: str, bodies: str, seconds: float) -> None:
    model = joblib.load(model_file)
    with open(bodies) as lines:
        parts = [json.loads(line)["dataframe_split"] for line in lines]
    frames = [pd.DataFrame(part["data"], columns=part["columns"]) for part in parts]
    begin, number, found = time.perf_counter(), 0, list[float]()
    while (now := time.perf_counter()) < begin + WARM_UP + seconds:
        model.predict(frames[number % len(frames)])
        number += 1
        if now >= begin + WARM_UP:
            found.append(time.perf_counter() - now)
    found.sort()
    told = {
        name: round(found[int(share * len(found))] * 1000, 3) for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99))
    }
    print(json.dumps({"requests": len(found), "failures": 0, "rps": round(len(found) / sum(found), 1), **told}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
