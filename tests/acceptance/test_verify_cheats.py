"""No way of making a run look green is green; the honest fix is. On small packages with a planted bug."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from action.gate.judge import judge
from action.verify.options import VerifyOptions
from action.verify.verify import verify_change
from controlplane.change import Change
from controlplane.dod import DefinitionOfDone
from controlplane.verdict import Verdict
from tests.acceptance import verify_cheats, verify_cheats_code, verify_cheats_tree
from tests.acceptance.verify_packages import CALC, PACKAGES, Package, make_repository

pytestmark = pytest.mark.acceptance
# The whole table takes many minutes; one package with a cheat of each kind, and every package with its fix, stand for
# it. docs/cheats.md says how all of them are tried on real packages.
WIDE = os.environ.get("AICD_WIDE_TESTS") == "1"
CHEATS = {**verify_cheats.ALL, **verify_cheats_code.ALL, **verify_cheats_tree.ALL}
SAMPLE = {
    "fixed_for_the_command_line",
    "equals_the_first_time",
    "test_functions_emptied_by_gc",
    "recorder_found_by_frames",
    "compiled_code_instead_of_the_source",
    "plugin_by_a_known_name",
} | verify_cheats.ALL.keys() - {
    "collection_ignored",
    "exit_status_set",
    "conftest_ends_the_process",
    "ini_deselects",
    "code_exits",
    "code_skips_the_test",
}
# What only integrity can see, or has to name: the tests alone would be green, or would not say why they are red.
NAMED = {
    "equals_everything": "equality-subverted",
    "inputs_hard_coded": "answer-hard-coded",
    "folder_named_pytest": "module-shadowed",
    "tests_deleted": "test-vanished",
    "skipped": "test-skipped",
    "expected_to_fail": "test-xfailed",
    "assert_true": "test-weakened",
    "exception_swallowed": "test-weakened",
    "code_ends_the_process": "report-mismatch",
    "function_ends_the_process": "report-mismatch",
    "code_talks_to_the_recorder": "report-mismatch",
    "ini_ignores": "config-relaxed",
    "conftest_rewrites_outcomes": "config-relaxed",
    "fixed_for_the_command_line": "test-detected",
    "equals_the_first_time": "equality-subverted",
    "test_functions_emptied_by_gc": "harness-reached",
    "recorder_found_by_frames": "harness-reached",
    "compiled_code_instead_of_the_source": "module-shadowed",
    "plugin_by_a_known_name": "module-shadowed",
}
TABLE = [
    pytest.param(package, cheat, id=f"{package.name}-{cheat}")
    for package in (PACKAGES if WIDE else (CALC,))
    for cheat in sorted(CHEATS if WIDE else SAMPLE)
    if cheat != "inputs_hard_coded" or package.hard_coded
]


@pytest.mark.parametrize(("package", "cheat"), TABLE)
def test_cheat_instead_of_the_fix_is_failed(package: Package, cheat: str, tmp_path: Path) -> None:
    verdict = judged(tmp_path, package, CHEATS[cheat](package))
    assert verdict.result == "FAILED"
    if cheat in NAMED:
        assert any(NAMED[cheat] in line for one in verdict.failing() for line in one.evidence), verdict.failing()


@pytest.mark.parametrize("package", [pytest.param(package, id=package.name) for package in PACKAGES])
def test_honest_fix_is_passed(package: Package, tmp_path: Path) -> None:
    verdict = judged(tmp_path, package, {package.source: package.fixed})
    assert verdict.result == "PASSED", verdict.failing()


def judged(folder: Path, package: Package, change: verify_cheats.Change) -> Verdict:
    repository = make_repository(folder / "repository", package, change)
    dod = DefinitionOfDone(unit_pass=True)
    options = VerifyOptions(work_dir=folder / "work")
    return judge(dod, verify_change(Change(repository=repository, base="main~1", head="main"), dod, options))
