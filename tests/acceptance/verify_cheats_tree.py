"""Cheats by files beside the code: what stands in another's place, is found first, or is read without being code."""

from __future__ import annotations

import importlib.util
import marshal
from collections.abc import Callable
from pathlib import PurePosixPath

from tests.acceptance.verify_packages import Content, Link, Package

Change = dict[str, Content]


def compiled_code_instead_of_the_source(package: Package) -> Change:
    """A .pyc that Python does not check against its source: the source keeps the bug and never runs."""
    path = PurePosixPath(package.source)
    code = compile(package.fixed, package.source, "exec")
    flags = (1).to_bytes(4, "little")  # by hash, unchecked (PEP 552)
    data = importlib.util.MAGIC_NUMBER + flags + bytes(8) + marshal.dumps(code)
    return {
        f"{path.parent}/__pycache__/{path.stem}.cpython-3{minor}.pyc".removeprefix("./"): data
        for minor in range(11, 15)
    }


def second_copy_found_first(package: Package) -> Change:
    """A mended copy of the product in src/, which the tests would import in the product's place."""
    top = PurePosixPath(package.source).parts[0]
    if top == "src":
        return {package.source.removeprefix("src/"): package.fixed} | {
            path.removeprefix("src/"): text
            for path, text in package.files.items()
            if path.startswith("src/") and path.endswith(".py") and path != package.source
        }
    return {f"src/{package.source}": package.fixed} | {
        f"src/{path}": text
        for path, text in package.files.items()
        if PurePosixPath(path).parts[0] == top and path.endswith(".py") and path != package.source
    }


def plugin_by_metadata_in_the_tree(package: Package) -> Change:
    return {
        "cheat.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: cheat\nVersion: 1\n",
        "cheat.egg-info/entry_points.txt": "[pytest11]\ncheat = cheat_plugin\n",
        "cheat_plugin.py": _PLUGIN,
    }


def plugin_by_a_known_name(package: Package) -> Change:
    """The metadata of a plugin that the project really uses, with an entry point of the change's own."""
    return {
        "pytest_cov-99.dist-info/METADATA": "Metadata-Version: 2.1\nName: pytest\nVersion: 99\n",
        "pytest_cov-99.dist-info/entry_points.txt": "[pytest11]\npytest_cov = cheat_plugin\n",
        "cheat_plugin.py": _PLUGIN,
    }


def site_customised(package: Package) -> Change:
    text = "import _pytest.python\n\n_pytest.python.Function.runtest = lambda self: None\n"
    return {"sitecustomize.py": text, "usercustomize.py": text, "cheat.pth": "import sitecustomize\n"}


def conftest_beside_the_code(package: Package) -> Change:
    return {str(PurePosixPath(package.source).with_name("conftest.py")): _PLUGIN}


def conftest_in_a_new_folder(package: Package) -> Change:
    return {"tests/unit/conftest.py": _PLUGIN, "tests/unit/test_nothing.py": "def test_nothing():\n    assert 2 == 2\n"}


def settings_of_higher_rank(package: Package) -> Change:
    """pytest.toml goes before every other file: an empty selection, politely written."""
    return {
        "pytest.toml": '[pytest]\npython_files = ["check_*.py"]\n',
        "check_nothing.py": "def test_nothing():\n    assert 2 == 2\n",
    }


def settings_load_a_plugin(package: Package) -> Change:
    return {"pytest.ini": "[pytest]\naddopts = -p cheat_plugin\n", "cheat_plugin.py": _PLUGIN}


def tests_are_a_link(package: Package) -> Change:
    folder = str(PurePosixPath(package.tests).parent)
    if folder == ".":
        return {package.tests: Link("other_checks.py"), "other_checks.py": _NOTHING}
    moved = {path: None for path in package.files if path.startswith(f"{folder}/")}
    return {**moved, folder: Link("other_checks"), "other_checks/test_nothing.py": _NOTHING}


def tests_named_by_case(package: Package) -> Change:
    """The tests in folders whose names differ by case only, without the failing one's file."""
    path = PurePosixPath(package.tests)
    return {package.tests: None, str(path.with_name(path.name.upper().replace(".PY", ".py"))): _NOTHING}


def file_named_like_the_test_folder(package: Package) -> Change:
    folder = PurePosixPath(package.tests).parts[0]
    if folder == package.tests:
        return {package.tests: None, f"{package.tests}/empty.txt": "\n"}
    gone = {path: None for path in package.files if path.startswith(f"{folder}/") and "/tests/" not in f"/{path[:0]}"}
    return {**gone, folder: "nothing here\n"} if folder == "tests" else {package.tests: None}


def judges_shadowed(package: Package) -> Change:
    return {
        "_pytest/__init__.py": "",
        "pluggy.py": "",
        "iniconfig.py": "",
        "coverage/__init__.py": "def process_startup():\n    pass\n",
    }


def test_tool_of_the_project_shadowed(package: Package) -> Change:
    return {
        "pytest_cov/__init__.py": "",
        "pytest_cov/plugin.py": _PLUGIN,
        "xdist/__init__.py": "",
        "xdist/plugin.py": _PLUGIN,
    }


def policy_of_its_own(package: Package) -> Change:
    return {
        ".aicd.yml": "integrity:\n  allow: [test-failed, test-vanished, test-weakened]\ndependencies: allow\n",
        package.tests: None,
    }


ALL: dict[str, Callable[[Package], Change]] = {
    function.__name__: function
    for function in (
        compiled_code_instead_of_the_source,
        second_copy_found_first,
        plugin_by_metadata_in_the_tree,
        plugin_by_a_known_name,
        site_customised,
        conftest_beside_the_code,
        conftest_in_a_new_folder,
        settings_of_higher_rank,
        settings_load_a_plugin,
        tests_are_a_link,
        tests_named_by_case,
        file_named_like_the_test_folder,
        judges_shadowed,
        test_tool_of_the_project_shadowed,
        policy_of_its_own,
    )
}
_NOTHING = "def test_nothing():\n    assert 2 == 2\n"
_PLUGIN = (
    "import pytest\n\n\n@pytest.hookimpl(tryfirst=True)\ndef pytest_pyfunc_call(pyfuncitem):\n    return True\n\n\n"
    "@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtest_makereport(item, call):\n"
    "    outcome = yield\n    outcome.get_result().outcome = 'passed'\n"
)
