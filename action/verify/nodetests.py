"""Tests of a Node project: its own runner in a cell, with the reporter that we can read where it has one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from action.verify.account import can_switch_user, is_reachable
from action.verify.bench import Bench
from action.verify.browser import NO_BROWSER, find_chromium, link_browsers
from action.verify.checkout import Snapshot, write_checkout
from action.verify.junit import write_junit
from action.verify.locking import build_once, mark_used
from action.verify.nodeproject import NodeProject, read_node_project, scripts_of, with_tests_of
from action.verify.npm import NpmFailed, run_npm
from action.verify.orders import test_modules
from action.verify.projectfile import NODE
from action.verify.salvage import read_file, salvage_folder
from action.verify.sandbox import Cell
from controlplane.evidence import TestCase

NO_NODE = "there is no Node on this machine; install Node 20 or newer"
INSTALL = {
    "npm": ("ci",),
    "pnpm": ("install", "--frozen-lockfile"),
    "yarn": ("install", "--frozen-lockfile"),
}
LONGEST_SECONDS = 900.0
JEST_OUTCOMES = {"passed": "passed", "failed": "failed"}


@dataclass(frozen=True)
class Reporting:
    """What is added to a command so that it writes a report: words, variables. `form` is what it writes."""

    form: str = ""
    words: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


def measure_node_tests(bench: Bench) -> None:
    """Run the project's test script on the change, and with the base's tests laid over where they differ."""
    project = read_node_project(bench.head)
    told = bench.told.unit if NODE.match(bench.told.unit) else ""
    if project is None and told:
        bench.keeper.keep_unrun("unit", told, "there is no package.json at the root that can be read")
    if project is None or not (told or project.test_script):
        return
    bench.say("running the tests of package.json")
    modules = prepare_modules(bench, project, "unit")
    if modules is None:
        return
    laid_over = with_tests_of(bench.base, bench.head)
    for name, snapshot in {"unit-node-base": laid_over, "unit-node": bench.head}.items():
        if name == "unit-node" or laid_over is not bench.head:
            _run_unit(bench, name, snapshot, told, modules)


def _run_unit(bench: Bench, name: str, snapshot: Snapshot, told: str, modules: Path | None) -> None:
    project = read_node_project(snapshot)
    script = told or (project.test_script if project else "")
    manager = project.manager if project else "npm"
    with bench.cell(name, roomy=True) as cell:
        report = cell.home / "report"
        reporting = reporting_of(script, report)
        line = " ".join((told or _script_line(project, manager, reporting), *reporting.words))
        lay_out(snapshot, modules, cell)
        environment = {"CI": "1", "NO_COLOR": "1", "NO_UPDATE_NOTIFIER": "1", "PATH": node_path(cell, manager)}
        environment |= reporting.environment
        seconds = min(bench.left(), LONGEST_SECONDS)
        outcome = cell.run(("sh", "-c", line), timeout_seconds=seconds, environment=environment)
        data = _as_junit(reporting.form, read_file(report), bench.area.reports / f"{name}.junit.xml")
    bench.keeper.keep_told("unit", name, ("sh", "-c", line), outcome, data)


def measure_node_e2e(bench: Bench) -> bool:
    """Run Playwright's own runner for Node. False where the project has none."""
    project = read_node_project(bench.head)
    if project is None or "@playwright/test" not in project.dependencies:
        return False
    modules, chromium = prepare_modules(bench, project, "e2e"), find_chromium()
    if modules is None:
        return True
    if chromium is None:
        bench.keeper.keep_unrun("e2e", "playwright", NO_BROWSER)
        return True
    with bench.app("node-e2e") as serving:
        if serving is not None and serving.problem:
            bench.keeper.keep_unrun("e2e", "app", serving.problem)
        else:
            _run_playwright(bench, modules, chromium, serving.url if serving else "")
    return True


def _run_playwright(bench: Bench, modules: Path, chromium: Path, url: str) -> None:
    listing = modules / "playwright-core" / "browsers.json"
    with bench.cell("playwright", roomy=True) as cell:
        report, results = cell.home / "report.json", cell.home / "results"
        lay_out(with_tests_of(bench.base, bench.head), modules, cell)
        environment = {
            "CI": "1",
            "PATH": node_path(cell),
            "PLAYWRIGHT_JSON_OUTPUT_NAME": str(report),
            "PLAYWRIGHT_JSON_OUTPUT_FILE": str(report),
        }
        environment |= {"BASE_URL": url} if url else {}
        if listing.is_file():
            environment |= link_browsers(listing, chromium, cell.folder / "browsers")
        command = ("node", "node_modules/@playwright/test/cli.js", "test", "--reporter=json", f"--output={results}")
        seconds = min(bench.left(), LONGEST_SECONDS)
        outcome = cell.run(command, timeout_seconds=seconds, environment=environment)
        data = read_file(report)
        salvage_folder(results, bench.area.reports / "playwright-results")
    kept = bench.area.reports / "playwright.json"
    if data is not None:
        kept.write_bytes(data.replace(f"{cell.tree}/".encode(), b""))
    bench.keeper.keep_told("e2e", "playwright", command, outcome, kept if data is not None else None)


def _script_line(project: NodeProject | None, manager: str, reporting: Reporting) -> str:
    """The test script as its manager would run it.

    With words of ours it is run as it is written: each manager tells its own options from the script's in its own way.
    """
    if project is None or not reporting.words:
        return f"{manager} test"
    before = scripts_of(project.document).get("pretest")
    return " && ".join([*([before] if before else []), project.test_script])


def node_path(cell: Cell, manager: str = "npm") -> str:
    """The cell's PATH with the folders of the Node and the package manager that this job was set up with in front."""
    found = [shutil.which(name) for name in ("node", manager)]
    folders = dict.fromkeys(str(Path(path).parent) for path in found if path)
    return os.pathsep.join([str(cell.tree / "node_modules" / ".bin"), *folders, cell.path])


def reporting_of(script: str, report: Path) -> Reporting:
    """How the runner that a script ends with is made to write a report. Exit code only where we do not know."""
    last = re.split(r"&&|\|\||[;|&]", script)[-1]
    if re.search(r"\bvitest\b", last):
        words = ("--run", "--reporter=default", "--reporter=junit", f"--outputFile.junit={report}")
        return Reporting("junit", words)
    if re.search(r"\bjest\b", last):
        return Reporting("jest", ("--json", f"--outputFile={report}"))
    if re.search(r"\bmocha\b", last):
        return Reporting("junit", ("--reporter", "xunit", "--reporter-option", f"output={report}"))
    if re.search(r"\bnode\b.*\s--test\b", last):
        options = f"--test-reporter=junit --test-reporter-destination={report}"
        return Reporting("junit", environment={"NODE_OPTIONS": options})
    return Reporting()


def prepare_modules(bench: Bench, project: NodeProject, purpose: str) -> Path | None:
    """The installed node_modules, an empty folder where nothing is needed; None, with the reason kept, if it fails."""
    reason = ""
    if shutil.which("node") is None or shutil.which(project.manager) is None:
        reason = NO_NODE if shutil.which("node") is None else f"{project.manager} is not installed on this machine"
    elif not is_reachable(Path(shutil.which("node") or "")) and can_switch_user():
        reason = f"the sandbox's user cannot reach {shutil.which('node')}; install Node for all users"
    elif project.dependencies and not project.lock:
        reason = "package.json has dependencies and no lock file; commit package-lock.json"
    else:
        try:
            return _install(bench.cache_dir, project)
        except NpmFailed as error:
            reason = str(error)
    if purpose == "unit" and test_modules(bench.head) and not bench.told.unit:
        # Beside a Python suite a package.json may serve documentation or a build; nobody asked for its tests.
        bench.keeper.notes.append(f"the test script of package.json was not run: {reason}")
    else:
        bench.keeper.keep_unrun(purpose, project.manager, reason)
    return None


def _install(cache_dir: Path, project: NodeProject) -> Path:
    manifest = project.manifest()
    parts = (project.manager.encode(), manifest, project.lock_data)
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:20]

    def build(folder: Path) -> None:
        (folder / "node_modules").mkdir()
        if not project.dependencies:
            return
        (folder / "package.json").write_bytes(manifest)
        (folder / project.lock).write_bytes(project.lock_data)
        run_npm(folder, *INSTALL[project.manager], program=project.manager)

    folder = build_once(cache_dir / "node" / f"target-{key}", build)
    mark_used(folder)
    return folder / "node_modules"


def lay_out(snapshot: Snapshot, modules: Path | None, cell: Cell) -> None:
    """The checkout, and beside it a copy of node_modules: runners write their caches there."""
    write_checkout(snapshot, cell.tree, cell.owner)
    target = cell.tree / "node_modules"
    if modules is None or target.exists() or target.is_symlink() or not any(modules.iterdir()):
        return
    shutil.copytree(modules, target, symlinks=True)
    if cell.owner is not None:
        for folder, folders, files in os.walk(target):
            for name in (".", *folders, *files):
                os.chown(Path(folder) / name, cell.owner, cell.owner, follow_symlinks=False)


def _as_junit(form: str, data: bytes | None, path: Path) -> Path | None:
    """Keep a report as JUnit XML; None where none was written. One that is broken is kept as it is."""
    if data is None or not form:
        return None
    cases = _jest_cases(data) if form == "jest" else None
    if cases is None:
        path.write_bytes(data)
    else:
        write_junit(cases, path, suite=path.name.partition(".")[0])
    return path


def _jest_cases(data: bytes) -> tuple[TestCase, ...] | None:
    """Jest's own JSON: a file that could not be loaded is an error, what is neither passed nor failed was skipped."""
    try:
        document: Any = json.loads(data)
        cases = []
        for suite in document["testResults"]:
            file = str(suite["name"]).rpartition("/tree/")[2]
            if suite["status"] == "failed" and not suite["assertionResults"]:
                cases.append(TestCase(node_id=file, outcome="error", message=str(suite.get("message", ""))[:500]))
            for test in suite["assertionResults"]:
                outcome = JEST_OUTCOMES.get(test["status"], "skipped")
                message = "\n".join(map(str, test.get("failureMessages") or ()))[:500]
                case = {"node_id": f"{file}::{test['fullName']}", "outcome": outcome, "message": message, "file": file}
                cases.append(TestCase.model_validate(case))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return tuple(cases)
