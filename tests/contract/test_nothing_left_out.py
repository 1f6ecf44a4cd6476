"""The suite runs all of itself: pytest leaves folders of some names out, and says nothing."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


def test_no_folder_of_tests_has_a_name_that_pytest_leaves_out(pytestconfig: pytest.Config) -> None:
    patterns = pytestconfig.getini("norecursedirs")
    names = {
        part for file in TESTS.rglob("test_*.py") for part in file.relative_to(TESTS).parts[:-1] if part[:1] != "."
    }
    assert {name for name in names for pattern in patterns if fnmatch(name, pattern)} == set()
    assert "build" in names, "the name that made this test necessary"
