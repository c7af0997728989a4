"""Text for people: aligned, and within the terminal."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from airflow_mlops.cli import answers, planning


@pytest.mark.parametrize("module", [answers, planning], ids=lambda module: module.__name__)
def test_the_examples_in_the_code_hold(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_the_last_column_is_wrapped_under_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = answers.table(["WHAT", "WHY"], [["a" * 20, "word " * 20]])
    assert max(map(len, lines)) <= 60
    assert all(line.startswith(" " * 22 + "word") for line in lines[2:])
    assert len(lines) > 3
