"""What a task pays before it starts: CPU seconds of importing the operators, and of parsing each DAG file.

Both sides of a pair run alternately, each in a fresh interpreter; printed are the median and the spread of the pairs.
"""

from __future__ import annotations

import json
import os
import pkgutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import airflow_mlops

ROOT = Path(__file__).parent.parent
ROUNDS = 7
LAYERS = ("hooks", "operators", "sensors", "triggers", "decorators", "links")
HEAVY = ("mlflow", "great_expectations", "sklearn", "pandas", "numpy", "scipy", "pyarrow", "requests", "boto3")
MODULES = [
    m.name for m in pkgutil.walk_packages(airflow_mlops.__path__, "airflow_mlops.") if m.name.split(".")[1] in LAYERS
]

PROGRAM = """
import sys, time, importlib, airflow.sdk
begin = time.process_time()
{body}
print(time.process_time() - begin, *[name for name in {heavy} if name in sys.modules])
"""


def cpu(body: str) -> tuple[float, list[str]]:
    """CPU seconds of statements in a fresh interpreter that has ``airflow.sdk``, and the heavy libraries they load."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        program = PROGRAM.format(body=body, heavy=HEAVY)
        answer = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
        )
    seconds, *loaded = answer.stdout.splitlines()[-1].split()
    return float(seconds), loaded


def main() -> None:
    parts = {"import operators": f"for name in {MODULES!r}: importlib.import_module(name)"}
    for path in sorted((ROOT / "dags").glob("*.py")):
        # A worker has the operators when it parses: what the file itself adds is its own cost.
        parts[f"parse {path.name}"] = (
            f"sys.path.insert(0, {str(path.parent)!r})\nimport runpy\nrunpy.run_path({str(path)!r})"
        )
    cpu(next(iter(parts.values())))  # byte-code
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    heavy: dict[str, list[str]] = {}
    for _ in range(ROUNDS):
        for name, body in parts.items():
            spent, heavy[name] = cpu(body)
            seconds[name].append(spent)
    results = {
        name: {
            "median_cpu_seconds": round(statistics.median(values), 3),
            "lowest": round(min(values), 3),
            "highest": round(max(values), 3),
            "heavy_libraries": heavy[name],
        }
        for name, values in seconds.items()
    }
    print(f"CPU seconds over airflow.sdk, {ROUNDS} fresh interpreters each, {len(MODULES)} modules")
    for name, result in results.items():
        spread = f"{result['lowest']:.3f} to {result['highest']:.3f}"
        loads = ", ".join(result["heavy_libraries"]) or "no heavy library"
        print(f"  {name:32} {result['median_cpu_seconds']:.3f}  ({spread}; loads {loads})")
    target = ROOT / "build" / "bench" / "imports.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
