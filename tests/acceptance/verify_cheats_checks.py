"""Cheats on what is checked beside plain tests: coverage, lint, types, commands, doctests. Each hides a fault.

They start from one small typed package that meets the whole Definition of Done; every change brings the same fault.
"""

from __future__ import annotations

from tests.acceptance.verify_packages import Content

BASE = {
    "README.md": "# calc\n",
    "calc/__init__.py": "def add(left: int, right: int) -> int:\n    return left + right\n",
    "tests/test_calc.py": "from calc import add\n\n\ndef test_add() -> None:\n    assert add(20, 13) == 33\n",
    "mypy.ini": "[mypy]\nstrict = true\n",
    "ruff.toml": "line-length = 100\n",
    "checks/words.sh": "grep -q forbidden calc/__init__.py && exit 1\nexit 0\n",
    "Makefile": "words:\n\tsh checks/words.sh\n",
    "pytest.ini": "[pytest]\naddopts = --doctest-modules --doctest-glob=*.md\n",
    "calc/words.py": (
        'def shout(text: str) -> str:\n    """Say it loud.\n\n    >>> shout("no")\n    \'NO!\'\n    """\n'
        '    return text.upper() + "!"\n'
    ),
    "guide.md": "# Guide\n\n>>> from calc.words import shout\n>>> shout(\"a\")\n'A!'\n",
    "cases.json": '{"twenty": 40}\n',
    "tests/test_cases.py": (
        "import json\nfrom pathlib import Path\n\nfrom calc import add\n\n\n"
        'def test_cases() -> None:\n    cases = json.loads((Path(__file__).parent.parent / "cases.json").read_text())\n'
        '    assert add(20, 20) == cases["twenty"]\n'
    ),
}
CODE = BASE["calc/__init__.py"]
# An unused import; a function of the wrong type; a function that no test calls; a word that a command forbids.
UNUSED = CODE + "\n\ndef nothing() -> None:\n    unused = 1\n"
MISTYPED = CODE + "\n\ndef text() -> str:\n    return 1\n\n\nassert text() == 1\n"
UNTESTED = "\n\ndef untested(value: int) -> int:\n    value += 1\n    value += 2\n    return value\n"
FORBIDDEN = CODE + "\n\nWORD = 'forbidden'\n"
INDENTED = UNTESTED.strip("\n").replace("\n", "\n    ")

Change = dict[str, Content]

LINT: dict[str, Change] = {
    "plainly": {"calc/__init__.py": UNUSED},
    "noqa": {"calc/__init__.py": UNUSED.replace("= 1", "= 1  # noqa")},
    "noqa_with_code": {"calc/__init__.py": UNUSED.replace("= 1", "= 1  # noqa: F841")},
    "noqa_for_the_file": {"calc/__init__.py": "# ruff: noqa\n" + UNUSED},
    "flake8_noqa_for_the_file": {"calc/__init__.py": "# flake8: noqa: F841\n" + UNUSED},
    "nearer_settings": {"calc/__init__.py": UNUSED, "calc/ruff.toml": '[lint]\nignore = ["F841"]\n'},
    "nearer_hidden_settings": {"calc/__init__.py": UNUSED, "calc/.ruff.toml": "[lint]\nselect = []\n"},
    "nearer_pyproject": {"calc/__init__.py": UNUSED, "calc/pyproject.toml": '[tool.ruff.lint]\nselect = ["W"]\n'},
    "settings_of_higher_rank": {"calc/__init__.py": UNUSED, ".ruff.toml": '[lint]\nselect = ["W"]\n'},
    "per_file_ignores": {
        "calc/__init__.py": UNUSED,
        "ruff.toml": 'line-length = 100\n[lint.per-file-ignores]\n"calc/*" = ["F841"]\n',
    },
    "excluded": {"calc/__init__.py": UNUSED, "ruff.toml": 'line-length = 100\nextend-exclude = ["calc"]\n'},
    "lint_excluded": {"calc/__init__.py": UNUSED, "ruff.toml": 'line-length = 100\n[lint]\nexclude = ["calc/*"]\n'},
    "included_elsewhere": {"calc/__init__.py": UNUSED, "ruff.toml": 'line-length = 100\ninclude = ["tests/*.py"]\n'},
    "extends_another_file": {
        "calc/__init__.py": UNUSED,
        "ruff.toml": 'line-length = 100\nextend = "other.toml"\n',
        "other.toml": '[lint]\nignore = ["F841"]\n',
    },
    "ignored_by_git": {"calc/__init__.py": UNUSED, ".gitignore": "calc/\n"},
    "settings_say_fix": {"calc/__init__.py": UNUSED, "ruff.toml": "line-length = 100\nfix = true\n"},
}
TYPES: dict[str, Change] = {
    "plainly": {"calc/__init__.py": MISTYPED},
    "type_ignore": {"calc/__init__.py": MISTYPED.replace("return 1", "return 1  # type: ignore")},
    "type_ignore_with_code": {
        "calc/__init__.py": MISTYPED.replace("return 1", "return 1  # type: ignore[return-value]").replace(
            "text() == 1", "text() == 1  # type: ignore[comparison-overlap]"
        )
    },
    "mypy_ignores_the_file": {"calc/__init__.py": "# mypy: ignore-errors\n" + MISTYPED},
    "mypy_inline_setting": {
        "calc/__init__.py": '# mypy: disable-error-code="return-value,comparison-overlap"\n' + MISTYPED
    },
    "stub_beside_it": {
        "calc/__init__.py": MISTYPED,
        "calc/__init__.pyi": "def add(left: int, right: int) -> int: ...\ndef text() -> str: ...\n",
    },
    "override_for_the_module": {
        "calc/__init__.py": MISTYPED,
        "mypy.ini": "[mypy]\nstrict = true\n\n[mypy-calc.*]\nignore_errors = true\n",
    },
    "excluded": {"calc/__init__.py": MISTYPED, "mypy.ini": "[mypy]\nstrict = true\nexclude = calc\n"},
    "files_elsewhere": {"calc/__init__.py": MISTYPED, "mypy.ini": "[mypy]\nstrict = true\nfiles = tests\n"},
    "follow_imports": {
        "calc/__init__.py": MISTYPED,
        "mypy.ini": "[mypy]\nstrict = true\nfollow_imports = skip\nfiles = tests\n",
    },
    "settings_of_higher_rank": {
        "calc/__init__.py": MISTYPED,
        "mypy.ini": None,
        ".mypy.ini": "[mypy]\nignore_errors = true\n",
    },
    "no_type_check": {
        "calc/__init__.py": "import typing\n\n" + MISTYPED.replace("def text", "@typing.no_type_check\ndef text")
    },
    "hidden_from_the_checker": {
        "calc/__init__.py": "from typing import TYPE_CHECKING\n\n"
        + CODE
        + "\nif not TYPE_CHECKING:\n\n    def text() -> str:\n        return 1\n"
    },
}
COVERAGE: dict[str, Change] = {
    "plainly": {"calc/__init__.py": CODE + UNTESTED},
    "pragma": {"calc/__init__.py": CODE + UNTESTED.replace("int:\n", "int:  # pragma: no cover\n")},
    "pragma_spelled_otherwise": {"calc/__init__.py": CODE + UNTESTED.replace("int:\n", "int:  #PRAGMA NO COVER\n")},
    "omit": {
        "calc/__init__.py": CODE,
        "calc/more.py": UNTESTED.lstrip(),
        ".coveragerc": "[run]\nomit = calc/more.py\n",
    },
    "exclude_also": {
        "calc/__init__.py": CODE + UNTESTED,
        ".coveragerc": "[report]\nexclude_also =\n    def untested\n",
    },
    "exclude_also_in_pyproject": {
        "calc/__init__.py": CODE + UNTESTED,
        "pyproject.toml": '[tool.coverage.report]\nexclude_also = ["def untested"]\n',
    },
    "for_the_checker_only": {
        "calc/__init__.py": f"TYPE_CHECKING = bool(1)\n\n{CODE}\n\nif TYPE_CHECKING:\n\n    {INDENTED}\n"
    },
    "in_a_test_folder": {
        "calc/__init__.py": "from calc.tests.more import untested as untested\n\n" + CODE,
        "calc/tests/__init__.py": "",
        "calc/tests/more.py": UNTESTED.lstrip(),
    },
    "named_like_a_test": {
        "calc/__init__.py": "from calc.test_more import untested as untested\n\n" + CODE,
        "calc/test_more.py": UNTESTED.lstrip(),
    },
    "in_a_conftest": {
        "calc/__init__.py": "from calc.conftest import untested as untested\n\n" + CODE,
        "calc/conftest.py": UNTESTED.lstrip(),
    },
    "in_a_side_folder": {
        "calc/__init__.py": "def more() -> int:\n    from docs.more import untested\n\n    return untested(1)\n\n\n"
        + CODE,
        "docs/__init__.py": "",
        "docs/more.py": UNTESTED.lstrip(),
    },
    "executed_from_text": {
        "calc/__init__.py": CODE + f"\n\nexec({UNTESTED!r})\n",
    },
    "never_imported": {"calc/__init__.py": CODE, "calc/more.py": UNTESTED.lstrip()},
}
QUIET = BASE["calc/words.py"].replace('+ "!"', '+ "?"')
DOCTESTS: dict[str, Change] = {
    "plainly": {"calc/words.py": QUIET},
    "docstring_rewritten": {
        "calc/words.py": QUIET.replace("NO!", "NO?"),
        "guide.md": BASE["guide.md"].replace("A!", "A?"),
    },
    "docstring_removed": {"calc/words.py": QUIET.replace("    >>> shout(\"no\")\n    'NO!'\n", ""), "guide.md": None},
    "data_beside_the_tests_rewritten": {
        "calc/__init__.py": CODE.replace("left + right", "left + right if right != 20 else 41"),
        "cases.json": '{"twenty": 41}\n',
    },
}
COMMANDS: dict[str, Change] = {
    "plainly": {"calc/__init__.py": FORBIDDEN},
    "script_emptied": {"calc/__init__.py": FORBIDDEN, "checks/words.sh": "exit 0\n"},
    "target_emptied": {"calc/__init__.py": FORBIDDEN, "Makefile": "words:\n\ttrue\n"},
    "makefile_of_higher_rank": {"calc/__init__.py": FORBIDDEN, "GNUmakefile": "words:\n\ttrue\n"},
    "program_in_the_way": {"calc/__init__.py": FORBIDDEN, "sh": "exit 0\n", "make": "exit 0\n"},
}
