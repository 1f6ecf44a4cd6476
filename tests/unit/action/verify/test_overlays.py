"""What is laid over the change before it is judged: silencers out, the base's scripts, examples and data in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from action.verify.checkout import Snapshot
from action.verify.integrity import inspect_snapshots
from action.verify.integrity.doctests import with_base_examples
from action.verify.integrity.overlay import as_checked, with_base_scripts
from action.verify.policy import read_policy
from action.verify.support import support_paths

MakeSnapshot = Callable[..., Snapshot]
CODE = "import os\n\n\ndef add(a, b):\n    return a + b\n"
# new line → what is left of it
SILENCED = {
    "import os  # noqa": "import os",
    "import os  # noqa: F401": "import os",
    "import os  # type: ignore[import-untyped]": "import os",
    "import os  # pylint: disable=all": "import os",
    "# ruff: noqa": "",
    "# mypy: ignore-errors": "",
    "@typing.no_type_check": "",
    "if not TYPE_CHECKING:": "if 1 + 1 == 2:",
    'text = "# noqa"': 'text = "# noqa"',
    "import os  # why": "import os  # why",
}


@pytest.mark.parametrize("line", SILENCED)
def test_new_silencer_is_taken_out(line: str, snapshot: MakeSnapshot) -> None:
    below = "def f():\n    pass\n" if line.startswith("@") else "    pass\n" if line.startswith("if") else ""
    head = snapshot({"a.py": f"{line}\n{below}"})
    checked = as_checked(snapshot({"a.py": CODE}), head)
    assert checked.text("a.py").splitlines()[0] == SILENCED[line]


def test_silencer_of_the_base_moves_along(snapshot: MakeSnapshot) -> None:
    base, head = snapshot({"a.py": "import os  # noqa\n"}), snapshot({"b.py": "import os  # noqa\n"})
    assert as_checked(base, head).text("b.py") == "import os  # noqa\n"


def test_silencer_that_maintainers_allow_stays(snapshot: MakeSnapshot) -> None:
    policy = "integrity:\n  allow:\n    - kind: warning-silenced\n      paths: [a.py]\n"
    base = snapshot({"a.py": CODE, ".aicd.yml": policy})
    head = snapshot({"a.py": "import os  # noqa\n", "b.py": "import os  # noqa\n", ".aicd.yml": policy})
    checked = as_checked(base, head, read_policy(base, {}).may_silence(head.contents))
    assert checked.text("a.py") == "import os  # noqa\n"
    assert checked.text("b.py") == "import os\n"


def test_command_runs_the_bases_script_and_target(snapshot: MakeSnapshot) -> None:
    base = snapshot({"checks/a.sh": "false\n", "Makefile": "lint:\n\tfalse\n", "data.txt": "1\n"})
    head = snapshot({"checks/a.sh": "true\n", "Makefile": "lint:\n\ttrue\nmore:\n\ttrue\n", "data.txt": "2\n"})
    laid, changed = with_base_scripts(base, head, "sh checks/a.sh data.txt")
    assert (laid.text("checks/a.sh"), laid.text("data.txt"), changed) == ("false\n", "2\n", ("checks/a.sh",))
    assert with_base_scripts(base, head, "make lint")[0].text("Makefile") == "lint:\n\tfalse\n"
    # A target that only the change has can be had from nowhere else.
    assert with_base_scripts(base, head, "make more")[0] is head


def test_examples_of_the_base_are_put_back_into_the_code(snapshot: MakeSnapshot) -> None:
    ini = {"pytest.ini": "[pytest]\naddopts = --doctest-modules\n"}
    base = snapshot({**ini, "a.py": 'def f():\n    """Say.\n\n    >>> f()\n    1\n    """\n    return 1\n'})
    head = snapshot({**ini, "a.py": "def f():\n    '''\n    >>> f()\n    2\n    '''\n    return 2\n"})
    laid, changed = with_base_examples(base, head)
    names: dict[str, object] = {}
    exec(laid.text("a.py"), names)
    assert changed == ("a.py",)
    assert str(names["f"].__doc__) == "Say.\n\n    >>> f()\n    1\n    "
    assert with_base_examples(base, base)[1] == ()


def test_data_that_only_tests_name_supports_them(snapshot: MakeSnapshot) -> None:
    base = snapshot(
        {
            "test_a.py": "open('cases.json'); open('shared.json')\n",
            "a.py": "open('shared.json')\n",
            "cases.json": "{}",
            "shared.json": "{}",
            "golden/page.html": "x",
            "README.md": "x",
        }
    )
    assert support_paths(base) == {"cases.json", "golden/page.html"}


@pytest.mark.parametrize(
    "change",
    [
        {"pkg/__pycache__/a.cpython-311.pyc": "x"},
        {"a.cpython-311-x86_64-linux-gnu.so": "x"},
        {"x.dist-info/entry_points.txt": "[pytest11]\nx = x\n"},
        {"yaml/__init__.py": ""},
        {"src/a.py": CODE},
    ],
)
def test_what_stands_in_anothers_place_fails(change: dict[str, str], snapshot: MakeSnapshot) -> None:
    base = {"a.py": CODE, "requirements.txt": "PyYAML==6\n"}
    before, after = snapshot(base), snapshot({**base, **change})
    found = inspect_snapshots(before, after, read_policy(before, {}))
    assert "module-shadowed" in [one.kind for one in found if one.fails]
