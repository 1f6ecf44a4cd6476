"""What gets installed for a target, read from its files alone; and how settings and lines are read."""

from __future__ import annotations

import pytest

from action.verify.coveragesettings import read_coverage_settings
from action.verify.dependencies import read_dependencies
from action.verify.environment import pip_environment
from action.verify.integrity.difference import added_lines
from action.verify.layout import is_test_path, read_pytest_config
from action.verify.linecoverage import without_new_pragmas

PYPROJECT = b"""
[project]
name = "Calc"
dependencies = ["idna>=3"]
[project.optional-dependencies]
test = ["pytest-mock", "calc[extra]"]
extra = ["attrs"]
docs = ["sphinx"]
[dependency-groups]
dev = ["respx", {include-group = "shared"}]
shared = ["iniconfig"]
"""


def test_requirements_of_project_test_extras_and_groups_are_read() -> None:
    found = read_dependencies({"pyproject.toml": PYPROJECT})
    assert found.distributions == ("attrs", "idna", "iniconfig", "pytest-mock", "respx")


def test_requirements_files_are_followed_and_hashes_kept_apart() -> None:
    found = read_dependencies(
        {
            "requirements.txt": b"-r requirements/base.txt\n# note\nidna==3.10 \\\n    --hash=sha256:aa\n-e .\n",
            "requirements/base.txt": b"attrs ; python_version > '3'  # why\n-i https://elsewhere.example\n./local\n",
        }
    )
    assert found.plain == ("attrs ; python_version > '3'",)
    assert found.hashed == ("idna==3.10  --hash=sha256:aa",) or found.hashed[0].startswith("idna==3.10")
    assert len(found.notes) == 2


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ('"^1.2.3"', "x>=1.2.3,<2"),
        ('"^0.2.3"', "x>=0.2.3,<0.3"),
        ('"~1.2"', "x>=1.2,<1.3"),
        ('"*"', "x"),
        ('">=2"', "x>=2"),
        ('{version = "1.0", optional = true}', "x==1.0"),
    ],
)
def test_poetry_versions_are_told_in_pips_words(wanted: str, line: str) -> None:
    found = read_dependencies({"pyproject.toml": f'[tool.poetry.dependencies]\npython = "^3"\nx = {wanted}\n'.encode()})
    assert found.plain == (line,)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"[project", b"[project]\ndependencies = 3\n", b"x = " + b"[" * 5000])
def test_broken_project_file_needs_nothing(data: bytes) -> None:
    assert not read_dependencies({"pyproject.toml": data})


def test_pip_sees_its_own_settings_and_no_secret() -> None:
    inherited = {"PIP_CERT": "c", "HTTPS_PROXY": "p", "PATH": "/bin", "AICD_TOKEN": "secret", "PYTHONPATH": "/x"}
    assert set(pip_environment(inherited)) & set(inherited) == {"PIP_CERT", "HTTPS_PROXY", "PATH"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/data/x.json", True),
        ("pkg/test_x.py", True),
        ("pkg/x_test.py", True),
        ("conftest.py", True),
        ("pkg/testing.py", False),
        ("latest/x.py", False),
        ("pkg/contest.py", False),
    ],
)
def test_path_is_told_to_be_a_tests_or_not(path: str, expected: bool) -> None:
    assert is_test_path(path) is expected


def test_pytest_settings_are_found_in_pytests_own_order() -> None:
    files = {"setup.cfg": b"[tool:pytest]\naddopts = -q\n", "pyproject.toml": b"[tool.ruff]\n", "tox.ini": b"[tox]\n"}
    assert read_pytest_config(files).file == "setup.cfg"
    assert read_pytest_config({**files, "pytest.ini": b""}).file == "pytest.ini"
    pyproject = b'[tool.pytest.ini_options]\npython_files = "check_*.py"\n'
    assert read_pytest_config({**files, "pyproject.toml": pyproject}).python_files == ("check_*.py",)


@pytest.mark.parametrize(
    ("settings", "path", "counts"),
    [
        (b"", "pkg/a.py", True),
        (b"[run]\nsource = pkg\n", "pkg/a.py", True),
        (b"[run]\nsource = pkg\n", "src/pkg/a.py", True),
        (b"[run]\nsource = pkg\n", "other/a.py", False),
        (b"[run]\nomit =\n    pkg/gen/*\n    */x.py\n", "pkg/gen/a.py", False),
        (b"[run]\nomit =\n    pkg/gen/*\n    */x.py\n", "deep/er/x.py", False),
        (b"[report]\ninclude = pkg/*\n", "other/a.py", False),
    ],
)
def test_coverage_settings_say_which_file_counts(settings: bytes, path: str, counts: bool) -> None:
    assert read_coverage_settings({".coveragerc": settings}).is_source(path) is counts


def test_new_pragma_is_taken_out_and_an_old_one_stays() -> None:
    base = "a = 1  # pragma: no cover\n"
    head = "a = 1  # pragma: no cover\nb = 2  # pragma: no cover\n"
    cleaned = without_new_pragmas(base, head).splitlines()
    assert cleaned[0] == "a = 1  # pragma: no cover"
    assert "pragma" not in cleaned[1]


def test_added_lines_are_numbered_from_one() -> None:
    assert added_lines("a\nb\nc\n", "a\nx\nb\nc\ny\n") == {2, 5}
    assert added_lines("", "a\nb\n") == {1, 2}
    assert added_lines("a\n" * 9000, "b\n" * 9000) == set(range(1, 9001))
