"""Linters and type checkers: findings are counted one by one, and held against the tool's own sum."""

from __future__ import annotations

import json

import pytest

RUFF_FULL = """\
F401 [*] `os` imported but unused
 --> a.py:1:8
  |
1 | import os
  |        ^^
  |
help: Remove unused import: `os`

invalid-syntax: Expected an expression
 --> b.py:3:1

Found 2 errors.
[*] 1 fixable with the `--fix` option.
"""
RUFF_CONCISE = "a.py:1:8: F401 [*] `os` imported but unused\nb.py:3:1: invalid-syntax: Expected\nFound 2 errors.\n"
RUFF_ENTRY = {"filename": "a.py", "code": "F401", "message": "unused", "location": {"row": 1, "column": 8}}
MYPY = (
    "a.py:1: error: Bad [x]\n"
    "a.py:1: note: because\n"
    "b.py:2:3: error: Worse [y]\n"
    "Found 2 errors in 2 files (checked 5 source files)\n"
)
MYPY_JSON = (
    '{"file":"a.py","line":1,"severity":"error","message":"m"}\n'
    '{"file":"a.py","line":1,"severity":"note","message":"m"}\n'
)
PYRIGHT = (
    "/r/a.py\n"
    "  /r/a.py:1:5 - error: Bad (reportX)\n"
    "  /r/a.py:2:5 - warning: Hm (reportY)\n"
    "  /r/a.py:3:5 - information: So\n"
    "1 error, 1 warning, 1 information \n"
)
PYRIGHT_JSON = {
    "version": "1",
    "generalDiagnostics": [
        {"file": "a", "severity": "error", "message": "m", "range": {"start": {"line": 0}}},
        {"file": "a", "severity": "information", "message": "m"},
    ],
    "summary": {"filesAnalyzed": 1, "errorCount": 1, "warningCount": 0, "informationCount": 1},
}
ESLINT = (
    "\n"
    "/r/a.js\n"
    "  1:5  error    'x' is unused  no-unused-vars\n"
    "  2:1  warning  Hm  semi\n"
    "\n"
    "\u2716 2 problems (1 error, 1 warning)\n"
)
ESLINT_JSON = [
    {"filePath": "a.js", "messages": [{"ruleId": "semi", "severity": 1, "message": "m", "line": 1}], "errorCount": 0}
]
PYLINT = (
    "************* Module a\n"
    "a.py:1:0: C0114: Missing docstring (missing-module-docstring)\n"
    "\n"
    "Your code has been rated at 0.00/10\n"
)
FLAKE8 = "./a.py:1:1: F401 'os' imported but unused\n./a.py:2:80: E501 line too long\n2\n"


@pytest.mark.parametrize(
    ("content", "tool", "issues"),
    [
        ("All checks passed!\n", "ruff", 0),
        ("All checks passed!\r\n", "ruff", 0),
        (RUFF_CONCISE.replace("\n", "\r\n"), "ruff", 2),
        (MYPY.replace("\n", "\r\n"), "mypy", 2),
        ("\x1b[32mAll checks passed!\x1b[0m\n", "ruff", 0),
        ("All checks passed!\n".encode("utf-16"), "ruff", 0),
        (RUFF_FULL, "ruff", 2),
        (RUFF_CONCISE, "ruff", 2),
        ("Found 3 errors (3 fixed, 0 remaining).\n", "ruff", 0),
        (json.dumps([RUFF_ENTRY, RUFF_ENTRY]), "ruff", 2),
        ("3 files already formatted\n", "ruff", 0),
        ("Would reformat: a.py\n1 file would be reformatted, 2 files already formatted\n", "ruff", 1),
        ("[]\n", "", 0),
        (FLAKE8, "flake8", 2),
        ("Success: no issues found in 3 source files\n", "mypy", 0),
        (MYPY, "mypy", 2),
        (
            "a.py: error: Source file found twice\nFound 1 error in 1 file (errors prevented further checking)\n",
            "mypy",
            1,
        ),
        (MYPY_JSON, "mypy", 1),
        (MYPY_JSON.splitlines()[0], "mypy", 1),
        (PYRIGHT, "pyright", 2),
        ("0 errors, 0 warnings, 0 informations \n", "pyright", 0),
        (json.dumps(PYRIGHT_JSON), "pyright", 1),
        (ESLINT, "eslint", 2),
        (json.dumps(ESLINT_JSON), "eslint", 1),
        (json.dumps([{"filePath": "a.js", "messages": []}]), "eslint", 0),
        (PYLINT, "pylint", 1),
        ("\n---\nYour code has been rated at 10.00/10\n", "pylint", 0),
        (json.dumps({"messages": [], "statistics": {}}), "pylint", 0),
    ],
)
def test_output_as_printed_is_counted(read, content, tool, issues):
    file = read(content)
    assert (file.kind, file.tool, file.issues) == ("lint", tool, issues)
    assert len(file.findings) == issues


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (RUFF_FULL.replace("Found 2", "Found 3"), "cut off or altered"),
        (RUFF_CONCISE + "All checks passed!\n", "cut off or altered"),
        (MYPY.replace("Found 2", "Found 1"), "cut off or altered"),
        ("Success: no issues found in 0 source files\n", "nothing was checked"),
        ("warning: No Python files found under the given path(s)\nAll checks passed!\n", "nothing was checked"),
        ("No source files found.\n0 errors, 0 warnings, 0 informations \n", "nothing was checked"),
        (json.dumps({**PYRIGHT_JSON, "summary": {"filesAnalyzed": 0}}), "nothing was checked"),
        ("All checks passed!\nSuccess: no issues found in 3 source files\n", "more than one tool"),
        (ESLINT.replace("\u2716 2", "\u2716 5"), "cut off or altered"),
        (json.dumps([RUFF_ENTRY, 3]), "no list of objects"),
        ("", "empty"),
        (" \n\n", "empty"),
    ],
)
def test_output_that_contradicts_itself_is_evidence_of_nothing(read, content, reason):
    file = read(content, "lint.txt")
    assert file.issues is None
    assert reason in file.problems[0]
    assert "lint" in file.could_be


@pytest.mark.parametrize(
    "content", ["hello\n", "it says: All checks passed! in a sentence\n", '{"a": 1}', "{}", "[1, 2]"]
)
def test_text_of_no_tool_is_unknown(read, content):
    file = read(content)
    assert file.kind == "unknown"
    assert file.issues is None
    assert file.could_be


def test_sum_that_is_missing_is_named_and_the_findings_count(read):
    file = read("\n".join(RUFF_FULL.splitlines()[:8]))
    assert file.issues == 1
    assert "cut off" in file.problems[0]
