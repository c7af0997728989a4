"""Drift checks of whole tables, ours beside its peers: from Parquet to a verdict, each as a process of its own.

Five works, on twenty numeric and ten string columns:

- ``both_1m``, ``both_10m``: reference and current rows, with nothing prepared;
- ``baseline_1m``, ``baseline_10m``: against what the system itself kept of the reference; a system that keeps nothing
  reads the reference again, which is what ``both`` measured;
- ``curve``: ours against its baseline, at more and more rows.

Beside them the floor: reading the current rows' columns with pyarrow and summing them with numpy. Each peer has an
environment of its own from ``bench/peers/NAME.txt``; one that does not install, dies, or is not done in time is a row
that says so. Peers run with their own defaults, which may look at a sample, and on all rows. Rounds alternate.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from drift_table import BUILD, FLOOR, OURS, report, told
from environments import environment
from processes import Measured, alternate, measure, row
from tables import DRIFTED, WORDS, write_table

ROOT = Path(__file__).parent.parent
DATA, KEEP = BUILD / "data", BUILD / "keep"
MILLION = 1_000_000
NUMBERS = [f"n{number:02}" for number in range(1, 21)]
#: No peer calls home, or asks for a newer version of itself.
QUIET = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "GX_ANALYTICS_ENABLED": "false"}


@dataclass(frozen=True)
class Peer:
    """A script of ``bench/peers``: how it can be asked, with the words for it, and whether it keeps a reference."""

    name: str
    library: str
    ways: dict[str, str]
    keeps: bool


PEERS = (
    Peer("deepchecks", "deepchecks", {"default": "a sample of 100,000", "all": "all rows"}, keeps=False),
    Peer("tfdv", "TFDV", {"default": "all rows"}, keeps=True),
    Peer("nannyml", "NannyML", {"default": "all rows"}, keeps=True),
    Peer("gx", "Great Expectations", {"default": "all rows"}, keeps=True),
    Peer("evidently", "Evidently", {"default": "all rows", "psi": "all rows, PSI"}, keeps=False),
)


@dataclass(frozen=True)
class Tables:
    """The two tables of a work, and where each system keeps what it needs of the reference."""

    size: str
    reference: Path
    current: Path

    @classmethod
    def of(cls, size: str, rows: int) -> Tables:
        reference = write_table(DATA / f"reference_{rows}.parquet", rows, seed=1)
        return cls(size, reference, write_table(DATA / f"current_{rows}.parquet", rows, seed=2, drift=True))

    def warm(self) -> None:
        """Read both once, so that every run finds them in memory."""
        for path in (self.reference, self.current):
            with path.open("rb") as file:
                while file.read(1 << 24):
                    pass

    def remove(self) -> None:
        for path in {self.reference, self.current}:
            if path.stat().st_size > 200e6:
                path.unlink()


@dataclass(frozen=True)
class Runs:
    """How a run is started: its limits, and the environments of the peers."""

    patience: float
    memory_gb: float
    environments: dict[str, Path | str]

    def ours(self, tables: Tables, work: str) -> Measured:
        script = ROOT / "bench" / "peers" / "ours.py"
        keep = KEEP / tables.size / "ours"
        command = [sys.executable, script, tables.reference, tables.current, "--work", work, "--keep", keep]
        return measure(command, seconds=self.patience)

    def floor(self, tables: Tables) -> Measured:
        script = ROOT / "bench" / "peers" / "floor.py"
        return measure([sys.executable, script, tables.current], seconds=self.patience)

    def peer(self, peer: Peer, way: str, tables: Tables, work: str) -> Measured:
        python = self.environments[peer.name]
        if isinstance(python, str):
            return Measured(0, 0, 0, 0, os.getloadavg()[0], "", python)
        command = [
            *(python, ROOT / "bench" / "peers" / f"{peer.name}.py", tables.reference, tables.current),
            *("--work", work, "--how", way, "--keep", KEEP / tables.size / f"{peer.name}-{way}"),
            *("--numbers", ",".join(NUMBERS), "--words", ",".join(WORDS)),
        ]
        return measure(command, env=QUIET, seconds=self.patience, memory_gb=self.memory_gb)


def main() -> None:
    given = arguments()
    runs = Runs(given.patience, given.memory, {name: environment(name) for name in given.peers})
    chosen = [peer for peer in PEERS if peer.name in given.peers]
    result: dict[str, Any] = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "scale": given.scale,
        "rounds": given.rounds,
        "patience_s": given.patience,
        "memory_limit_gb": given.memory,
        "drifted": DRIFTED,
        "rows": [],
    }
    for size, millions, peer_rounds in (("1m", 1, given.rounds), ("10m", 10, 1)):
        if size == "10m" and given.short:
            continue
        tables = Tables.of(size, int(millions * MILLION * given.scale))
        tables.warm()
        result["rows"] += compared(tables, chosen, runs, given.rounds, peer_rounds)
        told(result)
        tables.remove()
    result["rows"] += curve([] if given.short else given.curve, given, runs)
    told(result)
    print(report(result))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [peer.name for peer in PEERS]
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="*", choices=names, default=names)
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the rows, to try the bench itself")
    parser.add_argument("--short", action="store_true", help="only the works of a million rows")
    parser.add_argument("--curve", type=int, nargs="*", default=[1, 10, 50, 100], help="millions of rows")
    parser.add_argument("--patience", type=float, default=600, help="seconds after which a run is ended")
    parser.add_argument("--memory", type=float, default=16, help="GB of address space for a peer")
    return parser.parse_args()


@dataclass(frozen=True)
class Side:
    """One of those that are compared at a work."""

    system: str
    work: str
    run: Callable[[], Measured]
    rounds: int
    looks_at: str | None = None

    @property
    def name(self) -> str:
        return ", ".join(filter(None, (self.system, self.looks_at, self.work)))


def sides(tables: Tables, peers: list[Peer], runs: Runs, rounds: int, peer_rounds: int) -> list[Side]:
    both, baseline = f"both_{tables.size}", f"baseline_{tables.size}"
    found = [
        Side(FLOOR, f"scan_{tables.size}", partial(runs.floor, tables), rounds),
        Side(OURS, both, partial(runs.ours, tables, "both"), rounds),
        Side(OURS, baseline, partial(runs.ours, tables, "baseline"), rounds),
    ]
    for peer in peers:
        for way, looks_at in peer.ways.items():
            read_both = partial(runs.peer, peer, way, tables, "both")
            found.append(Side(peer.library, both, read_both, peer_rounds, looks_at))
            if peer.keeps:
                found.append(
                    Side(peer.library, baseline, partial(kept, runs, peer, way, tables), peer_rounds, looks_at)
                )
    return found


def compared(tables: Tables, peers: list[Peer], runs: Runs, rounds: int, peer_rounds: int) -> list[dict[str, Any]]:
    """The rows of both works, from alternating rounds; one that fails runs no more."""
    shutil.rmtree(KEEP / tables.size, ignore_errors=True)
    runs.ours(tables, "prepare")
    every = sides(tables, peers, runs, rounds, peer_rounds)
    found: dict[str, list[Measured]] = {side.name: [] for side in every}
    for number in range(rounds):
        going = [s for s in every if number < s.rounds and not any(m.failure for m in found[s.name])]
        for name, measured in alternate({side.name: side.run for side in going}, 1, before=number).items():
            found[name] += measured
    rows = []
    keepers = {peer.library for peer in peers if peer.keeps}
    for side in every:
        more = {"looks_at": side.looks_at} if side.looks_at else {}
        rows.append(row(side.system, side.work, found[side.name], **more, **said(found[side.name])))
        if side.looks_at and side.system not in keepers:
            rows.append({**rows[-1], "work": f"baseline_{tables.size}", "keeps": "nothing: the run of both sides"})
    return rows


def kept(runs: Runs, peer: Peer, way: str, tables: Tables) -> Measured:
    """A check against what the peer keeps, which is made first, once, and not counted."""
    if not any((KEEP / tables.size / f"{peer.name}-{way}").glob("*")):
        prepared = runs.peer(peer, way, tables, "prepare")
        if prepared.failure:
            return prepared
    return runs.peer(peer, way, tables, "baseline")


def said(measured: Iterable[Measured]) -> dict[str, Any]:
    """Of what a run printed: which columns it flags, its hits and its false alarms."""
    for one in measured:
        if not one.failure and one.out.strip():
            answer = json.loads(one.out.strip().splitlines()[-1])
            if "drifted" not in answer:
                return {}
            flagged = set(answer["drifted"])
            told = {
                "drifted": sorted(flagged),
                "hits": len(flagged & set(DRIFTED)),
                "false_alarms": len(flagged - set(DRIFTED)),
            }
            return told | {key: answer[key] for key in ("version", "errors") if key in answer}
    return {}


def curve(millions: list[int], given: argparse.Namespace, runs: Runs) -> list[dict[str, Any]]:
    """Ours and the floor at more and more rows, each file gone before the next is written."""
    rows = []
    for million in millions:
        count = int(million * MILLION * given.scale)
        if (free := shutil.disk_usage(BUILD).free) < 2 * 150 * count:
            rows.append(
                {"system": OURS, "work": f"curve_{million}m", "failure": f"only {free / 1e9:.0f} GB of disk are free"}
            )
            continue
        small = KEEP / "1m"
        current = write_table(DATA / f"current_{count}.parquet", count, seed=2, drift=True)
        tables = Tables("1m", current, current)
        if not (small / "ours").exists():
            runs.ours(Tables.of("1m", int(MILLION * given.scale)), "prepare")
        tables.warm()
        found = alternate(
            {
                f"{FLOOR}, {million} million": partial(runs.floor, tables),
                f"{OURS}, {million} million": partial(runs.ours, tables, "baseline"),
            },
            given.rounds if million <= 10 else 1,
        )
        for (name, measured), system in zip(found.items(), (FLOOR, OURS), strict=True):
            rows.append(row(system, f"curve_{million}m", measured))
            print(name, rows[-1]["wall_s"], flush=True)
        tables.remove()
    return rows


if __name__ == "__main__":
    main()
