"""Numbered folders: whole or not there, whoever dies or writes at once, on a disk and on S3."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from airflow_mlops import _failpoints
from airflow_mlops.clients.digests import digest_of
from airflow_mlops.clients.folder import MANIFEST, FolderTarget
from airflow_mlops.core.deployment import Deployed, Standing, Wanted
from airflow_mlops.exceptions import ConfigurationError, ServiceUnavailable


def files_of(folder: Path, text: str) -> Path:
    (folder / "inner").mkdir(parents=True)
    (folder / "MLmodel").write_text(text)
    (folder / "inner" / "model.skops").write_bytes(text.encode() * 100)
    return folder


@pytest.fixture
def versions(tmp_path: Path) -> dict[int, tuple[Wanted, Path]]:
    """Three versions and their files."""
    found = {}
    for number in (1, 2, 3):
        files = files_of(tmp_path / f"files{number}", f"version {number}")
        found[number] = Wanted(Deployed("m", number, digest_of(files))), files
    return found


@pytest.fixture(params=["disk", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[UPath]:
    if request.param == "disk":
        yield UPath(tmp_path / "models")
        return
    import boto3

    moto = request.getfixturevalue("moto")
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    bucket = f"b{random.randrange(10**12)}"
    boto3.client("s3", endpoint_url=moto, **keys).create_bucket(Bucket=bucket)
    yield UPath(f"s3://{bucket}/models", key="test", secret="test", client_kwargs={"endpoint_url": moto})


def numbers(root: UPath) -> list[int]:
    root.fs.invalidate_cache()
    return sorted(int(path.name) for path in (root / "m").iterdir() if path.name.isdecimal())


def test_the_greatest_number_serves_and_going_back_is_one_more(
    root: UPath, versions: dict[int, tuple[Wanted, Path]]
) -> None:
    target = FolderTarget(root, keep=3)
    assert target.standing("m") == Standing()
    for number in (1, 2, 1, 3):
        target.put(*versions[number])
        assert target.standing("m") == Standing(versions[number][0].deployed)
    assert numbers(root) == [2, 3, 4]
    last = root / "m" / "4"
    assert (last / "MLmodel").read_text() == "version 3"
    assert json.loads((last / MANIFEST).read_text())["version"] == 3
    assert target.standing("other") == Standing()


def test_changed_bytes_are_told_by_their_own_digest(root: UPath, versions: dict[int, tuple[Wanted, Path]]) -> None:
    target, (wanted, files) = FolderTarget(root), versions[1]
    target.put(wanted, files)
    (root / "m" / "1" / "MLmodel").write_text("tampered")
    found = target.standing("m").champion
    assert found
    assert (found.version, found.digest == wanted.deployed.digest) == (1, False)
    target.put(wanted, files)
    assert wanted.held_by(target.standing("m"))


def test_what_has_no_manifest_or_no_number_is_not_read(root: UPath, versions: dict[int, tuple[Wanted, Path]]) -> None:
    target = FolderTarget(root)
    target.put(*versions[1])
    for name, text in (("7/MLmodel", "half"), ("8/" + MANIFEST, "{"), ("007/x", "y"), ("new/x", "y"), ("9", "a file")):
        path = root / "m" / name
        if target.root.protocol in ("", "file"):
            Path(path.path).parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert target.standing("m") == Standing(versions[1][0].deployed)
    target.put(*versions[2])
    assert target.standing("m") == Standing(versions[2][0].deployed)


def test_those_who_write_at_once_get_a_number_each(root: UPath, versions: dict[int, tuple[Wanted, Path]]) -> None:
    barrier = threading.Barrier(3)

    def work(number: int) -> None:
        target = FolderTarget(root)
        barrier.wait()
        target.put(*versions[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(numbers(root)) == 3
    for number in numbers(root):
        told = json.loads((root / "m" / str(number) / MANIFEST).read_text())
        assert digest_of(root / "m" / str(number), leave=(MANIFEST,)) == told["digest"]


def child(failpoint: str, root: str, options: dict[str, Any], wanted: Wanted, files: Path) -> None:
    os.environ[_failpoints.VARIABLE] = failpoint
    FolderTarget(UPath(root, **options)).put(wanted, files)


@pytest.mark.faults("kill of a deployment to a folder", rounds=3)
@pytest.mark.parametrize(
    "failpoint", ["file.before", "file.after", "file.after:2", "manifest.before", "manifest.after"]
)
def test_who_dies_on_the_way_leaves_what_was_there(
    root: UPath, versions: dict[int, tuple[Wanted, Path]], failpoint: str
) -> None:
    target = FolderTarget(root)
    target.put(*versions[1])
    options = dict(root.storage_options)
    process = get_context("spawn").Process(target=child, args=(failpoint, str(root), options, *versions[2]))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    root.fs.invalidate_cache()
    arrived = 2 if failpoint == "manifest.after" else 1
    assert target.standing("m") == Standing(versions[arrived][0].deployed)
    target.put(*versions[2])
    assert target.standing("m") == Standing(versions[2][0].deployed)


def test_what_the_disk_says_is_no_fault_of_the_model(tmp_path: Path, versions: dict[int, tuple[Wanted, Path]]) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ServiceUnavailable, match="cannot be written"):
        FolderTarget(UPath(tmp_path / "file")).put(*versions[1])
    with pytest.raises(ConfigurationError, match="keep at least 2"):
        FolderTarget(UPath(tmp_path), keep=1)
    with pytest.raises(ConfigurationError, match="not allowed"):
        FolderTarget(UPath(tmp_path)).standing("../m")


def test_spools_of_the_dead_are_removed_after_a_day(tmp_path: Path, versions: dict[int, tuple[Wanted, Path]]) -> None:
    old, young = tmp_path / "m" / ".old.tmp", tmp_path / "m" / ".young.tmp"
    for spool in (old, young):
        spool.mkdir(parents=True)
    os.utime(old, (0, 0))
    FolderTarget(UPath(tmp_path)).put(*versions[1])
    assert (old.exists(), young.exists()) == (False, True)
