"""A suite in several processes says what it says in one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from action.verify.options import VerifyOptions
from action.verify.verify import verify_change
from controlplane.change import Change
from controlplane.dod import DefinitionOfDone
from controlplane.evidence import Evidence
from tests.acceptance.verify_packages import CALC, make_repository

pytestmark = pytest.mark.acceptance
MORE = {
    "tests/test_more.py": "from calc import double\n\n\ndef test_zero():\n    assert double(0) == 0\n",
    "tests/test_skipped.py": "import pytest\n\n\n@pytest.mark.skip\ndef test_later():\n    assert False\n",
    "tests/test_broken.py": "import nothing_of_that_name\n",
}


def test_three_processes_tell_what_one_tells(tmp_path: Path) -> None:
    one, three = (verified(tmp_path / str(shards), shards) for shards in (1, 3))
    assert outcomes(one) == outcomes(three)
    assert sorted(outcomes(one).values()) == ["error", "passed", "passed", "passed", "skipped"]
    assert coverage(one) == coverage(three)
    assert [(one.kind, one.node_ids) for one in one.integrity or ()] == [
        (one.kind, one.node_ids) for one in three.integrity or ()
    ]


def verified(folder: Path, shards: int) -> Evidence:
    folder.mkdir()
    files = {**CALC.files, **MORE, ".aicd.yml": f"tests:\n  shards: {shards}\n"}
    repository = make_repository(folder / "repository", replace(CALC, files=files), {CALC.source: CALC.fixed})
    options = VerifyOptions(work_dir=folder / "work")
    return verify_change(Change(repository=repository, base="main~1", head="main"), DefinitionOfDone(), options)


def outcomes(evidence: Evidence) -> dict[str, str]:
    return {case.node_id: case.outcome for file in evidence.files for case in file.cases}


def coverage(evidence: Evidence) -> list[object]:
    return [file.coverage for file in evidence.files if file.coverage is not None]
