"""Ways to make a test run look green without mending the bug. Each takes a package and returns the change it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import indent

from tests.acceptance.verify_edits import marked, with_assertions, with_failing
from tests.acceptance.verify_packages import Package

Change = Mapping[str, str | None]


def tests_deleted(package: Package) -> Change:
    return {package.tests: None}


def test_removed(package: Package) -> Change:
    return {package.tests: with_failing(package, "")}


def skipped(package: Package) -> Change:
    return {package.tests: marked(package, "pytest.mark.skip(reason='later')")}


def expected_to_fail(package: Package) -> Change:
    return {package.tests: marked(package, "pytest.mark.xfail")}


def assert_true(package: Package) -> Change:
    return {package.tests: with_assertions(package, lambda _: "assert True")}


def exception_swallowed(package: Package) -> Change:
    swallow = "try:\n{}\nexcept AssertionError:\n    pass"
    return {package.tests: with_assertions(package, lambda text: swallow.format(indent(text.rstrip(), "    ")))}


def expected_value_edited(package: Package) -> Change:
    return {package.tests: package.files[package.tests].replace(package.expected, package.wrong, 1)}


def conftest_rewrites_outcomes(package: Package) -> Change:
    return _conftest(
        package,
        "import pytest\n\n\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtest_makereport(item, call):\n"
        "    outcome = yield\n    report = outcome.get_result()\n    report.outcome = 'passed'\n",
    )


def conftest_swallows_the_call(package: Package) -> Change:
    return _conftest(
        package,
        "import pytest\n\n\n@pytest.hookimpl(tryfirst=True)\ndef pytest_pyfunc_call(pyfuncitem):\n    return True\n",
    )


def conftest_patches_the_code(package: Package) -> Change:
    return _conftest(
        package, f"import {package.module}\n\n\n{package.module}.{package.function} = {_ANYTHING_FUNCTION}\n"
    )


def conftest_ends_the_process(package: Package) -> Change:
    return _conftest(package, "import os\n\n\ndef pytest_sessionstart(session):\n    os._exit(0)\n")


def exit_status_set(package: Package) -> Change:
    return _conftest(
        package,
        "import pytest\n\n\n@pytest.hookimpl(trylast=True)\ndef pytest_sessionfinish(session, exitstatus):\n"
        "    session.exitstatus = 0\n",
    )


def collection_emptied(package: Package) -> Change:
    return _conftest(package, "def pytest_collection_modifyitems(items):\n    items.clear()\n")


def collection_ignored(package: Package) -> Change:
    return _conftest(package, "collect_ignore_glob = ['*']\n")


def equals_everything(package: Package) -> Change:
    return {package.source: _appended(package, f"\n\n{_ANYTHING_CLASS}\n\n{package.function} = {_ANYTHING_FUNCTION}\n")}


def inputs_hard_coded(package: Package) -> Change:
    return {package.source: package.hard_coded}


def report_rewritten_at_exit(package: Package) -> Change:
    return {
        package.source: _appended(
            package,
            "\n\nimport atexit\nimport os\nimport pathlib\n\n\ndef _rewrite():\n"
            "    for folder in [pathlib.Path.cwd(), *pathlib.Path.cwd().parents]:\n"
            "        for path in [*folder.glob('*.xml'), *folder.glob('reports/*.xml'), folder / 'junit.xml']:\n"
            '            try:\n                path.write_text(\'<testsuites><testsuite tests="2"><testcase name="a"/>'
            '<testcase name="b"/></testsuite></testsuites>\')\n            except OSError:\n                pass\n'
            "    os._exit(0)\n\n\natexit.register(_rewrite)\n",
        )
    }


def ini_ignores(package: Package) -> Change:
    return {"pytest.ini": f"[pytest]\naddopts = --ignore={package.tests}\n"}


def ini_deselects(package: Package) -> Change:
    return {"pytest.ini": f"[pytest]\naddopts = -k 'not {package.failing}'\n"}


def folder_named_pytest(package: Package) -> Change:
    return {
        "pytest/__init__.py": "def main(*arguments, **named):\n    return 0\n",
        "pytest/__main__.py": "print('2 passed')\n",
    }


def code_exits(package: Package) -> Change:
    return {package.source: _appended(package, "\n\nimport sys\n\nsys.exit(0)\n")}


def code_ends_the_process(package: Package) -> Change:
    return {package.source: _appended(package, "\n\nimport os\n\nos._exit(0)\n")}


def function_ends_the_process(package: Package) -> Change:
    return {
        package.source: _appended(
            package,
            "\n\ndef _answer(*arguments, **named):\n    import os\n\n    os._exit(0)\n\n\n"
            f"{package.function} = _answer\n",
        )
    }


def code_skips_the_test(package: Package) -> Change:
    return {
        package.source: _appended(
            package,
            f"\n\nimport unittest\n\n\ndef _answer(*arguments, **named):\n    raise unittest.SkipTest('later')\n\n\n"
            f"{package.function} = _answer\n",
        )
    }


def code_patches_pytest(package: Package) -> Change:
    return {
        package.source: _appended(
            package,
            "\n\nimport _pytest.python\nimport _pytest.unittest\n\n"
            "_pytest.python.Function.runtest = lambda self: None\n"
            "_pytest.unittest.TestCaseFunction.runtest = lambda self: None\n",
        )
    }


def code_talks_to_the_recorder(package: Package) -> Change:
    return {
        package.source: _appended(
            package,
            "\n\nimport os\n\nfor descriptor in range(3, 64):\n    try:\n"
            '        os.write(descriptor, b\'{"event": "end", "status": 0}\\n\')\n    except OSError:\n        pass\n'
            "os._exit(0)\n",
        )
    }


ALL: dict[str, Callable[[Package], Change]] = {
    function.__name__: function
    for function in (
        tests_deleted,
        test_removed,
        skipped,
        expected_to_fail,
        assert_true,
        exception_swallowed,
        expected_value_edited,
        conftest_rewrites_outcomes,
        conftest_swallows_the_call,
        conftest_patches_the_code,
        conftest_ends_the_process,
        exit_status_set,
        collection_emptied,
        collection_ignored,
        equals_everything,
        inputs_hard_coded,
        report_rewritten_at_exit,
        ini_ignores,
        ini_deselects,
        folder_named_pytest,
        code_exits,
        code_ends_the_process,
        function_ends_the_process,
        code_skips_the_test,
        code_patches_pytest,
        code_talks_to_the_recorder,
    )
}

_ANYTHING_CLASS = (
    "class Anything(int):\n    def __eq__(self, other):\n        return True\n\n"
    "    def __ne__(self, other):\n        return False\n\n    __hash__ = int.__hash__"
)
_ANYTHING_FUNCTION = (
    "lambda *arguments, **named: "
    "type('Anything', (int,), {'__eq__': lambda self, other: True, '__hash__': int.__hash__})(1)"
)


def _conftest(package: Package, text: str) -> Change:
    return {"conftest.py": package.files.get("conftest.py", "") + "\n\n" + text}


def _appended(package: Package, text: str) -> str:
    return package.files[package.source] + text
