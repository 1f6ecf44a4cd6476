"""Which faults are put into a program: each valid, each different, none where it says nothing."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest

from action.verify.checkout import Snapshot
from action.verify.mutation.operators import find_mutants
from action.verify.mutation.sample import MOST_MUTANTS, draw_sample

Make = Callable[..., Snapshot]
EVERY = frozenset(range(1, 1000))


def mutated(text: str, lines: frozenset[int] = EVERY) -> list[str]:
    return [mutant.put_into(text) for mutant in find_mutants("m.py", text, lines)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = a < b\n", ["x = (a <= b)\n"]),
        ("x = a < b == c\n", ["x = (a <= b == c)\n", "x = (a < b != c)\n"]),
        ("x = (a + b) * c\n", ["x = (a + b + c)\n", "x = ((a - b)) * c\n"]),
        ("x += y\n", ["x -= y\n"]),
        ("x = a and b or c\n", ["x = ((a and b) and c)\n", "x = (a or b) or c\n"]),
        ("if not ready:\n    go()\n", ["if (ready):\n    go()\n"]),
        ("x = 41\n", ["x = 42\n"]),
        ("x = True\n", ["x = False\n"]),
        ("def f():\n    return g()\n", ["def f():\n    return None\n"]),
        ("def f(n=1): pass\n", ["def f(n=2): pass\n"]),
        ("x = 'é' in ö\n", ["x = ('é' not in ö)\n"]),
        ("x = f(\n    1,\n)\n", ["x = f(\n    2,\n)\n"]),
    ],
)
def test_operator_makes_exactly_these_faults(before: str, after: list[str]) -> None:
    assert sorted(mutated(before)) == sorted(after)


@pytest.mark.parametrize(
    "text",
    [
        '"""Docstring."""\n',
        "import os\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    LIMIT = 1\n",
        "if __name__ == '__main__':\n    main(1)\n",
        "def f() -> Literal[1]: ...\n",
        "x: Literal[1]\n",
        "x = f'{a + 1}'\n",
        "return None\n",
        "def f():\n    return\n",
        "def broken(:\n",
        "x = 'text'\n",
        "@decorated(1)\ndef f(): pass\n",
    ],
)
def test_place_that_says_nothing_of_behaviour_is_left_alone(text: str) -> None:
    assert mutated(text) == []


def test_every_mutant_of_a_real_module_is_valid_and_differs() -> None:
    import action.verify.mutation.operators as module

    assert module.__file__ is not None
    with open(module.__file__) as file:  # noqa: PTH123
        text = file.read()
    found = find_mutants("m.py", text, EVERY)
    assert len(found) > 30
    plain = ast.dump(ast.parse(text))
    for mutant in found[::4]:
        assert ast.dump(ast.parse(mutant.put_into(text))) != plain


def test_only_changed_lines_are_touched() -> None:
    text = "a = 1\nb = 2\nc = 3\n"
    assert mutated(text, frozenset({2})) == ["a = 1\nb = 3\nc = 3\n"]


def test_sample_is_bounded_and_the_same_for_the_same_commit(snapshot: Make) -> None:
    text = "".join(f"v{number} = {number}\n" for number in range(200))
    base, head = snapshot({}), snapshot({"m.py": text, "tests/test_m.py": "x = 1\n", "setup.py": "y = 1\n"})
    lines = dict.fromkeys(head.contents, EVERY)
    first, again = draw_sample(base, head, lines), draw_sample(base, head, lines)
    assert first == again
    assert first.possible == 200
    assert len(first.mutants) == MOST_MUTANTS
    other = draw_sample(base, Snapshot("1" * 40, head.entries, head.contents), lines)
    assert other.mutants != first.mutants


def test_hostile_nesting_costs_nothing_and_gives_nothing() -> None:
    assert mutated("x = " + "(" * 5000 + "1" + ")" * 5000) == []
    assert mutated("x = " + "+".join(["1"] * 20_000)) == []
