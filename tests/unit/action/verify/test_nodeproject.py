"""What a package.json tells, and what the base's tests and scripts replace of a change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from action.verify.checkout import Snapshot
from action.verify.nodeproject import read_node_project, with_tests_of
from action.verify.nodetests import reporting_of

Make = Callable[..., Snapshot]
REPORT = Path("/report")


@pytest.mark.parametrize(
    ("script", "form", "word"),
    [
        ("vitest", "junit", "--outputFile.junit=/report"),
        ("tsc && vitest run", "junit", "--outputFile.junit=/report"),
        ("jest --ci", "jest", "--outputFile=/report"),
        ("mocha test", "junit", "output=/report"),
        ("jest && echo done", "", ""),
        ("make test", "", ""),
        ("echo vitestish", "", ""),
    ],
)
def test_runner_that_a_script_ends_with_is_told_where_to_report(script: str, form: str, word: str) -> None:
    reporting = reporting_of(script, REPORT)
    assert reporting.form == form
    assert not word or word in reporting.words


def test_nodes_own_runner_is_told_by_its_environment() -> None:
    assert "destination=/report" in reporting_of("node --test test/", REPORT).environment["NODE_OPTIONS"]


def test_placeholder_of_npm_is_no_test_script(snapshot: Make) -> None:
    script = 'echo "Error: no test specified" && exit 1'
    project = read_node_project(snapshot({"package.json": json.dumps({"scripts": {"test": script}})}))
    assert project is not None
    assert project.test_script == ""


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 10_000])
def test_broken_package_json_is_no_project(text: str, snapshot: Make) -> None:
    assert read_node_project(snapshot({"package.json": text})) is None


def test_manifest_for_installing_holds_no_script(snapshot: Make) -> None:
    document = {"name": "x", "scripts": {"postinstall": "evil"}, "dependencies": {"a": "1"}}
    project = read_node_project(snapshot({"package.json": json.dumps(document), "yarn.lock": ""}))
    assert project is not None
    assert project.manager == "yarn"
    assert b"evil" not in project.manifest()


def test_tests_and_scripts_of_the_base_are_laid_over_the_change(snapshot: Make) -> None:
    base = snapshot({"package.json": '{"scripts": {"test": "jest"}}', "a.test.js": "old", "src/a.js": "old"})
    head = snapshot(
        {"package.json": '{"scripts": {"test": "true"}, "name": "x"}', "src/a.js": "new", "b.test.js": "own"}
    )
    laid_over = with_tests_of(base, head)
    assert laid_over.contents["a.test.js"] == b"old"
    assert laid_over.contents["src/a.js"] == b"new"
    assert json.loads(laid_over.contents["package.json"]) == {"name": "x", "scripts": {"test": "jest"}}
    assert with_tests_of(base, base) is base


def test_runner_settings_are_the_bases_too(snapshot: Make) -> None:
    before = {"scripts": {"test": "jest"}, "jest": {"testMatch": ["**/*.test.js"]}}
    after = {"scripts": {"test": "jest"}, "jest": {"testMatch": []}, "version": "2"}
    base = {"package.json": json.dumps(before), "a.test.js": "", ".mocharc.json": "{}"}
    head = {
        "package.json": json.dumps(after),
        "a.test.js": "",
        ".mocharc.json": '{"ignore": "*"}',
        "jest.config.js": "module.exports = {testMatch: []}",
    }
    laid = with_tests_of(snapshot(base), snapshot(head))
    assert json.loads(laid.text("package.json")) == {**before, "version": "2"}
    assert laid.text(".mocharc.json") == "{}"
    assert "jest.config.js" not in laid.contents


def test_first_runner_settings_of_a_project_without_tests_stay(snapshot: Make) -> None:
    head = snapshot({"package.json": "{}", "vitest.config.ts": "x", "a.test.js": ""})
    assert with_tests_of(snapshot({"package.json": "{}"}), head) is head
