"""Environments of the peers: each has its own below ``build/bench/peers``, of the versions in its requirements."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
UV = ROOT / "build" / "uv" / "bin" / "uv"
#: uv takes no interpreter from the network.
_OFFLINE = {"UV_PYTHON_DOWNLOADS": "never"}


def environment(name: str) -> Path | str:
    """The interpreter of a peer's environment, made when its requirements are new; or why there is none, in a line."""
    requirements = ROOT / "bench" / "peers" / f"{name}.txt"
    folder = ROOT / "build" / "bench" / "peers" / name
    python, stamp = folder / "bin" / "python", folder / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"installing {name} ...", flush=True)
    base = getattr(sys, "_base_executable", sys.executable)
    for arguments in (
        ["venv", "--clear", "--python", base, folder],
        ["pip", "install", "--python", python, "--requirements", requirements],
    ):
        done = subprocess.run(
            [UV, "--quiet", *arguments], capture_output=True, text=True, check=False, env={**os.environ, **_OFFLINE}
        )
        if done.returncode:
            return f"does not install: {' '.join(done.stderr.split())[:300]}"
    stamp.write_text(wanted)
    return python
