"""Which code made this: a git commit with a hash of what was not committed, or a hash of the files."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

#: Suffixes that count as code where there is no git.
_CODE = {".py", ".yaml", ".yml", ".json", ".sql", ".toml"}


def code_version(folder: Path, bundle_version: str | None = None) -> str:
    """Version of the code in a folder: ``git:<commit>[+<changes>]``, ``bundle:<version>`` or ``files:<hash>``.

    A part after ``+`` means that the folder differed from the commit (a dirty tree), and says by what: two runs on
    the same uncommitted change have the same version, a further edit gives another.
    """
    if bundle_version:
        return f"bundle:{bundle_version}"
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return f"files:{_hash_files(sorted(p for p in folder.rglob('*') if p.suffix in _CODE), folder)}"
    changed = _git(folder, "diff", "HEAD", "--binary", "--", ".") or b""
    names = (_git(folder, "ls-files", "--others", "--exclude-standard", "-z", "--", ".") or b"").split(b"\0")
    untracked = sorted(folder / name.decode() for name in names if name)
    base = f"git:{commit.decode().strip()}"
    if not changed and not untracked:
        return base
    return f"{base}+{hashlib.sha256(changed + _hash_files(untracked, folder).encode()).hexdigest()[:12]}"


def _git(folder: Path, *arguments: str) -> bytes | None:
    try:
        answer = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout


def _hash_files(paths: list[Path], folder: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]
