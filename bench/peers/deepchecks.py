"""deepchecks: ``FeatureDrift`` over all columns. By itself it looks at a sample of 100,000 rows."""

from __future__ import annotations

import peer

HOW = {"default": {"n_samples": 100_000}, "all": {"n_samples": 10**9}}
#: Its own condition: Kolmogorov-Smirnov and Cramér's V above this.
THRESHOLD = 0.2


def main() -> None:
    task = peer.task(HOW)
    from deepchecks.tabular import Dataset
    from deepchecks.tabular.checks import FeatureDrift

    reference, current = (Dataset(frame, cat_features=task.words, label=None) for frame in task.frames())
    found = FeatureDrift(**HOW[task.how]).run(reference, current, with_display=False).value
    scores = {column: value["Drift score"] for column, value in found.items()}
    sampled = f"{HOW[task.how]['n_samples']:,} rows" if task.how == "default" else "none"
    peer.say("deepchecks", scores, {name for name, score in scores.items() if score > THRESHOLD}, sampled)


if __name__ == "__main__":
    main()
