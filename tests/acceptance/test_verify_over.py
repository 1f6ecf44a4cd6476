"""A measurement that nobody waits for any more ends soon, whatever the tests of the change would do."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from action.verify.options import VerifyOptions
from action.verify.verify import verify_change
from controlplane.change import Change
from controlplane.dod import DefinitionOfDone
from tests.acceptance.verify_packages import CALC, make_repository

pytestmark = pytest.mark.acceptance
ENDLESS = {"tests/test_endless.py": "import time\n\n\ndef test_endless():\n    time.sleep(600)\n"}


def test_verification_that_is_over_stops_the_tests_that_run(tmp_path: Path) -> None:
    files = {**CALC.files, **ENDLESS}
    repository = make_repository(tmp_path / "repository", replace(CALC, files=files), {CALC.source: CALC.fixed})
    over = threading.Event()
    runs: list[str] = []

    def watch(line: str) -> None:
        runs.append(line)
        if len(runs) == 3:  # reading, preparing, running
            threading.Timer(3.0, over.set).start()

    options = VerifyOptions(work_dir=tmp_path / "work", timeout_seconds=300, progress=watch, is_over=over.is_set)
    change = Change(repository=repository, base="main~1", head="main")
    began = time.monotonic()
    verify_change(change, DefinitionOfDone(), options)
    assert over.is_set()
    assert time.monotonic() - began < 120
