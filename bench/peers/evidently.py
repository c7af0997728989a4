"""Evidently: its ``DataDriftPreset``, with its own choice of a distance for each column, or PSI for all."""

from __future__ import annotations

import peer

HOW = {"default": {}, "psi": {"method": "psi"}}


def main() -> None:
    task = peer.task(HOW)
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(numerical_columns=task.numbers, categorical_columns=task.words)
    reference, current = (Dataset.from_pandas(frame, data_definition=definition) for frame in task.frames())
    found = Report([DataDriftPreset(**HOW[task.how])]).run(current, reference).dict()
    columns = [metric for metric in found["metrics"] if "column" in metric["config"]]
    scores = {metric["config"]["column"]: float(metric["value"]) for metric in columns}
    limits = {metric["config"]["column"]: metric["config"].get("threshold") or 0.1 for metric in columns}
    peer.say("evidently", scores, {name for name, score in scores.items() if score >= limits[name]}, "none")


if __name__ == "__main__":
    main()
