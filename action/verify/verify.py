"""Verify a change: run what has to be run, write down what came of it, judge nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from action.verify.area import Area, open_area, tools_of
from action.verify.bench import Bench
from action.verify.checkout import Snapshot
from action.verify.checks import OWN, Check, keep_report, planned_checks, run_check
from action.verify.dependencies import Dependencies, read_dependencies
from action.verify.e2e import e2e_modules, only_e2e, without_e2e
from action.verify.environment import Environment, prepare_environment
from action.verify.integrity import inspect_runs, inspect_snapshots
from action.verify.integrity.difference import changed_lines
from action.verify.integrity.hardcoded import SpecialCase, find_special_cases
from action.verify.integrity.overlay import as_checked, with_base_scripts
from action.verify.integrity.probes import Probed
from action.verify.keeping import Keeper
from action.verify.layout import is_source
from action.verify.linecoverage import LineCoverage, measure_lines
from action.verify.mutation.stage import measure_mutants
from action.verify.options import VerifyOptions, default_cache_dir
from action.verify.orders import base_order, change_order, collect_order, doctest_order
from action.verify.policy import read_policy
from action.verify.probing import probe_tests
from action.verify.product import measure_product
from action.verify.projectfile import read_told
from action.verify.pytestrun import PytestOrder, PytestRun, run_pytest
from action.verify.repository import Repository
from action.verify.sandbox import Cell, Outcome, Tools, describe_isolation, open_cell
from action.verify.sharding import merge_runs, split_order
from action.verify.unmeasured import settle
from action.verify.versions import tool_versions
from controlplane.change import Change
from controlplane.dod import DefinitionOfDone
from controlplane.errors import AicdError
from controlplane.evidence import Evidence

# Lint, types, a command: each by itself, whatever is left for everything.
LONGEST_CHECK_SECONDS = 900
# A suite that takes longer is not run a second time with probes.
LONGEST_PROBED_SECONDS = 120
# More than these are not named on a command line; the whole suite is run instead.
MOST_NAMED_TESTS = 300
Result = TypeVar("Result")
Runs = dict[str, PytestRun]


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


class _Verification:
    """One verification, from snapshots to evidence."""

    def __init__(self, base: Snapshot, head: Snapshot, dod: DefinitionOfDone, options: VerifyOptions, area: Area):
        self.base, self.head, self.dod, self.options, self.area = base, head, dod, options, area
        self.cache_dir = options.cache_dir or default_cache_dir()
        self.deadline = time.monotonic() + options.timeout_seconds
        self.policy = read_policy(base, options.policy)
        self.told = read_told(base, head, options.tests)
        self.e2e = e2e_modules(base, head, dod)
        self.keeper = Keeper(area, base, head, notes=list(self.policy.notes))

    @cached_property
    def checked(self) -> Snapshot:
        """The head as lint and types look at it."""
        return as_checked(self.base, self.head, self.policy.may_silence(self.head.contents))

    def run(self) -> Evidence:
        self.keeper.findings += inspect_snapshots(self.base, self.head, self.policy)
        self.keeper.notes += self._describe_stack()
        environment = self._prepare()
        lines = changed_lines(self.base, self.head)
        if environment is None:
            return self.keeper.evidence("nothing of the repository's was run", lines)
        self.keeper.tools = tool_versions(environment, self.dod, node="package.json" in self.head.contents)
        tools = tools_of(
            self.area,
            environment.python,
            environment.path,
            reachable=environment.interpreter.reachable,
            is_over=self.options.is_over,
        )
        self._run_everything(environment, tools)
        return self.keeper.evidence(describe_isolation(reachable=tools.reachable), lines)

    def _describe_stack(self) -> list[str]:
        notes = []
        if any(path.endswith(".py") for path in self.head.contents):
            notes.append("stack: Python, tested with pytest")
        elif "package.json" in self.head.contents:
            notes.append("stack: Node, tested with the test script of its package.json")
        else:
            notes.append("stack: none was recognised; criteria that need its tools stay not measured")
        return [*notes, *self.told.notes]

    def _prepare(self) -> Environment | None:
        dependencies, trusted = self._dependencies()
        self.keeper.notes += dependencies.notes
        self.options.progress("preparing the environment")
        started = time.monotonic()
        try:
            return prepare_environment(self.cache_dir, dependencies, trusted=trusted)
        except AicdError as error:
            details = str(error.details.get("log", ""))
            self.keeper.keep_failed_environment(str(error), details, time.monotonic() - started)
            return None

    def _dependencies(self) -> tuple[Dependencies, bool]:
        """The base's dependencies, unless it has none or its maintainers let a change bring its own."""
        of_base = read_dependencies(self.base.contents)
        if of_base.files and not self.policy.dependencies_allowed:
            return of_base, True
        return read_dependencies(self.head.contents), False

    def _run_everything(self, environment: Environment, tools: Tools) -> None:
        plugins = read_dependencies(self.base.contents).distributions or self._dependencies()[0].distributions
        laid_over = base_order(self.base, self.head, plugins, self._rewritable())
        candidates = (laid_over, change_order(self.base, self.head, plugins), collect_order(self.base, plugins))
        everything = [order for order in candidates if order is not None]
        orders = without_e2e(everything, self.e2e)
        laid_over = next((order for order in orders if order.purpose == "base-tests"), None)
        checks = planned_checks(self.dod, self.checked, environment, self.told)
        self.options.progress(_announcement(orders, checks))
        special = find_special_cases(self.base, self.head) if laid_over else {}
        with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as pool:
            tests = [pool.submit(self._pytest, tools, order.purpose, order) for order in orders]
            others = [pool.submit(self._check, tools, number, check) for number, check in enumerate(checks)]
            runs: Runs = {
                order.purpose: self._settled(tools, order, future.result())
                for order, future in zip(orders, tests, strict=True)
            }
            before = pool.submit(self._run_base_itself, tools, plugins, runs, special)
            probed = pool.submit(self._probe, tools, laid_over, plugins, runs)
            coverage = pool.submit(self._measure, tools, list(runs.values()))
            for check, other in zip(checks, others, strict=True):
                self.keeper.keep_check(check, *other.result())
            self.keeper.keep_pytest(runs)
            measured = coverage.result()
            if measured is not None:
                self.keeper.keep_coverage(measured)
            examples = self._examples(tools, laid_over)
            found = inspect_runs(self.base, self.head, runs, before.result(), probed.result(), special, examples)
        self.keeper.findings += [self.policy.apply(finding) for finding in found]
        self._mutate(tools, orders, runs)
        measure_product(self._bench(environment, tools), only_e2e(everything, self.e2e))

    def _bench(self, environment: Environment, tools: Tools) -> Bench:
        return Bench(
            base=self.base,
            head=self.head,
            dod=self.dod,
            told=self.told,
            area=self.area,
            keeper=self.keeper,
            environment=environment,
            tools=tools,
            cache_dir=self.cache_dir,
            network=self.options.network,
            deadline=self.deadline,
            say=self.options.progress,
        )

    def _rewritable(self) -> frozenset[str]:
        paths = self.base.test_paths | self.head.test_paths
        return frozenset(path for path in paths if self.policy.may_rewrite(path))

    def _pytest(self, tools: Tools, name: str, order: PytestOrder) -> PytestRun:
        """Run an order, in as many cells as the project asks for."""
        parts = split_order(order, self.told.shards)

        def run(number: int) -> PytestRun:
            cell_name = name if len(parts) == 1 else f"{name}-{number + 1}"
            return self._in_cell(
                tools, cell_name, lambda cell: run_pytest(parts[number], cell, self.area.inside, self._left())
            )

        with ThreadPoolExecutor(max_workers=max(1, min(len(parts), os.cpu_count() or 1))) as pool:
            return merge_runs(list(pool.map(run, range(len(parts)))))

    def _settled(self, tools: Tools, order: PytestOrder, run: PytestRun) -> PytestRun:
        settled, note = settle(order, run, lambda name, again: self._pytest(tools, name, again))
        self.keeper.notes += [note] if note else []
        return settled

    def _mutate(self, tools: Tools, orders: list[PytestOrder], runs: Runs) -> None:
        """After everything else: mutants are timed by the plain runs, and want the machine for themselves."""
        if self.dod.mutation_min is None:
            return

        def run(name: str, order: PytestOrder, seconds: float) -> PytestRun:
            return self._in_cell(
                tools, name, lambda cell: run_pytest(order, cell, self.area.inside, min(seconds, self._left()))
            )

        self.options.progress("running mutants of the changed lines")
        lines, report = changed_lines(self.base, self.head), self.area.reports / "mutation.json"
        found = measure_mutants(self.base, self.head, lines, orders, runs, run, report, self._left())
        self.keeper.mutation = found
        drawn = f"{found.total} of {found.possible} possible ones, drawn with seed {found.seed}"
        self.keeper.notes.append(f"mutants: {found.reason or drawn}")

    def _check(self, tools: Tools, number: int, check: Check) -> tuple[Outcome, Path | None]:
        if check.purpose in OWN:
            snapshot, altered = with_base_scripts(self.base, self.head, check.command[-1])
            if altered:
                named = ", ".join(altered)
                self.keeper.notes.append(f"{check.id}: run with the base's {named}, which the change alters")
        else:
            snapshot = self.checked

        def run(cell: Cell) -> tuple[Outcome, Path | None]:
            outcome = run_check(check, snapshot, cell, min(self._left(), LONGEST_CHECK_SECONDS))
            return outcome, keep_report(check, outcome, cell.tree, self.area.reports)

        return self._in_cell(tools, f"check-{number}", run)

    def _in_cell(self, tools: Tools, name: str, work: Callable[[Cell], Result]) -> Result:
        with open_cell(self.area.cells / name, tools, network=self.options.network) as cell:
            return work(cell)

    def _run_base_itself(
        self, tools: Tools, plugins: tuple[str, ...], runs: Runs, special: dict[str, SpecialCase]
    ) -> PytestRun | None:
        """Run the base's tests on the base, if the change's outcome gives a reason to compare."""
        laid_over = runs.get("base-tests")
        order = collect_order(self.base, plugins, run=True)
        if laid_over is None or order is None:
            return None
        doubtful = laid_over.recorded.ids("failed", "error", "skipped", "xfailed") | special.keys()
        if not doubtful and not laid_over.recorded.tampered:
            return None
        # Without parameters, which the code may choose: the functions stand in the base in any case.
        nodes = tuple(sorted({node.partition("[")[0] for node in doubtful}))
        few = nodes if len(nodes) <= MOST_NAMED_TESTS and not laid_over.recorded.tampered else ()
        left_out = tuple(sorted(self.e2e))
        return self._pytest(tools, "base-itself", replace(order, paths=few, left_out=left_out))

    def _probe(self, tools: Tools, laid_over: PytestOrder | None, plugins: tuple[str, ...], runs: Runs) -> Probed:
        """What shows only when the code is kept from seeing that it is tested."""
        if laid_over is None or not self._touches_source():
            return Probed()
        if runs["base-tests"].outcome.duration_seconds > LONGEST_PROBED_SECONDS:
            self.keeper.notes.append("the suite is too slow to be run again with probes of its comparisons")
            return Probed()
        return probe_tests(
            laid_over, runs["base-tests"], self.base, plugins, lambda name, order: self._pytest(tools, name, order)
        )

    def _examples(self, tools: Tools, laid_over: PytestOrder | None) -> PytestRun | None:
        order = doctest_order(laid_over, self.base) if laid_over else None
        return self._pytest(tools, "doctests", order) if order else None

    def _touches_source(self) -> bool:
        paths = {path for path in self.head.contents if is_source(path)}
        return any(self.base.contents.get(path) != self.head.contents[path] for path in paths)

    def _measure(self, tools: Tools, runs: list[PytestRun]) -> LineCoverage | None:
        executed = [run.recorded.executed for run in runs if run.purpose != "collect"]
        if not executed:
            return None
        script = self.area.inside / "lines.py"
        return self._in_cell(tools, "lines", lambda cell: measure_lines(self.base, self.head, executed, cell, script))

    def _left(self) -> float:
        return self.deadline - time.monotonic()


def _announcement(orders: list[PytestOrder], checks: tuple[Check, ...]) -> str:
    names = [order.purpose for order in orders] + [check.id for check in checks]
    return "running " + ", ".join(names) if names else "there is nothing to run: no tests were found"
