from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.steps.projects import load_project, load_projects

SHIPPED = Path(__file__).parents[2] / "dags" / "projects"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("flight_delays.yaml", "flight_delays.suite.yaml"):
        shutil.copy(SHIPPED / name, tmp_path)
    return tmp_path


def test_all_projects_of_a_folder_by_name_and_no_suite(folder: Path) -> None:
    text = (folder / "flight_delays.yaml").read_text()
    (folder / "another.yaml").write_text(text.replace("name: flight_delays", "name: another"))
    assert [project.name for project in load_projects(folder)] == ["another", "flight_delays"]


def test_the_suite_is_found_beside_the_project_from_any_folder(folder: Path) -> None:
    assert load_project(folder / "flight_delays.yaml").validation.suite == str(folder / "flight_delays.suite.yaml")


def test_a_folder_without_projects(tmp_path: Path) -> None:
    assert load_projects(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: [", "Project file flight_delays.yaml cannot be read"),
        ("!!python/object/apply:os.system [echo]", "Project file flight_delays.yaml cannot be read"),
        ("", "Project file flight_delays.yaml: the file"),
        ("\x00", "Project file flight_delays.yaml cannot be read"),
    ],
)
def test_a_file_that_is_no_project(folder: Path, text: str, complaint: str) -> None:
    (folder / "flight_delays.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=complaint):
        load_projects(folder)


def test_bytes_that_are_no_text(folder: Path) -> None:
    (folder / "flight_delays.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(ConfigurationError, match=r"Project file flight_delays.yaml cannot be read"):
        load_projects(folder)


def test_a_suite_that_is_not_there(folder: Path) -> None:
    (folder / "flight_delays.suite.yaml").unlink()
    with pytest.raises(ConfigurationError, match=r"flight_delays.yaml: validation.suite: there is no file"):
        load_projects(folder)


def test_a_file_is_named_after_its_project(folder: Path) -> None:
    shutil.copy(folder / "flight_delays.yaml", folder / "copy.yaml")
    with pytest.raises(ConfigurationError, match=r"copy.yaml: name: flight_delays belongs in flight_delays.yaml"):
        load_projects(folder)


def test_a_mistake_in_another_file_does_not_matter_to_the_one_that_is_wanted(folder: Path) -> None:
    (folder / "broken.yaml").write_text("name: [")
    assert [project.name for project in load_projects(folder, "flight_delays")] == ["flight_delays"]
