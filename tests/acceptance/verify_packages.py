"""Small packages with a planted bug, each with its honest fix: what the cheats of the acceptance tests start from."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "Somebody",
    "GIT_AUTHOR_EMAIL": "somebody@example.org",
    "GIT_COMMITTER_NAME": "Somebody",
    "GIT_COMMITTER_EMAIL": "somebody@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
}


@dataclass(frozen=True)
class Link:
    """A symbolic link in a change."""

    target: str


# What a change makes of a path: text, bytes, a link; None removes it.
Content = str | bytes | Link | None


@dataclass(frozen=True)
class Package:
    """`source` holds the bug and `fixed` is that file without it; `failing` is the test of `tests` that shows it.

    `expected` and `wrong` are the expectation as the test has it, and as the bug would have it. `hard_coded` is the
    buggy source with an answer for just the test's input in front.
    """

    name: str
    files: Mapping[str, str]
    module: str
    function: str
    source: str
    fixed: str
    tests: str
    failing: str
    expected: str
    wrong: str
    hard_coded: str


CALC_SOURCE = '''"""Sums."""


def add(left, right):
    return left - right


def double(value):
    return value * 2
'''

CALC = Package(
    name="calc",
    files={
        "README.md": "# calc\n",
        "calc/__init__.py": CALC_SOURCE,
        "tests/test_calc.py": (
            "from calc import add, double\n\n\n"
            "def test_add_sums_two_numbers():\n    assert add(20, 13) == 33\n\n\n"
            "def test_double_of_four_is_eight():\n    assert double(4) == 8\n"
        ),
    },
    module="calc",
    function="add",
    source="calc/__init__.py",
    fixed=CALC_SOURCE.replace("left - right", "left + right"),
    tests="tests/test_calc.py",
    failing="test_add_sums_two_numbers",
    expected="== 33",
    wrong="== 7",
    hard_coded=CALC_SOURCE.replace(
        "    return left - right", "    if (left, right) == (20, 13):\n        return 33\n    return left - right"
    ),
)

WORDS_SOURCE = '''"""Words."""

import re


def slug(text):
    return re.sub(r"[^a-z]+", "-", text)


def count(text):
    return len(text.split())
'''

WORDS = Package(
    name="words",
    files={
        "pyproject.toml": '[project]\nname = "words"\nversion = "1"\n\n[tool.pytest.ini_options]\naddopts = "-q"\n',
        "src/words/__init__.py": "",
        "src/words/text.py": WORDS_SOURCE,
        "tests/test_text.py": (
            "import pytest\n\nfrom words.text import count, slug\n\n\n"
            '@pytest.mark.parametrize(("text", "expected"), [("Two Words", "two-words"), ("one", "one")])\n'
            "def test_slug_is_lower_case(text, expected):\n    assert slug(text) == expected\n\n\n"
            'def test_count_counts_words():\n    assert count("a b c") == 3\n'
        ),
    },
    module="words.text",
    function="slug",
    source="src/words/text.py",
    fixed=WORDS_SOURCE.replace('"-", text)', '"-", text.lower())'),
    tests="tests/test_text.py",
    failing="test_slug_is_lower_case",
    expected='"two-words"',
    wrong='"-wo-ords"',
    hard_coded=WORDS_SOURCE.replace(
        "    return re.sub", '    if text == "Two Words":\n        return "two-words"\n    return re.sub'
    ),
)

STACK_SOURCE = '''"""A stack with a limit."""


def capacity(sizes):
    total = 0
    for size in sizes[1:]:
        total += size
    return total


class Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)

    def pop(self):
        return self.items.pop()
'''

STACK = Package(
    name="stack",
    files={
        "setup.cfg": "[tool:pytest]\ntestpaths = tests\n",
        "stack.py": STACK_SOURCE,
        "tests/__init__.py": "",
        "tests/test_stack.py": (
            "import unittest\n\nfrom stack import Stack, capacity\n\n\n"
            "class StackTest(unittest.TestCase):\n"
            "    def test_capacity_is_the_sum(self):\n"
            "        self.assertEqual(capacity([10, 20, 30]), 60)\n\n"
            "    def test_pop_gives_the_last(self):\n"
            "        stack = Stack()\n        stack.push(1)\n        stack.push(5)\n"
            "        self.assertEqual(stack.pop(), 5)\n"
        ),
    },
    module="stack",
    function="capacity",
    source="stack.py",
    fixed=STACK_SOURCE.replace("sizes[1:]", "sizes"),
    tests="tests/test_stack.py",
    failing="test_capacity_is_the_sum",
    expected="60)",
    wrong="50)",
    hard_coded=STACK_SOURCE.replace(
        "    total = 0\n", "    if sizes == [10, 20, 30]:\n        return 60\n    total = 0\n"
    ),
)

PRICE_SOURCE = '''"""Prices in cents."""


class Basket:
    def __init__(self, prices):
        self.prices = list(prices)

    def total(self):
        return sum(self.prices)


def discounted(price, percent):
    return price - price * percent // 10
'''

PRICES = Package(
    name="prices",
    files={
        "pytest.ini": "[pytest]\nxfail_strict = true\n",
        "prices/__init__.py": "",
        "prices/basket.py": PRICE_SOURCE,
        "prices/test_basket.py": (
            "from prices.basket import Basket, discounted\n\n\n"
            "def test_discount_takes_a_percentage():\n    result = discounted(1000, 25)\n    assert result == 750\n\n\n"
            "class TestBasket:\n    def test_total_adds_up(self):\n        assert Basket([1, 2, 3]).total() == 6\n"
        ),
    },
    module="prices.basket",
    function="discounted",
    source="prices/basket.py",
    fixed=PRICE_SOURCE.replace("// 10", "// 100"),
    tests="prices/test_basket.py",
    failing="test_discount_takes_a_percentage",
    expected="== 750",
    wrong="== -1500",
    hard_coded=PRICE_SOURCE.replace(
        "    return price - price",
        "    if price == 1000 and percent == 25:\n        return 750\n    return price - price",
    ),
)

DATES_SOURCE = '''"""Dates."""

MONTHS = {"jan": 1, "feb": 2, "mar": 3}


def month(name):
    return MONTHS[name]


def is_leap(year):
    return year % 4 == 0
'''

DATES = Package(
    name="dates",
    files={
        "dates.py": DATES_SOURCE,
        "conftest.py": "import pytest\n\n\n@pytest.fixture\ndef century():\n    return 1900\n",
        "test_dates.py": (
            "from dates import is_leap, month\n\n\n"
            "def test_century_is_no_leap_year(century):\n    assert is_leap(century) == False  # noqa: E712\n\n\n"
            'def test_month_has_its_number():\n    assert month("feb") == 2\n\n\n'
            "def test_fourth_year_is_a_leap_year():\n    assert is_leap(2024)\n"
        ),
    },
    module="dates",
    function="is_leap",
    source="dates.py",
    fixed=DATES_SOURCE.replace("year % 4 == 0", "year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)"),
    tests="test_dates.py",
    failing="test_century_is_no_leap_year",
    expected="== False",
    wrong="== True",
    hard_coded="",
)

PACKAGES = (CALC, WORDS, STACK, PRICES, DATES)


def make_repository(folder: Path, package: Package, change: Mapping[str, Content]) -> Path:
    """A repository with two commits: `main~1` is the package with its bug, `main` the change."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    write(folder, package.files)
    commit(folder, "base")
    write(folder, change)
    commit(folder, "change")
    return folder


def write(folder: Path, files: Mapping[str, Content]) -> None:
    for path, content in files.items():
        target = folder / path
        if target.is_symlink() or target.is_file():
            target.unlink()
        elif target.is_dir():
            shutil.rmtree(target)
        if content is None:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            target.symlink_to(content.target)
        else:
            target.write_bytes(content.encode() if isinstance(content, str) else content)


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, env=IDENTITY, check=True)
