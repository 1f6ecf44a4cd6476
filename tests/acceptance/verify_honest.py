"""Honest changes of any package: the fix, and with it what people do to code and tests while they are at it.

Each takes a package and returns the change it makes; None where the package has nothing to do it to.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from tests.acceptance.verify_edits import failing_lines, failing_text, with_assertions, with_failing
from tests.acceptance.verify_packages import Content, Package

Change = dict[str, Content]


def fix(package: Package) -> Change:
    return {package.source: package.fixed}


def test_added(package: Package) -> Change:
    return {**fix(package), package.tests: f"{package.files[package.tests]}\n\n{_new_test(package)}"}


def test_module_added(package: Package) -> Change:
    return {**fix(package), _beside(package.tests, "test_added_by_the_change.py"): _new_test(package)}


def feature_with_its_tests(package: Package) -> Change:
    name = f"{PurePosixPath(package.source).parent.name or package.name}_extra".lstrip(".").replace("-", "_")
    module = ".".join([*package.module.split(".")[:-1], name]) if "/" in package.source else name
    if package.source.endswith("/__init__.py"):
        module = f"{package.module}.{name}"
    return {
        **fix(package),
        _beside(package.source, f"{name}.py"): '"""More."""\n\n\ndef twice(value):\n    return value + value\n',
        _beside(package.tests, "test_twice.py"): (
            f"from {module} import twice\n\n\ndef test_twice():\n"
            "    assert twice(4) == 8\n    assert twice('a') == 'aa'\n"
        ),
    }


def test_renamed(package: Package) -> Change:
    renamed = failing_text(package).replace(f"def {package.failing}(", f"def {package.failing}_as_documented(")
    return {**fix(package), package.tests: with_failing(package, renamed)}


def tests_moved_to_another_file(package: Package) -> Change:
    target = _beside(package.tests, PurePosixPath(package.tests).stem + "_more.py")
    return {**fix(package), package.tests: None, target: package.files[package.tests]}


def test_moved_to_the_end(package: Package) -> Change:
    first, last = failing_lines(package)
    lines = package.files[package.tests].splitlines(keepends=True)
    end = _end_of_block(package, first)
    return {
        **fix(package),
        package.tests: "".join([*lines[:first], *lines[last:end], "\n\n", *lines[first:last], *lines[end:]]),
    }


def tests_formatted(package: Package) -> Change:
    return {**fix(package), package.tests: _formatted(package.files[package.tests])}


def code_formatted(package: Package) -> Change:
    return {package.source: _formatted(package.fixed)}


def code_written_anew(package: Package) -> Change:
    """Every line of it looks different and does the same: comments are gone, expressions laid out otherwise."""
    return {package.source: ast.unparse(ast.parse(package.fixed)) + "\n"}


def code_moved_to_another_module(package: Package) -> Change:
    """The module keeps every name it had and gets them from a new module beside it."""
    path = PurePosixPath(package.source)
    stem = "_moved" if path.stem == "__init__" else f"_{path.stem}"
    origin = f".{stem}" if len(path.parts) > 1 else stem
    names = "".join(f"    {name},\n" for name in sorted(set(_top_level(package.fixed))))
    return {
        package.source: f'"""The names of this module live beside it."""\n\nfrom {origin} import (\n{names})\n',
        _beside(package.source, f"{stem}.py"): package.fixed,
    }


def assertions_with_messages(package: Package) -> Change:
    def told(text: str) -> str:
        return text if not text.startswith("assert ") or text.rstrip().endswith(",") else _with_message(text)

    return {**fix(package), package.tests: with_assertions(package, told)}


def assertion_added(package: Package) -> Change:
    text = failing_text(package).rstrip("\n")
    first = next(line for line in text.splitlines() if line.lstrip().startswith(("def ", "async def ")))
    body = first[: len(first) - len(first.lstrip())] + "    "
    added = f"{text}\n{body}assert __import__('{package.module}').__name__ == '{package.module.partition('.')[0]}'\n"
    return {**fix(package), package.tests: with_failing(package, added)}


def assertions_in_a_helper(package: Package) -> Change | None:
    """`assert a == b` becomes `check_equal(a, b)`, a function of the same module that asserts."""
    helper = "\n\ndef check_equal(left, right):\n    assert left == right\n"

    def called(text: str) -> str:
        test = ast.parse(text).body[0]
        if isinstance(test, ast.Assert) and isinstance(test.test, ast.Compare) and test.msg is None:
            compare = test.test
            if len(compare.ops) == 1 and isinstance(compare.ops[0], ast.Eq):
                return f"check_equal({ast.unparse(compare.left)}, {ast.unparse(compare.comparators[0])})\n"
        return text

    changed = with_assertions(package, called)
    return {**fix(package), package.tests: changed + helper} if "check_equal" in changed else None


def assertions_in_a_support_module(package: Package) -> Change | None:
    """The same with the function in a module of its own, imported as the suite imports."""
    change = assertions_in_a_helper(package)
    folder = PurePosixPath(package.tests).parent
    if change is None or str(folder) != "tests" or "tests/__init__.py" not in package.files:
        return None
    text = str(change[package.tests])
    helper = text[text.index("\n\ndef check_equal") :].lstrip()
    imported = text.replace(f"\n\n{helper}", "\n").replace("import pytest\n", "import pytest\n\n", 1)
    return {
        **change,
        package.tests: _with_line(imported, "from tests.checking import check_equal\n"),
        "tests/checking.py": helper,
    }


def unittest_becomes_pytest(package: Package) -> Change | None:
    def plain(text: str) -> str:
        match = re.match(r"self\.(assertEqual|assertNotEqual)\(", text)
        call = ast.parse(text).body[0]
        if not match or not isinstance(call, ast.Expr) or not isinstance(call.value, ast.Call):
            return text
        operator = "==" if match[1] == "assertEqual" else "!="
        return f"assert {ast.unparse(call.value.args[0])} {operator} {ast.unparse(call.value.args[1])}\n"

    changed = with_assertions(package, plain)
    return {**fix(package), package.tests: changed} if changed != package.files[package.tests] else None


def locals_of_the_test_renamed(package: Package) -> Change | None:
    tree = ast.parse(textwrap.dedent(failing_text(package)))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)} - {
        "_"
    }
    if not names:
        return None
    text = failing_text(package)
    for name in names:
        text = re.sub(rf"(?<![\w.'\"]){name}\b(?!['\"]|\s*=[^=\s])", f"{name}_seen", text)
    return {**fix(package), package.tests: with_failing(package, text)}


def documentation_added(package: Package) -> Change:
    return {**fix(package), "docs/how-it-works.md": "# How it works\n", "CHANGES.new.md": "- Mended a bug.\n"}


def version_bumped(package: Package) -> Change | None:
    for path in ("pyproject.toml", "setup.py", "setup.cfg", package.source):
        text = package.fixed if path == package.source else package.files.get(path, "")
        bumped = _VERSION.sub(r"\g<1>1\2", text, count=1)
        if bumped != text:
            return {**fix(package), path: bumped}
    return None


def fixture_added(package: Package) -> Change:
    path = _beside(package.tests, "conftest.py")
    text = package.files.get(path, "import pytest\n")
    return {
        **fix(package),
        path: f"{text}\n\n@pytest.fixture\ndef four():\n    return 4\n",
        _beside(package.tests, "test_four.py"): "def test_four(four):\n    assert four + four == 8\n",
    }


def marker_added(package: Package) -> Change:
    """A marker in the settings that pytest reads, wherever they are."""
    for path, section in _SECTIONS:
        text = package.files.get(path, "")
        if section in text:
            line = 'markers = ["slow: takes long"]' if path.endswith(".toml") else "markers = slow: takes long"
            return {**fix(package), path: text.replace(section, f"{section}\n{line}", 1)}
    return {**fix(package), "pytest.ini": "[pytest]\nmarkers =\n    slow: takes long\n"}


def tool_settings_added(package: Package) -> Change:
    return {
        **fix(package),
        ".editorconfig": "root = true\n\n[*]\nindent_style = space\n",
        ".pre-commit-config.yaml": "repos: []\n",
    }


ALL: dict[str, Callable[[Package], Change | None]] = {
    function.__name__: function
    for function in (
        fix,
        test_added,
        test_module_added,
        feature_with_its_tests,
        test_renamed,
        tests_moved_to_another_file,
        test_moved_to_the_end,
        tests_formatted,
        code_formatted,
        code_written_anew,
        code_moved_to_another_module,
        assertions_with_messages,
        assertion_added,
        assertions_in_a_helper,
        assertions_in_a_support_module,
        unittest_becomes_pytest,
        locals_of_the_test_renamed,
        documentation_added,
        version_bumped,
        fixture_added,
        marker_added,
        tool_settings_added,
    )
}
_VERSION = re.compile(r"""(?m)^((?:__)?version(?:__)?(?:: \w+)?\s*=\s*["'][\d.]+)(["'])""")
_SECTIONS = (
    ("pytest.ini", "[pytest]"),
    (".pytest.ini", "[pytest]"),
    ("pyproject.toml", "[tool.pytest.ini_options]"),
    ("tox.ini", "[pytest]"),
    ("setup.cfg", "[tool:pytest]"),
)


def _new_test(package: Package) -> str:
    return (
        "def test_added_by_the_change():\n    import importlib\n\n"
        f'    assert importlib.import_module("{package.module}").__name__ == "{package.module}"\n'
    )


def _beside(path: str, name: str) -> str:
    return str(PurePosixPath(path).with_name(name))


def _with_line(text: str, line: str) -> str:
    """The module with an import more, below those it has."""
    tree = ast.parse(text)
    last = max(one.end_lineno or 0 for one in tree.body if isinstance(one, ast.Import | ast.ImportFrom))
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:last], line, *lines[last:]])


def _with_message(text: str) -> str:
    """In brackets, so that an assertion over several lines stays one statement."""
    statement = ast.parse(text).body[0]
    assert isinstance(statement, ast.Assert)
    return text if statement.msg else f"assert ({text.rstrip().removeprefix('assert ')}), 'as documented'\n"


def _formatted(text: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "100", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def _end_of_block(package: Package, line: int) -> int:
    """Past the last line of the class that holds a line, or of the module."""
    for node in ast.parse(package.files[package.tests]).body:
        if isinstance(node, ast.ClassDef) and node.lineno - 1 <= line < (node.end_lineno or 0):
            return node.end_lineno or 0
    return len(package.files[package.tests].splitlines())


def _top_level(text: str) -> Iterator[str]:
    for node in ast.parse(text).body:
        yield from _bound(node)


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom) and getattr(node, "module", "") != "__future__":
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))
    elif isinstance(node, ast.If | ast.Try):
        # Only what every way through it binds: what is for the type checker alone cannot be imported.
        for inner in node.orelse if isinstance(node, ast.If) else node.body:
            yield from _bound(inner)
