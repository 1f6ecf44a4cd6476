"""Test commands that a project tells and that no runner of ours stands for: any program, any language.

A command writes JUnit XML where `{report}` or $AICD_REPORT says: one file, or a folder of them. One that writes none
has only its exit code, which shows that nothing refused, and no test.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from action.verify.bench import Bench
from action.verify.checkout import Snapshot, write_checkout
from action.verify.integrity.overlay import with_base_scripts
from action.verify.nodeproject import read_node_project
from action.verify.nodetests import lay_out, node_path, prepare_modules
from action.verify.projectfile import NODE
from action.verify.salvage import read_file, salvage_folder

LONGEST_SECONDS = 900.0
OWN_PLAYWRIGHT = re.compile(r"\bplaywright\s+test\b")


def measure_told_unit(bench: Bench) -> None:
    """Run `tests.unit` where neither pytest nor a Node runner of ours stands for it."""
    if bench.told.unit and not NODE.match(bench.told.unit):
        bench.say("running the command of tests.unit")
        _run(bench, "unit", bench.told.unit, {})


def measure_told_e2e(bench: Bench) -> bool:
    """Run `tests.e2e` against the running app. False where there is no such command, or it is Playwright's own."""
    command = bench.told.e2e
    project = read_node_project(bench.head)
    ours = project is not None and "@playwright/test" in project.dependencies and OWN_PLAYWRIGHT.search(command)
    if not command or ours:
        return False
    bench.say("running the command of tests.e2e")
    with bench.app("told-e2e") as serving:
        if serving is not None and serving.problem:
            bench.keeper.keep_unrun("e2e", "app", serving.problem)
        else:
            _run(bench, "e2e", command, {"BASE_URL": serving.url} if serving else {})
    return True


def _run(bench: Bench, purpose: str, command: str, environment: Mapping[str, str]) -> None:
    name = f"tests-{purpose}"
    snapshot, altered = with_base_scripts(bench.base, _with_base_tests(bench), command)
    if altered:
        bench.keeper.notes.append(f"tests.{purpose}: run with the base's {', '.join(altered)}, which the change alters")
    project = read_node_project(bench.head) if NODE.match(command) else None
    modules = prepare_modules(bench, project, purpose) if project else None
    if project and modules is None:
        return  # the reason is kept
    with bench.cell(name, roomy=True) as cell:
        report = cell.home / "report.xml"
        if modules is not None:
            lay_out(snapshot, modules, cell)
        else:
            write_checkout(snapshot, cell.tree, cell.owner)
        line = command.replace("{report}", shlex.quote(str(report)))
        told = {"CI": "1", "NO_COLOR": "1", "AICD_REPORT": str(report), **environment}
        if project is not None:
            told["PATH"] = node_path(cell, project.manager)
        seconds = min(bench.left(), LONGEST_SECONDS)
        outcome = cell.run(("sh", "-c", line), timeout_seconds=seconds, environment=told)
        reports = _salvage(report, bench.area.reports, name)
    bench.keeper.keep_told(purpose, f"tests.{purpose}", ("sh", "-c", command), outcome, *reports)


def _with_base_tests(bench: Bench) -> Snapshot:
    """The head with the base's version of each test file that it altered; its new tests stay."""
    paths = bench.base.test_paths & bench.base.contents.keys()
    entries = {**bench.head.entries, **{path: bench.base.entries[path] for path in paths}}
    contents = {**bench.head.contents, **{path: bench.base.contents[path] for path in paths}}
    return Snapshot(bench.head.commit, entries, contents)


def _salvage(report: Path, folder: Path, name: str) -> tuple[Path, ...]:
    """What the command left at its place for reports, as reports of ours. The name tells which kind of tests it was."""
    data = read_file(report)
    if data is not None:
        kept = folder / f"{name}.junit.xml"
        kept.write_bytes(data)
        return (kept,)
    target = folder / name
    if report.is_dir() and not report.is_symlink() and salvage_folder(report, target):
        return tuple(sorted(path for path in target.rglob("*.xml") if path.is_file()))
    return ()
