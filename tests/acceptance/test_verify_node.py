"""Node projects through verify: their runner, our reading of its report. node:test needs no package at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from action.gate.judge import judge
from action.verify.browser import find_chromium
from action.verify.options import VerifyOptions
from action.verify.verify import verify_change
from controlplane.change import Change
from controlplane.dod import DefinitionOfDone
from controlplane.verdict import Criterion
from tests.acceptance.verify_packages import commit, git, write

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(shutil.which("npm") is None, reason="no Node with npm on this machine"),
]
WIDE = pytest.mark.skipif(
    os.environ.get("AICD_WIDE_TESTS") != "1", reason="installs packages from npm: AICD_WIDE_TESTS=1 runs it"
)
BUG, FIX = "exports.add = (a, b) => a - b;\n", "exports.add = (a, b) => a + b;\n"
NODE_TEST = """const test = require('node:test');
const assert = require('node:assert');
const { add } = require('../add.js');
test('adds', () => assert.strictEqual(add(20, 13), 33));
test('adds nothing', () => assert.strictEqual(add(1, 0), 1));
"""
GLOBAL_TEST = """const assert = require('node:assert');
const { add } = require('../add.js');
it('adds', () => assert.strictEqual(add(20, 13), 33));
it('adds nothing', () => assert.strictEqual(add(1, 0), 1));
"""
UNIT = DefinitionOfDone(unit_pass=True)
Files = Mapping[str, str | None]


def project(script: str, test: str = NODE_TEST, packages: Mapping[str, str] | None = None) -> dict[str, str | None]:
    document = {"name": "add", "version": "1.0.0", "scripts": {"test": script}, "devDependencies": packages or {}}
    return {"package.json": json.dumps(document), "add.js": BUG, "test/add.test.js": test}


def judged(
    folder: Path, before: Files, change: Files, name: str = "unit_pass", dod: DefinitionOfDone = UNIT
) -> Criterion:
    repository = folder / "repository"
    repository.mkdir()
    git(repository, "init", "--quiet", "--initial-branch", "main")
    write(repository, before)
    if '"devDependencies": {}' not in str(before["package.json"]):
        command = ["npm", "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=repository, check=True, capture_output=True)
    commit(repository, "base")
    write(repository, change)
    commit(repository, "change")
    options = VerifyOptions(work_dir=folder / "work")
    evidence = verify_change(Change(repository=repository, base="main~1", head="main"), dod, options)
    return next(one for one in judge(dod, evidence).criteria if one.id == name)


def test_honest_fix_is_passed_by_nodes_own_runner(tmp_path: Path) -> None:
    found = judged(tmp_path, project("node --test test/"), {"add.js": FIX})
    assert (found.status, found.reason) == ("passed", "2 of 2 tests passed.")


def test_bug_whose_test_was_rewritten_is_failed_by_the_test_of_the_base(tmp_path: Path) -> None:
    change = {"test/add.test.js": NODE_TEST.replace("33", "7")}
    found = judged(tmp_path, project("node --test test/"), change)
    assert found.status == "failed"
    assert "adds" in found.evidence[0]


def test_script_without_a_report_shows_nothing_when_it_ends_well(tmp_path: Path) -> None:
    found = judged(tmp_path, project("node -e 1"), {"add.js": FIX})
    assert found.status == "not_measured"
    assert "exit code 0, which shows no test" in found.reason


def test_script_that_fails_without_a_report_is_failed(tmp_path: Path) -> None:
    found = judged(tmp_path, project("node -e process.exit(3)"), {"add.js": FIX})
    assert found.status == "failed"
    assert "exit code" in found.reason


def test_dependencies_without_a_lock_file_are_the_reason(tmp_path: Path) -> None:
    change = project("node --test test/", packages={"mocha": "^11"})
    found = judged(tmp_path, project("node --test test/"), change)
    assert found.status == "not_measured"
    assert "package-lock.json" in found.reason


@WIDE
@pytest.mark.parametrize(
    ("script", "packages"),
    [
        pytest.param("jest", {"jest": "29.7.0"}, id="jest"),
        pytest.param("mocha", {"mocha": "10.8.2"}, id="mocha"),
    ],
)
def test_known_runner_is_read_when_it_fails_and_when_it_passes(
    script: str, packages: Mapping[str, str], tmp_path: Path
) -> None:
    before = project(script, GLOBAL_TEST, packages)
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    assert judged(tmp_path / "good", before, {"add.js": FIX}).reason == "2 of 2 tests passed."
    found = judged(tmp_path / "bad", before, {"README.md": "nothing\n"})
    assert found.status == "failed"
    assert "1 of 2 tests did not pass" in found.reason


@WIDE
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine (set CHROME_PATH)")
def test_playwright_for_node_finds_the_machines_browser(tmp_path: Path) -> None:
    test = """const { test, expect } = require('@playwright/test');
test('title', async ({ page }) => { await page.goto(process.env.BASE_URL); await expect(page).toHaveTitle('Hi'); });
"""
    app = "app: {command: 'python3 -m http.server {port} --bind 127.0.0.1', url: 'http://127.0.0.1:{port}/page.html'}\n"
    before = {**project("", test, {"@playwright/test": "1.56.1"}), ".aicd.yml": app}
    dod = DefinitionOfDone(e2e_pass=True)
    found = judged(tmp_path, before, {"page.html": "<title>Hi</title>"}, "e2e_pass", dod)
    assert (found.status, found.reason) == ("passed", "1 of 1 end-to-end tests passed.")
