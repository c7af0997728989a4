"""What files hash to."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

    from upath import UPath


def digest_of(folder: Path | UPath, leave: Container[str] = ()) -> str:
    """SHA-256 over names and bytes of all files below a folder.

    ``registered_model_meta``, which MLflow adds to a downloaded copy, never comes through our own download.

    :param leave: names of files directly in the folder that do not count
    """
    total, root = hashlib.sha256(), folder.as_posix().rstrip("/")
    files = {path.as_posix().removeprefix(root).lstrip("/"): path for path in folder.rglob("*") if path.is_file()}
    for name, path in sorted(files.items(), key=lambda item: item[0].split("/")):
        if name not in leave:
            with path.open("rb") as file:
                total.update(f"{name}\0".encode())
                total.update(_file_digest(file))
    return total.hexdigest()


def _file_digest(file: object) -> bytes:
    return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
