"""What the measurement of drift checks tells: its ratios as JSON, and a table to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tables import DRIFTED

BUILD = Path(__file__).parent.parent / "build" / "bench"
OURS, FLOOR = "airflow-mlops", "floor"


def told(result: dict[str, Any]) -> None:
    """Write what is known so far: a long measurement that is cut short has told something."""
    rows = {(r["system"], r["work"]): r for r in reversed(result["rows"])}
    for work in ("both", "baseline"):
        for size, name in (("1m", f"ratio_{work}"), ("10m", f"ratio_{work}_10m")):
            theirs = [
                r
                for r in result["rows"]
                if r["work"] == f"{work}_{size}" and r["system"] != OURS and "failure" not in r
            ]
            mine = rows.get((OURS, f"{work}_{size}"))
            if theirs and mine:
                fastest = min(theirs, key=lambda r: r["wall_s"])
                result[name] = round(fastest["wall_s"] / mine["wall_s"], 2)
                result[f"{name}_against"] = f"{fastest['system']}, {fastest['looks_at']}"
                result[f"{name}_each"] = {
                    f"{r['system']}, {r['looks_at']}": round(r["wall_s"] / mine["wall_s"], 2) for r in theirs
                }
    ours = [r["peak_mb"] for r in result["rows"] if r["system"] == OURS and "peak_mb" in r]
    result["peak_mb"] = max(ours, default=None)
    for size, name in (("1m", "floor_ratio"), ("10m", "floor_ratio_10m")):
        floor, mine = rows.get((FLOOR, f"scan_{size}")), rows.get((OURS, f"baseline_{size}"))
        if floor and mine and floor["wall_s"]:
            result[name] = round(mine["wall_s"] / floor["wall_s"], 2)
            result[f"{name}_cpu"] = round(mine["cpu_s"] / floor["cpu_s"], 2)
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "drift.json").write_text(json.dumps(result, indent=1) + "\n")


def report(result: dict[str, Any]) -> str:
    lines = [f"{'system':44} {'work':14} {'wall s':>8} {'CPU s':>8} {'MB':>7}  hits, false alarms"]
    for r in result["rows"]:
        name = f"{r['system']}{', ' + r['looks_at'] if 'looks_at' in r else ''}"
        if "failure" in r:
            lines.append(f"{name:44} {r['work']:14} {r['failure']}")
            continue
        found = f"{r['hits']} of {len(DRIFTED)}, {r['false_alarms']}" if "hits" in r else ""
        lines.append(f"{name:44} {r['work']:14} {r['wall_s']:8.2f} {r['cpu_s']:8.2f} {r['peak_mb']:7.0f}  {found}")
    names = [name for name in result if name.startswith(("ratio", "floor_ratio", "peak"))]
    return "\n".join([*lines, *(f"{name:24} {result[name]}" for name in names)])
