"""What the scripts of the peers share; it runs in each peer's own environment, so it stands on pandas alone."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

# A script here is named after the library that it runs: that name means the library.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]


@dataclass(frozen=True)
class Task:
    """``work`` is ``both`` (read both tables), ``prepare`` (keep what a later check needs) or ``baseline`` (use it)."""

    reference: str
    current: str
    work: str
    how: str
    keep: Path
    numbers: list[str]
    words: list[str]

    @property
    def columns(self) -> list[str]:
        return self.numbers + self.words

    def frame(self, path: str) -> Any:
        import pandas as pd

        return pd.read_parquet(path)

    def frames(self) -> tuple[Any, Any]:
        return self.frame(self.reference), self.frame(self.current)

    def kept(self, name: str) -> Path:
        self.keep.mkdir(parents=True, exist_ok=True)
        return self.keep / name


def task(ways: Mapping[str, Any]) -> Task:
    """What the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("reference")
    parser.add_argument("current")
    parser.add_argument("--work", choices=["both", "prepare", "baseline"], default="both")
    parser.add_argument("--how", choices=list(ways), default="default")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--numbers", type=lambda text: text.split(","))
    parser.add_argument("--words", type=lambda text: text.split(","))
    return Task(**vars(parser.parse_args()))


def say(library: str, scores: Mapping[str, Any], drifted: set[str], sampling: str, **more: Any) -> None:
    """The result as one line of JSON, after whatever the library prints."""
    said = {name: None if score is None or math.isnan(score) else round(score, 5) for name, score in scores.items()}
    result = {"drifted": sorted(drifted), "scores": said, "sampling": sampling, "version": version(library), **more}
    print("\n" + json.dumps(result), flush=True)
