"""NannyML: its univariate calculator with its own method, Jensen-Shannon, in its own ten chunks.

A column counts as drifted if it alerts in half of the current chunks or more.

Fitted to the reference, the calculator is kept: a later check reads the current rows alone.
"""

from __future__ import annotations

import pickle

import peer

HOW = {"default": {}}


def main() -> None:
    task = peer.task(HOW)
    from nannyml import UnivariateDriftCalculator

    kept = task.kept("nannyml.pickle")
    if task.work == "baseline":
        calculator = pickle.loads(kept.read_bytes())
    else:
        reference = task.frame(task.reference)
        calculator = UnivariateDriftCalculator(
            column_names=task.columns, treat_as_categorical=task.words, chunk_size=len(reference) // 10
        )
        calculator.fit(reference)
    if task.work == "prepare":
        kept.write_bytes(pickle.dumps(calculator))
        return
    found = calculator.calculate(task.frame(task.current)).filter(period="analysis").to_df()
    scores, drifted = {}, set()
    for column in task.columns:
        of = found[(column, "jensen_shannon")]
        scores[column] = float(of["value"].mean())
        if of["alert"].mean() >= 0.5:
            drifted.add(column)
    peer.say("nannyml", scores, drifted, "none")


if __name__ == "__main__":
    main()
