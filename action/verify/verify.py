"""Verify a change: run what has to be run, write down what came of it, judge nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from action.verify.area import Area, open_area, tools_of
from action.verify.checkout import Snapshot
from action.verify.checks import Check, keep_report, planned_checks, run_check
from action.verify.dependencies import Dependencies, read_dependencies
from action.verify.environment import Environment, InstallFailed, prepare_environment
from action.verify.integrity import inspect_runs, inspect_snapshots
from action.verify.integrity.difference import changed_lines
from action.verify.junit import write_junit
from action.verify.linecoverage import LineCoverage, measure_lines, write_coverage_json
from action.verify.options import VerifyOptions, default_cache_dir
from action.verify.orders import base_order, change_order, collect_order
from action.verify.ownwork import own_cases
from action.verify.policy import Policy, read_policy
from action.verify.pytestrun import PytestOrder, PytestRun, run_pytest
from action.verify.repository import Repository
from action.verify.sandbox import Cell, Outcome, Tools, describe_isolation, open_cell
from controlplane.change import Change
from controlplane.dod import DefinitionOfDone
from controlplane.errors import AicdError
from controlplane.evidence import Evidence, EvidenceFile, IntegrityFinding, TestCase, TestTotals, ToolRun

Result = TypeVar("Result")


def verify_change(change: Change, dod: DefinitionOfDone, options: VerifyOptions) -> Evidence:
    """Measure a change and return everything a gate may look at.

    Raises UsageError when the repository or a commit cannot be read. Whatever else fails (an environment that cannot
    be built, a tool that is stopped) is told in `runs`, so that the criterion is not measured, and said why.
    """
    repository = Repository(change.repository)
    options.progress("reading the base and the change")
    base = Snapshot.load(repository, repository.resolve(change.base))
    head = Snapshot.load(repository, repository.resolve(change.head))
    with open_area(options.work_dir) as area:
        return _Verification(base, head, dod, options, area).run()


@dataclass
class _Results:
    files: list[EvidenceFile] = field(default_factory=list)
    runs: list[ToolRun] = field(default_factory=list)
    findings: list[IntegrityFinding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _Verification:
    """One verification, from snapshots to evidence."""

    def __init__(
        self, base: Snapshot, head: Snapshot, dod: DefinitionOfDone, options: VerifyOptions, area: Area
    ) -> None:
        self.base, self.head, self.dod, self.options, self.area = base, head, dod, options, area
        self.cache_dir = options.cache_dir or default_cache_dir()
        self.deadline = time.monotonic() + options.timeout_seconds
        self.policy: Policy = read_policy(base, options.policy)
        self.results = _Results(notes=list(self.policy.notes))

    def run(self) -> Evidence:
        self.results.findings += inspect_snapshots(self.base, self.head, self.policy)
        environment = self._prepare()
        if environment is None:
            return self._evidence("nothing of the repository's was run")
        tools = tools_of(
            self.area,
            environment.python,
            environment.path,
            self.cache_dir,
            reachable=environment.interpreter.reachable,
        )
        self._run_everything(environment, tools)
        return self._evidence(describe_isolation(reachable=tools.reachable))

    def _prepare(self) -> Environment | None:
        dependencies, trusted = self._dependencies()
        self.results.notes += dependencies.notes
        self.options.progress("preparing the environment")
        started = time.monotonic()
        try:
            return prepare_environment(self.cache_dir, dependencies, trusted=trusted)
        except AicdError as error:
            log = self.area.logs / "environment.log"
            log.write_text(f"{error}\n{error.details.get('log', '') if isinstance(error, InstallFailed) else ''}")
            self.results.runs.append(
                ToolRun(
                    purpose="environment",
                    id="pip",
                    duration_seconds=round(time.monotonic() - started, 3),
                    log=str(log),
                    reason=str(error),
                )
            )
            return None

    def _dependencies(self) -> tuple[Dependencies, bool]:
        """The base's dependencies, unless it has none or its maintainers let a change bring its own."""
        of_base = read_dependencies(self.base.contents)
        if of_base.files and not self.policy.dependencies_allowed:
            return of_base, True
        return read_dependencies(self.head.contents), False

    def _run_everything(self, environment: Environment, tools: Tools) -> None:
        plugins = read_dependencies(self.base.contents).distributions or self._dependencies()[0].distributions
        orders = [
            order
            for order in (
                base_order(self.base, self.head, plugins, self._rewritable()),
                change_order(self.base, self.head, plugins),
                collect_order(self.base, plugins),
            )
            if order is not None
        ]
        checks = planned_checks(self.dod, self.head, environment)
        self.options.progress(_announcement(orders, checks))
        with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as pool:
            tests = [pool.submit(self._in_cell, tools, order.purpose, self._pytest(order)) for order in orders]
            others = [(check, pool.submit(self._check, tools, number, check)) for number, check in enumerate(checks)]
            runs: dict[str, PytestRun] = {
                order.purpose: future.result() for order, future in zip(orders, tests, strict=True)
            }
            before = pool.submit(self._run_base_itself, tools, plugins, runs)
            coverage = pool.submit(self._measure, tools, list(runs.values()))
            for check, future in others:
                self._keep_check(check, future)
            self._keep_runs(runs, coverage.result())
            found = inspect_runs(self.base, self.head, runs, before.result())
        self.results.findings += [self.policy.apply(finding) for finding in found]

    def _rewritable(self) -> frozenset[str]:
        paths = self.base.test_paths | self.head.test_paths
        return frozenset(path for path in paths if self.policy.may_rewrite(path))

    def _pytest(self, order: PytestOrder) -> Callable[[Cell], PytestRun]:
        return lambda cell: run_pytest(order, cell, self.area.inside, self._left())

    def _check(self, tools: Tools, number: int, check: Check) -> tuple[Outcome, Path | None]:
        def run(cell: Cell) -> tuple[Outcome, Path | None]:
            outcome = run_check(check, self.head, cell, self._left())
            return outcome, keep_report(check, outcome, cell.tree, self.area.reports)

        return self._in_cell(tools, f"check-{number}", run)

    def _in_cell(self, tools: Tools, name: str, work: Callable[[Cell], Result]) -> Result:
        with open_cell(self.area.cells / name, tools, network=self.options.network) as cell:
            return work(cell)

    def _run_base_itself(self, tools: Tools, plugins: tuple[str, ...], runs: dict[str, PytestRun]) -> PytestRun | None:
        """Run the base's tests on the base, if the change's outcome gives a reason to compare."""
        laid_over = runs.get("base-tests")
        order = collect_order(self.base, plugins, run=True)
        if laid_over is None or order is None:
            return None
        if not laid_over.recorded.ids("failed", "error", "skipped", "xfailed"):
            return None
        self.options.progress("running the base's tests on the base, to compare")
        return self._in_cell(tools, "base-itself", self._pytest(order))

    def _measure(self, tools: Tools, runs: list[PytestRun]) -> LineCoverage | None:
        executed = [run.recorded.executed for run in runs if run.purpose != "collect"]
        if not executed:
            return None
        script = self.area.inside / "lines.py"
        return self._in_cell(tools, "lines", lambda cell: measure_lines(self.base, self.head, executed, cell, script))

    def _left(self) -> float:
        return self.deadline - time.monotonic()

    def _keep_runs(self, runs: dict[str, PytestRun], coverage: LineCoverage | None) -> None:
        for name, run in runs.items():
            cases = own_cases(run, self.base, self.head) if run.purpose == "change-tests" else run.recorded.cases
            if run.purpose == "change-tests" and not cases and run.outcome.exit_code == 0:
                # Everything in it had been told by the base's run; an empty report would tell of nothing collected.
                self.results.notes.append(
                    f"{len(run.recorded.cases)} tests of the base pass with the change's settings"
                )
                continue
            report = self._keep_junit(name, run, cases) if run.purpose != "collect" else ""
            self.results.runs.append(
                _tool_run(run.purpose, "pytest", run.command, run.outcome, report, self._keep_log(name, run.outcome))
            )
        if coverage is not None:
            self._keep_coverage(coverage)

    def _keep_junit(self, name: str, run: PytestRun, cases: tuple[TestCase, ...]) -> str:
        path = self.area.reports / f"{name}.junit.xml"
        write_junit(cases, path, suite=name)
        self.results.files.append(
            EvidenceFile(
                path=str(path),
                kind="junit",
                tests=TestTotals.count(cases),
                cases=cases,
                tool="pytest",
                problems=run.recorded.mismatches,
            )
        )
        return str(path)

    def _keep_coverage(self, coverage: LineCoverage) -> None:
        path = self.area.reports / "coverage.json"
        write_coverage_json(coverage, path)
        self.results.files.append(
            EvidenceFile(
                path=str(path),
                kind="coverage",
                coverage=coverage.totals,
                lines=coverage.files,
                problems=coverage.problems,
                tool="coverage.py",
            )
        )

    def _keep_check(self, check: Check, future: Future[tuple[Outcome, Path | None]]) -> None:
        from action.evidence import read_reports

        outcome, report = future.result()
        log = self._keep_log(f"{check.purpose}-{check.id}", outcome)
        self.results.runs.append(_tool_run(check.purpose, check.id, check.command, outcome, str(report or ""), log))
        if report is not None:
            self.results.files += read_reports([report]).files

    def _keep_log(self, name: str, outcome: Outcome) -> str:
        path = self.area.logs / f"{name}.log"
        path.write_bytes(outcome.output + (b"\n--- stderr ---\n" + outcome.errors if outcome.errors else b""))
        return str(path)

    def _evidence(self, isolation: str) -> Evidence:
        unique = {(finding.kind, finding.file, finding.node_ids): finding for finding in self.results.findings}
        return Evidence(
            files=tuple(sorted(self.results.files, key=lambda file: file.path)),
            runs=tuple(self.results.runs),
            integrity=tuple(sorted(unique.values(), key=lambda one: (not one.fails, one.kind, one.file))),
            changed_lines=changed_lines(self.base, self.head),
            isolation=isolation,
            looked_in=(str(self.area.reports),),
            notes=tuple(self.results.notes),
        )


def _tool_run(purpose: str, id: str, command: tuple[str, ...], outcome: Outcome, report: str, log: str) -> ToolRun:  # noqa: A002 - the noun's field
    return ToolRun.model_validate(
        {
            "purpose": purpose,
            "id": id,
            "command": tuple(command),
            "exit_code": outcome.exit_code,
            "timed_out": outcome.timed_out,
            "duration_seconds": outcome.duration_seconds,
            "report": report,
            "log": log,
            "reason": outcome.reason,
        }
    )


def _announcement(orders: list[PytestOrder], checks: tuple[Check, ...]) -> str:
    names = [order.purpose for order in orders] + [check.id for check in checks]
    return "running " + ", ".join(names) if names else "there is nothing to run: no tests were found"
