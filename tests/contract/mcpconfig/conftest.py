"""A sandbox to ask servers from, and the Archon double as a process of its own, healthy or as fragile as a fresh V1."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from action.build.agents.housing import prepare_tools
from action.build.mcpconfig import McpConfig, ServerState, probe
from action.verify.options import default_cache_dir
from action.verify.sandbox import Cell, open_cell

ROOT = Path(__file__).parents[3]
Probe = Callable[[McpConfig], tuple[ServerState, ...]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the sandbox's user can come to and write, as into the repository that the agent works in."""
    made = Path(tempfile.mkdtemp(prefix="aicd-test-", dir="/var/tmp"))
    made.chmod(0o777)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def cell(folder: Path) -> Iterator[Cell]:
    tools, _ = prepare_tools(folder / "scratch", [], default_cache_dir())
    with open_cell(folder / "cell", tools, roomy=True) as opened:
        yield opened


@pytest.fixture
def probed(cell: Cell, folder: Path) -> Probe:
    return lambda config: probe(config, cell, folder)


@contextmanager
def running_archon(*, fragile: bool) -> Iterator[str]:
    """Its address, without the path."""
    variables = {"AICD_ARCHON_DOUBLE_PORT": "0", "AICD_ARCHON_DOUBLE_FRAGILE": "true" if fragile else "false"}
    process = subprocess.Popen(
        [sys.executable, "-m", "local.doubles.archon"],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["ready"]["url"]
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


@pytest.fixture(scope="module")
def archon() -> Iterator[str]:
    with running_archon(fragile=False) as url:
        yield url


@pytest.fixture
def fragile_archon() -> Iterator[str]:
    with running_archon(fragile=True) as url:
        yield url
