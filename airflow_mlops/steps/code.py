"""Which code made this: a git commit with a hash of what was not committed, or a hash of the files."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

#: Suffixes that count as code where there is no git.
_CODE = {".py", ".yaml", ".yml", ".json", ".sql", ".toml"}


def code_version(folder: Path, bundle_version: str | None = None) -> str:
    """Version of the code around a folder: ``git:<commit>[+<changes>]``, ``bundle:<version>`` or ``files:<hash>``.

    A part after ``+`` means that the checkout differed from the commit (a dirty tree), and says by what: two runs on
    the same uncommitted change have the same version, a further edit gives another.
    """
    if bundle_version:
        return f"bundle:{bundle_version}"
    commit, top = _git(folder, "rev-parse", "HEAD"), _git(folder, "rev-parse", "--show-toplevel")
    if commit is None or top is None:
        return f"files:{_hash_files(sorted(p for p in folder.rglob('*') if p.suffix in _CODE), folder)}"
    # Names, and not the text of the difference: that depends on each person's settings of git.
    # The whole checkout: the commit speaks of all of it, and a model's code may lie beside the folder of the DAGs.
    folder = Path(os.fsdecode(top.rstrip(b"\n")))
    changed = _git(folder, "diff", "HEAD", "--name-only", "--no-renames", "-z") or b""
    untracked = _git(folder, "ls-files", "--others", "--exclude-standard", "-z") or b""
    names = {os.fsdecode(name) for name in (changed + untracked).split(b"\0") if name}
    base = f"git:{commit.decode().strip()}"
    return f"{base}+{_hash_files(sorted(folder / name for name in names), folder)[:12]}" if names else base


def _git(folder: Path, *arguments: str) -> bytes | None:
    try:
        answer = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout


def _hash_files(paths: list[Path], folder: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(os.fsencode(path.relative_to(folder)) + b"\0")
        if path.is_file():  # else it was deleted
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]
