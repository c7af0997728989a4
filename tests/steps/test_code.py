"""Which code made a model: the commit, and a hash of what was not committed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from airflow_mlops.steps.code import code_version


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "train.py").write_text("depth = 3\n")
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    (tmp_path / "notes.txt").write_text("a\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def test_a_clean_folder_is_its_commit(repository: Path) -> None:
    assert code_version(repository / "dags") == f"git:{git(repository, 'rev-parse', 'HEAD')}"


def test_changes_are_told_and_told_apart(repository: Path) -> None:
    folder = repository / "dags"
    clean = code_version(folder)
    seen = [clean]
    for text in ("depth = 4\n", "depth = 5\n"):
        (folder / "train.py").write_text(text)
        seen += [code_version(folder), code_version(folder)]
    assert seen[1] == seen[2] != seen[3] == seen[4]
    assert all(version.startswith(f"{clean}+") for version in seen[1:])
    (folder / "train.py").write_text("depth = 3\n")
    assert code_version(folder) == clean


def test_a_new_file_counts_by_name_and_content(repository: Path) -> None:
    folder = repository / "dags"
    (folder / "néw file.py").write_text("a = 1\n")
    first = code_version(folder)
    assert "+" in first
    (folder / "néw file.py").write_text("a = 2\n")
    second = code_version(folder)
    (folder / "néw file.py").rename(folder / "other.py")
    assert len({first, second, code_version(folder)}) == 3


def test_a_staged_and_a_deleted_file_count(repository: Path) -> None:
    folder = repository / "dags"
    (folder / "train.py").write_text("depth = 4\n")
    changed = code_version(folder)
    git(repository, "add", ".")
    assert code_version(folder) == changed
    (folder / "train.py").unlink()
    assert code_version(folder) not in (changed, code_version(repository / ".git"))


def test_what_git_ignores_does_not_count(repository: Path) -> None:
    folder = repository / "dags"
    clean = code_version(folder)
    (folder / "train.pyc").write_bytes(b"\0")
    assert code_version(folder) == clean


def test_a_change_beside_the_folder_counts_as_the_commit_speaks_of_all(repository: Path) -> None:
    folder = repository / "dags"
    clean = code_version(folder)
    (repository / "new.py").write_text("b\n")
    assert code_version(folder).startswith(f"{clean}+")


def test_a_bundle_names_its_own_version(repository: Path) -> None:
    assert code_version(repository, "2026-11-01") == "bundle:2026-11-01"


def test_without_git_the_files_themselves_are_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "train.py").write_text("depth = 3\n")
    first = code_version(tmp_path)
    assert first.startswith("files:")
    (tmp_path / "data.parquet").write_bytes(b"no code")
    assert code_version(tmp_path) == first
    (tmp_path / "project.yaml").write_text("a: 1\n")
    assert code_version(tmp_path) != first


def test_without_the_git_program_too(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert code_version(repository).startswith("files:")


def test_a_persons_settings_of_git_change_nothing(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines on the same change agree, whatever colours and prefixes people like."""
    (repository / "dags" / "train.py").write_text("depth = 4\n")
    plain = code_version(repository / "dags")
    settings = repository.parent / f"{repository.name}.gitconfig"
    settings.write_text(
        "[color]\n ui = always\n[diff]\n noprefix = true\n context = 9\n external = echo\n algorithm = patience\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    assert code_version(repository / "dags") == plain
