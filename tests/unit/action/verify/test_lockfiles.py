"""Pins of every lock file's form, and what is no pin."""

from __future__ import annotations

import json

import pytest

from action.verify.dependencies import read_dependencies
from action.verify.lockfiles import read_constraints

UV = """version = 1
[[package]]
name = "idna"
version = "3.10"
source = { registry = "https://example.org/simple" }
[[package]]
name = "calc"
version = "1.0"
source = { editable = "." }
[[package]]
name = "numpy"
version = "1.26"
source = { registry = "https://example.org/simple" }
[[package]]
name = "numpy"
version = "2.1"
source = { registry = "https://example.org/simple" }
[[package]]
name = "patched"
version = "1"
source = { git = "https://example.org/x.git" }
"""
POETRY = """[[package]]
name = "idna"
version = "3.10"
[[package]]
name = "patched"
version = "1"
[package.source]
type = "git"
url = "https://example.org/x.git"
"""
PYLOCK = """lock-version = "1.0"
[[packages]]
name = "idna"
version = "3.10"
index = "https://example.org/simple"
[[packages]]
name = "patched"
version = "1"
vcs = { type = "git" }
"""
PIPFILE = json.dumps({"default": {"idna": {"version": "==3.10"}}, "develop": {"patched": {"git": "x"}}})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uv.lock", UV),
        ("poetry.lock", POETRY),
        ("pdm.lock", POETRY),
        ("pylock.toml", PYLOCK),
        ("Pipfile.lock", PIPFILE),
    ],
)
def test_lock_pins_what_comes_from_an_index_in_one_version(name: str, text: str) -> None:
    assert read_constraints({name: text.encode()}) == (name, ("idna==3.10",))


@pytest.mark.parametrize(
    "text", ["", "[[package]]\nname = 3\n", 'package = "x"\n', '[[package]]\nname = "-r x"\nversion = "1"\n', "\x00"]
)
def test_lock_that_says_nothing_pins_nothing(text: str) -> None:
    assert read_constraints({"uv.lock": text.encode()}) == ("", ())


def test_locked_project_is_installed_as_locked_and_says_so() -> None:
    pyproject = b'[project]\nname = "calc"\ndependencies = ["idna"]\n'
    found = read_dependencies({"pyproject.toml": pyproject, "uv.lock": UV.encode()})
    assert (found.plain, found.constraints) == (("idna",), ("idna==3.10",))
    assert found.notes == ("1 versions are pinned by uv.lock",)
    assert read_dependencies({"uv.lock": UV.encode()}).constraints == ()
