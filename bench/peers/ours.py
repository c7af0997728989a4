"""Ours: ``steps.profiles`` and ``core.drift``, from Parquet to a verdict as JSON.

``prepare`` keeps the profile of the reference, and ``baseline`` reads it in place of the reference.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("reference")
    parser.add_argument("current")
    parser.add_argument("--work", choices=["both", "prepare", "baseline"], default="both")
    parser.add_argument("--keep", type=Path, required=True)
    given = parser.parse_args()
    from airflow_mlops.steps.profiles import load_profile, profile_files, save_profile

    kept = given.keep / "ours.uri"
    stored = given.work == "baseline"
    reference = load_profile(Path(kept.read_text())) if stored else profile_files([given.reference])
    if given.work == "prepare":
        given.keep.mkdir(parents=True, exist_ok=True)
        from upath import UPath

        kept.write_text(save_profile(UPath(given.keep), reference, "reference"))
        return
    from airflow_mlops.core.drift import DriftPolicy, check_drift

    report = check_drift(reference, profile_files([given.current], reference.plan), DriftPolicy())
    # Of medium severity or more: what acts, by the rule.
    drifted = sorted({column.name for column in report.drifted if column.severity != "small"})
    print(json.dumps({"drifted": drifted, "verdict": report.verdict, "report": report.to_json()}))


if __name__ == "__main__":
    main()
