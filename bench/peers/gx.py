"""Great Expectations: Kullback-Leibler divergence of every column, against bins and weights that we prepare for it.

Bins and weights are kept: a later check reads the current rows alone.
"""

from __future__ import annotations

import json
import logging
from typing import Any

import peer

HOW = {"default": {}}
LIMIT = 0.1


def partition(column: Any, words: bool) -> dict[str, Any]:
    """Twenty bins of equal mass with open ends, or the share of each value: what its expectation weighs against."""
    import numpy as np

    values = column.dropna()
    if words:
        shares = values.value_counts(normalize=True)
        return {"values": [str(value) for value in shares.index], "weights": [float(share) for share in shares]}
    edges = np.unique(np.quantile(values.to_numpy(), np.linspace(0, 1, 21))[1:-1])
    counts = np.bincount(np.searchsorted(edges, values.to_numpy(), side="right"), minlength=len(edges) + 1)
    shares = [float(share) for share in counts / counts.sum()]
    return {"bins": [float(edge) for edge in edges], "weights": shares[1:-1], "tail_weights": [shares[0], shares[-1]]}


def holdout(made: dict[str, Any]) -> dict[str, float]:
    """What a value or a bin without weight weighs: a divergence would be infinite without it."""
    return {"internal_weight_holdout": 1e-6} if "bins" in made else {"tail_weight_holdout": 1e-6}


def main() -> None:
    task = peer.task(HOW)
    logging.disable(logging.WARNING)
    import great_expectations as gx
    from great_expectations.expectations import ExpectColumnKLDivergenceToBeLessThan

    kept = task.kept("gx.json")
    if task.work == "baseline":
        partitions = json.loads(kept.read_text())
    else:
        reference = task.frame(task.reference)
        partitions = {column: partition(reference[column], column in task.words) for column in task.columns}
        del reference
    if task.work == "prepare":
        kept.write_text(json.dumps(partitions))
        return
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = None
    batches = context.data_sources.add_pandas("p").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b")
    suite = gx.ExpectationSuite(
        name="drift",
        expectations=[
            ExpectColumnKLDivergenceToBeLessThan(column=name, partition_object=made, threshold=LIMIT, **holdout(made))
            for name, made in partitions.items()
        ],
    )
    found = batches.get_batch({"dataframe": task.frame(task.current)}).validate(suite)
    scores, drifted = {}, set()
    for result in found.results:
        name = result.expectation_config.kwargs["column"]
        scores[name] = result.result.get("observed_value")
        if not result.success:
            drifted.add(name)
    errors = [r.exception_info for r in found.results if "observed_value" not in r.result]
    peer.say("great-expectations", scores, drifted, "none", **({"errors": str(errors)[:300]} if errors else {}))


if __name__ == "__main__":
    main()
