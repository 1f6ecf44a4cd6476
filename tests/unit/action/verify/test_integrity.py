"""Each class of finding: what fails, what is only noted, and what is no finding at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from action.verify import integrity
from action.verify.checkout import Snapshot
from action.verify.integrity import inspect_snapshots
from action.verify.policy import MISREAD, read_policy
from action.verify.policywords import KINDS, ONLY_NOTED

MakeSnapshot = Callable[..., Snapshot]
CODE = "def add(left, right):\n    return left + right\n"
TEST = (
    "import pytest\n\nfrom calc import add\n\n\n"
    "def test_add():\n    assert add(20, 13) == 33\n    assert add(0, 5) == 5\n\n\n"
    "@pytest.mark.parametrize('value', [1, 2, 3])\ndef test_same(value):\n    assert add(value, 0) == value\n\n\n"
    "def test_near():\n    assert add(0.1, 0.2) == pytest.approx(0.3, abs=1e-9)\n"
)
BASE = {
    "README.md": "# x\n",
    "calc.py": CODE,
    "tests/test_calc.py": TEST,
    "requirements.txt": "idna==3.10\n",
    "setup.cfg": "[tool:pytest]\naddopts = --strict-markers\ntestpaths = tests\n",
    ".coveragerc": "[run]\nsource = calc\n[report]\nfail_under = 90\n",
    "ruff.toml": 'line-length = 100\n[lint]\nselect = ["E", "F"]\n',
    "mypy.ini": "[mypy]\nstrict = true\n",
    ".github/workflows/ci.yml": "on: push\n",
}


def edited(path: str, old: str, new: str) -> dict[str, str | None]:
    assert old in BASE[path]
    return {path: BASE[path].replace(old, new)}


# name → (change, the one kind that must fail)
FAILING: dict[str, tuple[dict[str, str | None], str]] = {
    "test_deleted": (edited("tests/test_calc.py", "def test_add", "def check_add"), "test-vanished"),
    "module_deleted": ({"tests/test_calc.py": None}, "test-vanished"),
    "test_skipped": (edited("tests/test_calc.py", "def test_add", "@pytest.mark.skip\ndef test_add"), "test-skipped"),
    "test_skipped_inside": (
        edited("tests/test_calc.py", "test_add():\n", "test_add():\n    pytest.skip('x')\n"),
        "test-skipped",
    ),
    "module_skipped": (
        edited("tests/test_calc.py", "import pytest\n", "import pytest\npytestmark = pytest.mark.skip\n"),
        "test-skipped",
    ),
    "test_xfailed": (edited("tests/test_calc.py", "def test_add", "@pytest.mark.xfail\ndef test_add"), "test-xfailed"),
    "assertion_removed": (edited("tests/test_calc.py", "    assert add(0, 5) == 5\n", ""), "test-weakened"),
    "assertion_hollow": (edited("tests/test_calc.py", "assert add(20, 13) == 33", "assert True"), "test-weakened"),
    "assertion_or_true": (edited("tests/test_calc.py", "== 33", "== 33 or True"), "test-weakened"),
    "equality_loosened": (edited("tests/test_calc.py", "add(20, 13) == 33", "add(20, 13) > 0"), "test-weakened"),
    "fewer_parameters": (edited("tests/test_calc.py", "[1, 2, 3]", "[1]"), "test-weakened"),
    "tolerance_widened": (edited("tests/test_calc.py", "abs=1e-9", "abs=1"), "test-weakened"),
    "exception_swallowed": (
        edited(
            "tests/test_calc.py",
            "    assert add(20, 13) == 33\n    assert add(0, 5) == 5\n",
            "    try:\n        assert add(20, 13) == 7\n        assert add(0, 5) == 5\n"
            "    except Exception:\n        pass\n",
        ),
        "test-weakened",
    ),
    "strictness_dropped": (edited("setup.cfg", "addopts = --strict-markers\n", ""), "config-relaxed"),
    "tests_ignored": (edited("setup.cfg", "--strict-markers", "--strict-markers --ignore=x"), "config-relaxed"),
    "testpaths_narrowed": (edited("setup.cfg", "testpaths = tests", "testpaths = other"), "config-relaxed"),
    "new_ini_takes_over": ({"pytest.ini": "[pytest]\n"}, "config-relaxed"),
    "fail_under_zero": (edited(".coveragerc", "fail_under = 90", "fail_under = 0"), "config-relaxed"),
    "coverage_omit": (edited(".coveragerc", "source = calc", "source = calc\nomit = calc.py"), "coverage-exclusion"),
    "pragma": ({"calc.py": CODE.replace("right\n", "right  # pragma: no cover\n", 2)}, "coverage-exclusion"),
    "rule_ignored": (edited("ruff.toml", "[lint]\n", '[lint]\nignore = ["F401"]\n'), "config-relaxed"),
    "types_relaxed": (edited("mypy.ini", "strict = true", "strict = false"), "config-relaxed"),
    "conftest_rewrites": (
        {"conftest.py": "def pytest_runtest_makereport(item, call):\n    return None\n"},
        "config-relaxed",
    ),
    "conftest_patches": ({"conftest.py": "import calc\n\ncalc.add = lambda *a: 33\n"}, "config-relaxed"),
    "conftest_ignores": ({"tests/conftest.py": "collect_ignore = ['test_calc.py']\n"}, "config-relaxed"),
    "dependency_changed": (edited("requirements.txt", "3.10", "3.9"), "dependency-changed"),
    "lock_file_added": ({"uv.lock": "version = 1\n"}, "dependency-changed"),
    "dependency_in_pyproject": (
        {"pyproject.toml": '[project]\nname = "calc"\ndependencies = ["idna"]\n'},
        "dependency-changed",
    ),
    "workflow_changed": ({".github/workflows/ci.yml": "on: pull_request\n"}, "protected-path"),
    "codeowners": ({"docs/CODEOWNERS": "* @somebody\n"}, "protected-path"),
    "agent_settings": ({".claude/settings.json": "{}\n"}, "protected-path"),
    "mcp": ({".mcp.json": "{}\n"}, "protected-path"),
    "modules": ({".gitmodules": "\n"}, "protected-path"),
    "husky": ({".husky/pre-commit": "true\n"}, "protected-path"),
    "models_prompt": ({".aicd/prompts/build.md": "Be kind.\n"}, "protected-path"),
    "standard_library_hidden": ({"random.py": "def random():\n    return 4\n"}, "module-shadowed"),
    "test_tool_hidden": ({"hypothesis/__init__.py": ""}, "module-shadowed"),
}
# name → (change, kind of a note that must be there, or nothing)
NOTED: dict[str, tuple[dict[str, str | None], str]] = {
    "test_moved": (
        {"tests/test_calc.py": None, "tests/unit/test_calc.py": TEST},
        "test-moved",
    ),
    "test_renamed": (edited("tests/test_calc.py", "def test_add", "def test_addition"), "test-moved"),
    "test_split": (
        edited("tests/test_calc.py", "    assert add(0, 5)", "\n\ndef test_zero():\n    assert add(0, 5)"),
        "test-changed",
    ),
    "expected_value_edited": (edited("tests/test_calc.py", "== 33", "== 34"), "test-changed"),
    "asserts_become_parameters": (
        edited(
            "tests/test_calc.py",
            "def test_add():\n    assert add(20, 13) == 33\n    assert add(0, 5) == 5\n",
            "@pytest.mark.parametrize(('a', 'b', 'c'), [(20, 13, 33), (0, 5, 5)])\n"
            "def test_add(a, b, c):\n    assert add(a, b) == c\n",
        ),
        "test-changed",
    ),
    "test_added": ({"tests/test_more.py": "def test_more():\n    assert 1 + 1 == 2\n"}, ""),
    "marker_added": (edited("setup.cfg", "testpaths", "markers =\n    slow: takes long\ntestpaths"), "config-added"),
    "stricter_types": (edited("mypy.ini", "strict = true", "strict = true\nwarn_unreachable = true"), "config-added"),
    "conftest_added": (
        {"conftest.py": "import pytest\n\n\n@pytest.fixture\ndef one():\n    return 1\n"},
        "config-added",
    ),
    "snapshot_updated": ({"tests/data/golden.txt": "new\n"}, ""),
    "version_bumped": ({"setup.py": "from setuptools import setup\n\nsetup(version='2')\n"}, ""),
    "code_changed": ({"calc.py": CODE.replace("left + right", "right + left")}, ""),
}


@pytest.mark.parametrize("name", FAILING)
def test_weakening_is_named_and_fails(name: str, snapshot: MakeSnapshot) -> None:
    change, kind = FAILING[name]
    assert kind in failing_kinds(snapshot(BASE), snapshot(after(change)))


@pytest.mark.parametrize("name", NOTED)
def test_honest_edit_is_noted_and_does_not_fail(name: str, snapshot: MakeSnapshot) -> None:
    change, kind = NOTED[name]
    base, head = snapshot(BASE), snapshot(after(change))
    findings = inspect_snapshots(base, head, read_policy(base, {}))
    assert not [finding for finding in findings if finding.fails]
    assert not kind or kind in {finding.kind for finding in findings}


def test_every_test_finding_names_its_node_ids(snapshot: MakeSnapshot) -> None:
    base = snapshot(BASE)
    head = snapshot(after({"tests/test_calc.py": None}))
    findings = inspect_snapshots(base, head, read_policy(base, {}))
    vanished = next(finding for finding in findings if finding.kind == "test-vanished")
    assert vanished.node_ids == tuple(f"tests/test_calc.py::{name}" for name in ("test_add", "test_same", "test_near"))


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", ".github/workflows", ".git/config"])
def test_link_to_forbidden_places_fails(target: str, snapshot: MakeSnapshot) -> None:
    assert failing_kinds(snapshot(BASE), snapshot(BASE, {"link": target})) == {"protected-path"}


def test_link_inside_the_tree_is_no_finding(snapshot: MakeSnapshot) -> None:
    assert failing_kinds(snapshot(BASE), snapshot(BASE, {"docs/link": "../calc.py"})) == set()


def test_first_files_of_an_empty_repository_are_only_noted(snapshot: MakeSnapshot) -> None:
    files = {path: text for path, text in BASE.items() if not path.startswith(".github")}
    assert failing_kinds(snapshot({}), snapshot(files)) == set()
    assert failing_kinds(snapshot({"README.md": "x"}), snapshot(files)) == set()


def test_exception_in_the_base_turns_a_failure_into_a_note(snapshot: MakeSnapshot) -> None:
    allowed = {".aicd.yml": "integrity:\n  allow:\n    - kind: test-vanished\n      paths: tests/test_calc.py\n"}
    base = snapshot({**BASE, **allowed})
    assert failing_kinds(base, snapshot({**after({"tests/test_calc.py": None}), **allowed})) == set()


@pytest.mark.parametrize(
    ("path", "covered"),
    [
        ("tests/", True), ("tests", True), ("tests/*", True), ("tests/**", True), ("tests/test_calc.py", True),
        ("test", False), ("tests/test_calc", False), ("/", False), ("''", False),
    ],
)  # fmt: skip
def test_exception_for_a_folder_holds_for_all_below_it(path: str, covered: bool, snapshot: MakeSnapshot) -> None:
    allowed = {".aicd.yml": f"integrity:\n  allow:\n    - kind: test-vanished\n      paths: [{path}]\n"}
    failing = failing_kinds(snapshot({**BASE, **allowed}), snapshot({**after({"tests/test_calc.py": None}), **allowed}))
    assert failing == (set() if covered else {"test-vanished"})


def test_exception_in_the_change_itself_allows_nothing(snapshot: MakeSnapshot) -> None:
    change: dict[str, str | None] = {
        "tests/test_calc.py": None,
        ".aicd.yml": "integrity:\n  allow: [test-vanished]\ndependencies: allow\n",
    }
    assert "test-vanished" in failing_kinds(snapshot(BASE), snapshot(after(change)))


def test_dependencies_allowed_by_the_base_or_the_project_are_noted(snapshot: MakeSnapshot) -> None:
    change, _ = FAILING["dependency_changed"]
    allowing = snapshot({**BASE, ".aicd.yml": "dependencies: allow\n"})
    assert failing_kinds(allowing, snapshot({**after(change), ".aicd.yml": "dependencies: allow\n"})) == set()
    base, head = snapshot(BASE), snapshot(after(change))
    findings = inspect_snapshots(base, head, read_policy(base, {"dependencies": "allow"}))
    assert [(finding.kind, finding.fails) for finding in findings] == [("dependency-changed", False)]


@pytest.mark.parametrize("policy", ["[" * 5000, "integrity: [", "a: &a [*a]", "integrity: {allow: [{paths: 3}]}", "\0"])
def test_unreadable_policy_allows_nothing(policy: str, snapshot: MakeSnapshot) -> None:
    found = read_policy(snapshot({".aicd.yml": policy}), {})
    assert (found.dependencies_allowed, found.exceptions) == (False, ())


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("integrity: {alow: [test-vanished]}", "'integrity.alow' is read by nothing; did you mean allow?"),
        ("dependencies: allowed", "dependencies is 'allowed', which allows nothing; did you mean allow?"),
        ("dependencies: true", "dependencies is 'True', which allows nothing"),
        ("nonsense: 1", "'nonsense' is read by nothing; what is known: dependencies, integrity, tests, app"),
        ("tests: {unti: make}", "'tests.unti' is read by nothing; did you mean unit?"),
        ("integrity: {allow: test-vanished}", "integrity.allow is no list"),
        ("integrity: [test-vanished]", "integrity is no mapping"),
        ("integrity: {allow: [test-vanishd]}", "of the kind 'test-vanishd'; did you mean test-vanished?"),
        ("integrity: [", "cannot be read"),
    ],
)
def test_policy_with_a_word_that_nobody_knows_allows_nothing_and_says_so(
    policy: str, told: str, snapshot: MakeSnapshot
) -> None:
    base, head = (snapshot({**files, ".aicd.yml": policy}) for files in (BASE, after({"tests/test_calc.py": None})))
    findings = inspect_snapshots(base, head, read_policy(base, {}))
    assert "test-vanished" in {finding.kind for finding in findings if finding.fails}
    [note] = [finding for finding in findings if finding.kind == MISREAD]
    assert (note.fails, told in note.reason) == (False, True)


def test_policy_that_is_understood_says_nothing(snapshot: MakeSnapshot) -> None:
    text = "dependencies: deny\nintegrity: {allow: [test-failed, {kind: test-moved}]}\ntests: {unit: x}\napp: {}\n"
    assert read_policy(snapshot({".aicd.yml": text}), {"approval": "required", "dependencies": "allow"}).notes == ()


def test_every_kind_of_finding_is_known_to_the_policy() -> None:
    sources = "".join(path.read_text() for path in Path(integrity.__file__).parent.glob("*.py"))
    kinds = set(re.findall(r'kind="([a-z-]+)"|"(test-[a-z]+)"', sources))
    assert {one or other for one, other in kinds} <= {*KINDS, *ONLY_NOTED}


def after(change: dict[str, str | None]) -> dict[str, str]:
    return {path: text for path, text in {**BASE, **change}.items() if text is not None}


def failing_kinds(base: Snapshot, head: Snapshot) -> set[str]:
    findings = inspect_snapshots(base, head, read_policy(base, {}))
    return {finding.kind for finding in findings if finding.fails}
