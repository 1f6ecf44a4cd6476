"""End-to-end tests in Python: which modules they are, and their run with a browser against the running app."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from action.verify.bench import Bench
from action.verify.browser import NO_BROWSER, find_chromium, link_browsers
from action.verify.checkout import Snapshot
from action.verify.dependencies import read_dependencies
from action.verify.orders import test_modules
from action.verify.pytestrun import PytestOrder, run_pytest
from action.verify.salvage import salvage_folder
from action.verify.sandbox import Cell
from controlplane.dod import DefinitionOfDone

FOLDERS = frozenset({"e2e", "end_to_end", "end-to-end", "browser", "playwright"})
MARKED = re.compile(r"^\s*(from|import)\s+playwright\b|\bmark\.e2e\b", re.MULTILINE)
PLAYWRIGHT = ("pytest-playwright", "playwright")
LONGEST_SECONDS = 900.0
NOTHING = (
    "there are no end-to-end tests: none in a folder named e2e, marked e2e, or using Playwright, and no command in "
    "tests.e2e"
)


def has_playwright(base: Snapshot, head: Snapshot) -> bool:
    names = {*read_dependencies(base.contents).distributions, *read_dependencies(head.contents).distributions}
    return not names.isdisjoint(PLAYWRIGHT)


def e2e_modules(base: Snapshot, head: Snapshot, dod: DefinitionOfDone) -> frozenset[str]:
    """Test modules that need a browser or the app, in either tree.

    Only where the project has Playwright or the Definition of Done asks for e2e_pass: otherwise a folder's name takes
    nothing away from the unit tests.
    """
    if dod.e2e_pass is not True and not has_playwright(base, head):
        return frozenset()
    return frozenset(
        path for snapshot in (base, head) for path in test_modules(snapshot) if _is_e2e(path, snapshot.text(path))
    )


def _is_e2e(path: str, text: str) -> bool:
    return not FOLDERS.isdisjoint(PurePosixPath(path).parts[:-1]) or bool(MARKED.search(text))


def without_e2e(orders: Iterable[PytestOrder], modules: frozenset[str]) -> list[PytestOrder]:
    """The orders without these modules; one that named nothing else is dropped."""
    kept = []
    for order in orders:
        paths = tuple(path for path in order.paths if path not in modules)
        if paths or not order.paths:
            kept.append(replace(order, paths=paths, left_out=tuple(sorted(modules))))
    return kept


def only_e2e(orders: Iterable[PytestOrder], modules: frozenset[str]) -> list[PytestOrder]:
    """The same tests of the base and of the change, as end-to-end runs."""
    kept = []
    for order in orders:
        there = modules & order.snapshot.contents.keys()
        paths = there.intersection(order.paths) if order.paths else there
        if paths and order.purpose in ("base-tests", "change-tests"):
            kept.append(replace(order, purpose="e2e", paths=tuple(sorted(paths)), coverage=None))
    return kept


def measure_e2e(bench: Bench, orders: list[PytestOrder]) -> None:
    """Run them against one start of the app. What stands in the way is kept as the run's reason."""
    bench.say("running end-to-end tests")
    chromium = find_chromium()
    if has_playwright(bench.base, bench.head) and chromium is None:
        bench.keeper.keep_unrun("e2e", "pytest", NO_BROWSER)
        return
    with bench.app("e2e") as serving:
        if serving is not None and serving.problem:
            bench.keeper.keep_unrun("e2e", "app", serving.problem)
            return
        for order in orders:
            _run(bench, order, serving.url if serving else "", chromium)


def _run(bench: Bench, order: PytestOrder, url: str, chromium: Path | None) -> None:
    name = f"e2e-{order.group}"
    with bench.cell(name, roomy=True) as cell:
        ready = _with_browser(bench, order, url, chromium, cell)
        run = run_pytest(ready, cell, bench.area.inside, min(bench.left(), LONGEST_SECONDS))
        taken = salvage_folder(_results(cell), bench.area.reports / f"{name}-results")
    bench.keeper.keep_e2e(name, run)
    if taken:
        bench.keeper.notes.append(f"{taken} screenshots and traces of failed tests are kept in {name}-results")


def _with_browser(bench: Bench, order: PytestOrder, url: str, chromium: Path | None, cell: Cell) -> PytestOrder:
    environment = {"BASE_URL": url} if url else {}
    options: tuple[str, ...] = ()
    packages = next((bench.environment.folder / "lib").glob("python3*")) / "site-packages"
    if (packages / "pytest_base_url").is_dir() and url:
        options += ("--base-url", url)
    if (packages / "pytest_playwright").is_dir():
        options += ("--screenshot", "only-on-failure", "--tracing", "retain-on-failure")
        options += ("--output", str(_results(cell)))
    listing = packages / "playwright" / "driver" / "package" / "browsers.json"
    if chromium and listing.is_file():
        environment |= link_browsers(listing, chromium, cell.folder / "browsers")
    return replace(order, options=options, environment=environment)


def _results(cell: Cell) -> Path:
    return cell.home / "e2e-results"
