"""Which files are new, and which of them are whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from airflow_mlops.core.polling.marks import FileMark, SeenFile
from airflow_mlops.core.polling.poll import Poll
from airflow_mlops.exceptions import ConfigurationError

#: So many names are told; the watermark knows them all.
TOLD = 50

#: Since when each file, by its digest, has been as it is.
Watched = Mapping[str, float]


@dataclass(frozen=True)
class AwaitedFiles:
    """What is waited for below one path.

    :param where: the path, for messages
    :param min_files: so many new and whole files
    :param min_partitions: so many folders that hold new and whole files
    :param marker: a file with this name in a folder, or above it, says that what is in there is whole
    :param settle: without a marker a file is whole once it was the same for so many seconds
    """

    where: str
    min_files: int = 1
    min_partitions: int = 1
    marker: str | None = None
    settle: float = 10

    def __post_init__(self) -> None:
        if self.marker is not None and ("/" in self.marker or not self.marker):
            raise ConfigurationError(f"marker {self.marker!r} is not a file name, such as _SUCCESS.")


def watch(files: Iterable[SeenFile], earlier: Watched, now: float) -> Watched:
    """What the next look must know of this one."""
    return {file.digest: earlier.get(file.digest, now) for file in files}


def judge_files(
    listing: Sequence[SeenFile], awaited: AwaitedFiles, mark: FileMark, watched: Watched, now: float
) -> Poll:
    """What a listing means to somebody who waits for new files.

    >>> awaited, file = AwaitedFiles("s3://b/flights", settle=30), SeenFile("dt=1/a.parquet", 10, 5.0)
    >>> judge_files([file], awaited, FileMark(), watch([file], {}, now=100), now=100).reason
    'Below s3://b/flights 1 new file (10 bytes) may still be written: dt=1/a.parquet.'
    >>> poll = judge_files([file], awaited, FileMark(), watch([file], {file.digest: 100}, now=130), now=130)
    >>> poll.reason
    'Below s3://b/flights: 1 new file (10 bytes): dt=1/a.parquet.'
    >>> judge_files([file], awaited, FileMark.parse(poll.found), {}, now=130).reason
    'Below s3://b/flights is nothing new (1 known).'
    """
    files = [file for file in listing if is_data(file.name, awaited.marker)]
    new = sorted((file for file in files if not mark.knows(file)), key=lambda file: (file.changed, file.name))
    if not new:
        return Poll("wait", f"Below {awaited.where} is nothing new ({len(files):,} known).")
    if awaited.marker:
        marks = {file.folder: file.changed for file in listing if file.name.rpartition("/")[2] == awaited.marker}
        whole = [file for file in new if _is_marked(file, marks)]
        unsure = f"wait for a {awaited.marker} that is not older than they are"
    else:
        whole = [file for file in new if now - watched.get(file.digest, now) >= awaited.settle]
        unsure = "may still be written"
    if not whole:
        return Poll("wait", f"Below {awaited.where} {_counted(new)} {unsure}: {_names(new)}.")
    folders = {file.folder for file in whole}
    if len(whole) < awaited.min_files or len(folders) < awaited.min_partitions:
        wanted = f"{awaited.min_files:,} in {awaited.min_partitions:,}"
        return Poll("wait", f"Below {awaited.where}: {_counted(whole)} in {len(folders):,} folders, {wanted} wanted.")
    found = {
        "source": awaited.where,
        "count": len(whole),
        "bytes": sum(file.bytes for file in whole),
        "partitions": len(folders),
        "names": [file.name for file in whole[:TOLD]],
        "watermark": mark.after(files, whole).to_json(),
    }
    return Poll("done", f"Below {awaited.where}: {_counted(whole)}: {_names(whole)}.", found)


def is_data(name: str, marker: str | None) -> bool:
    """Whether a name below the path is that of data: not hidden, and no marker.

    >>> is_data("dt=1/a.parquet", None), is_data("_delta_log/0.json", None), is_data("dt=1/_SUCCESS", "_SUCCESS")
    (True, False, False)
    """
    parts = name.split("/")
    return parts[-1] != marker and not any(part.startswith((".", "_")) for part in parts)


def _is_marked(file: SeenFile, marks: Mapping[str, float]) -> bool:
    """A marker of its folder, or of one above, that was written after it."""
    parts = file.name.split("/")[:-1]
    above = ("/".join(parts[:depth]) for depth in range(len(parts) + 1))
    return any(marks.get(folder, -1.0) >= file.changed for folder in above)


def _counted(files: Sequence[SeenFile]) -> str:
    return f"{len(files):,} new file{'s'[: len(files) != 1]} ({sum(file.bytes for file in files):,} bytes)"


def _names(files: Sequence[SeenFile]) -> str:
    return ", ".join([file.name for file in files[:3]] + (["…"] if len(files) > 3 else []))
