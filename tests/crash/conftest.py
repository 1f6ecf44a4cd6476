"""One world for each worker, and a line of figures for each test at the end of the run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.children import Nursery
from tests.crash.world import World, running_world

# `make chaos` asks for every step and for long loads; the suite for as much as fits in a minute and a half.
CHAOS = os.environ.get("AICD_CHAOS") == "1"


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    # Not below pytest's own folder: the database and the sandbox run as other users.
    folder = Path(tempfile.mkdtemp(prefix="aicd-crash-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        with running_world(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def nursery(world: World) -> Iterator[Nursery]:
    with Nursery(world) as running:
        yield running


@pytest.fixture
def clean(world: World) -> World:
    world.clear()
    return world


@pytest.fixture
def chaos() -> bool:
    return CHAOS


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Print a figure: it is shown at the end of the run, whatever pytest captured."""
    return lambda figure: record_property("figure", figure)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    figures = [
        f"{report.nodeid.split('::', 1)[-1]}: {value}"
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == "figure"
    ]
    if figures:
        terminalreporter.section("crash safety: figures")
        for figure in figures:
            terminalreporter.write_line(figure)
