"""Signs of a test run that new code may not ask for, and code that looks alike and is none of that."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from action.verify.checkout import Snapshot
from action.verify.events import RecordedRun
from action.verify.integrity.detection import find_detection, signs_of
from action.verify.integrity.harness import find_reached, find_tampered
from action.verify.pytestrun import PytestRun
from action.verify.sandbox import Outcome

MakeSnapshot = Callable[..., Snapshot]
ASKING = [
    'x = "pytest" in sys.modules',
    'x = sys.modules.get("_pytest.python")',
    'x = "PYTEST_CURRENT_TEST" in os.environ',
    'x = os.environ["PYTEST_VERSION"]',
    'x = os.getenv("AICD_SANDBOX")',
    'x = any("pytest" in word for word in sys.argv) or "pytest" in sys.argv[0]',
    "x = inspect.stack()[1].filename",
    "x = sys._getframe(1).f_code",
    "x = error.__traceback__.tb_frame",
    "x = sys.gettrace() is None",
    "x = sys.flags.isolated",
    "x = function.__closure__[0].cell_contents",
    "from _pytest.python import Function",
    "import recorder",
    "x = datetime.date.today() < datetime.date(2030, 1, 1)",
    "x = time.time() > 1893456000",
]
INNOCENT = [
    'x = "idna" in sys.modules',
    'x = os.environ.get("HOME", "")',
    'x = os.environ["AICD_SUPABASE_URL"]',
    "x = sys.argv[1:]",
    'x = {"pytest": 1}["pytest"]',
    "import unittest.mock",
    "x = date.today() < deadline",
    "x = time.time() - started > 3600",
    "x = frame.shape",
    'raise ImportError("install pytest first")',
    "x = inspect.signature(function)",
]


@pytest.mark.parametrize("code", ASKING)
def test_sign_of_a_test_run_is_seen(code: str) -> None:
    assert signs_of(code)


@pytest.mark.parametrize("code", INNOCENT)
def test_ordinary_code_asks_for_nothing(code: str) -> None:
    assert signs_of(code) == []


def test_asking_fails_only_where_no_product_code_of_the_base_asked(snapshot: MakeSnapshot) -> None:
    asks = ASKING[0] + "\n"
    assert kinds(snapshot({"a.py": ""}), snapshot({"a.py": asks})) == ["test-detected"]
    assert kinds(snapshot({"a.py": asks}), snapshot({"b.py": asks})) == []
    assert kinds(snapshot({"a.py": ""}), snapshot({"a.py": "", "tests/test_a.py": asks})) == []


def test_reaching_counts_for_files_of_the_change_whose_base_did_not(snapshot: MakeSnapshot) -> None:
    run = recorded(tripped=frozenset({("gc.get_objects", "a.py")}))
    new = snapshot({"a.py": "import gc\n"})
    assert [one.file for one in find_reached(snapshot({"a.py": ""}), new, run)] == ["a.py"]
    assert list(find_reached(new, new, run)) == []
    assert list(find_reached(snapshot({"b.py": "import gc\n"}), new, run)) == []
    assert find_reached(snapshot({"b.py": "egcs = 1\n"}), new, run)


def test_replaced_judges_are_named_unless_the_base_replaces_them_too() -> None:
    run = recorded(tampered=frozenset({"TestCase.assertEqual"}))
    (found,) = find_tampered(run, None)
    assert found.fails
    assert "TestCase.assertEqual" in found.reason
    assert list(find_tampered(run, run)) == []


def recorded(**values: frozenset[object]) -> PytestRun:
    return PytestRun("base-tests", (), Outcome(0, 1.0), RecordedRun(**values), everything=True)  # type: ignore[arg-type]


def kinds(base: Snapshot, head: Snapshot) -> list[str]:
    return [one.kind for one in find_detection(base, head, fresh=False)]
