"""TensorFlow Data Validation: statistics of both tables from data frames, Jensen-Shannon and L-infinity comparators.

It keeps statistics: a later check reads the current rows alone.
"""

from __future__ import annotations

import peer

HOW = {"default": {}}
#: There is no default; these are what its guide takes.
LIMITS = {"numbers": 0.1, "words": 0.01}


def main() -> None:
    task = peer.task(HOW)
    import tensorflow_data_validation as tfdv

    kept = task.kept("tfdv.txt")
    if task.work == "baseline":
        reference = tfdv.load_stats_text(str(kept))
    else:
        reference = tfdv.generate_statistics_from_dataframe(task.frame(task.reference))
    if task.work == "prepare":
        tfdv.write_stats_text(reference, str(kept))
        return
    current = tfdv.generate_statistics_from_dataframe(task.frame(task.current))
    schema = tfdv.infer_schema(reference)
    for column in task.columns:
        comparator = tfdv.get_feature(schema, column).drift_comparator
        if column in task.words:
            comparator.infinity_norm.threshold = LIMITS["words"]
        else:
            comparator.jensen_shannon_divergence.threshold = LIMITS["numbers"]
    found = tfdv.validate_statistics(current, schema, previous_statistics=reference)
    scores = {}
    for measured in found.drift_skew_info:
        values = [value.value for value in measured.drift_measurements]
        scores[measured.path.step[0]] = values[0] if values else None
    peer.say("tensorflow-data-validation", scores, set(found.anomaly_info), "none")


if __name__ == "__main__":
    main()
