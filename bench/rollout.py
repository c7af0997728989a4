"""How soon a bad candidate is taken back, and how often a good one: the verdict alone, asked after every request.

    python bench/rollout.py [--rounds 200] [--seed 0] [--short]

Writes ``build/test/rollout.json``: by kind of candidate the share of runs in which it was taken back, and after how
many of its own requests. Every run draws requests one by one, by chance to either side, and asks after each.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import dataclass, replace
from pathlib import Path

from airflow_mlops.core.rollout import RolloutPolicy, RolloutVerdict, Side, Traffic, judge_rollout

OUT = Path(__file__).parent.parent / "build/test/rollout.json"


@dataclass(frozen=True)
class Case:
    """Rates of both sides.

    :param within: of these requests the candidate should be taken back
    """

    name: str
    errors: float = 0.01
    slow: float = 0.05
    champion_errors: float = 0.01
    share: float = 0.1
    within: int = 1000


CASES = (
    Case("20 % errors", errors=0.20, within=40),
    Case("10 % errors", errors=0.10, within=400),
    Case("5 % errors", errors=0.05, within=400),
    Case("20 % errors on half of the requests", errors=0.20, share=0.5, within=100),
    Case("ten times slower", slow=0.99, within=40),
    Case("healthy"),
    Case("healthy on half of the requests", share=0.5),
    Case("as bad as a champion that fails at 5 %", errors=0.05, champion_errors=0.05),
)
#: Nobody accepts here: it is watched to the end.
POLICY = replace(RolloutPolicy(), requests=10**9)


def run(case: Case, chance: random.Random) -> tuple[int | None, RolloutVerdict]:
    """Requests of the candidate until it was taken back; None where it never was."""
    champion, candidate, warm = Side(), Side(), None
    while True:
        if chance.random() >= case.share:
            champion = _next(champion, case.champion_errors, 0.05, chance)
            continue
        candidate = _next(candidate, case.errors, case.slow, chance)
        traffic = Traffic(champion, candidate, share=case.share)
        warm = warm or (traffic if candidate.requests >= POLICY.warm_up else None)
        verdict = judge_rollout(traffic, POLICY, warm)
        if verdict.decided:
            return candidate.requests, verdict
        if candidate.requests >= case.within:
            return None, verdict


def _next(side: Side, errors: float, slow: float, chance: random.Random) -> Side:
    failed, late = chance.random() < errors, chance.random() < slow
    return replace(side, requests=side.requests + 1, errors=side.errors + failed, slow=side.slow + late)


def measure(case: Case, rounds: int, seed: int) -> dict[str, object]:
    """One case, each run with a seed of its own."""
    ends = sorted(n for n in (run(case, random.Random(f"{seed} {case.name} {i}"))[0] for i in range(rounds)) if n)
    middle = ends[len(ends) // 2] if ends else None
    told = {"case": case.name, "share": case.share, "within": case.within, "runs": rounds}
    return {**told, "taken_back": len(ends) / rounds, "median": middle, "most": ends[-1] if ends else None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="a tenth of the rounds")
    asked = parser.parse_args()
    rounds = max(10, asked.rounds // 10) if asked.short else asked.rounds
    found = [measure(case, rounds, asked.seed) for case in CASES]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"seed": asked.seed, "cases": found}, indent=1))
    for entry in found:
        print(
            f"{entry['case']:42} within {entry['within']:5}: {entry['taken_back']:7.1%} taken back,"
            f" median {entry['median']}, seed {asked.seed}"
        )


if __name__ == "__main__":
    main()
