"""The Archon double as a process of its own, healthy or as fragile as a fresh V1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


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
