"""A report with everything in it, for the forms it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from controlplane.dod import DefinitionOfDone
from controlplane.evidence import TestCase, TestTotals
from controlplane.plan import AcceptanceLine, Sprint, Story
from controlplane.report import Attempted, ChangedFile, CoveredFile, Measures, Report
from controlplane.verdict import Criterion, Verdict

RUN_ID = "3f2b1c4d-0000-4000-8000-000000000001"
STORY = Story(
    id="US1", as_a="user", want="subtract", so_that="I can", acceptance=(AcceptanceLine(id="US1.1", text="2-1 is 1"),)
)

MakeReport = Callable[..., Report]


@pytest.fixture
def make_report() -> MakeReport:
    def make(*, passed: bool = True, **changes: Any) -> Report:
        criteria = (
            Criterion(id="unit_pass", required=True, actual=True, status="passed", reason="2 of 2 tests passed."),
            Criterion(
                id="coverage_min", required=0.9, actual=1.0 if passed else 0.5,
                status="passed" if passed else "failed", reason="2 of 4 lines are covered.",
                evidence=("calc/sub.py: lines 3, 5",),
            ),
        )  # fmt: skip
        told: dict[str, Any] = {
            "title": "Calculator",
            "repository": "acme/calc",
            "branch": "aicd/1d1db670/S1",
            "base": "a" * 40,
            "target": "main",
            "commit": "b" * 40,
            "run_id": RUN_ID,
            "spec_id": "1d1db670-1391-55df-9153-189047dab2d1",
            "spec_sha256": "c" * 64,
            "sprint": Sprint(label="S1", goals=("Subtract",), stories=(STORY,), dod=DefinitionOfDone(coverage_min=0.9)),
            "verdict": Verdict(criteria=criteria, tests=TestTotals(total=2, passed=2), coverage=1.0 if passed else 0.5),
            "cases": (TestCase(node_id="tests/test_sub.py::test_us1_1_sub", outcome="passed", duration_seconds=0.1),),
            "covered": (CoveredFile(path="calc/sub.py", covered=2, total=4, missing=(3, 5)),),
            "files": (ChangedFile(path="calc/sub.py", added=5, removed=0),),
            "attempts": (Attempted(number=1, ending="done", verdict="FAILED", failing=("coverage_min",)),),
            "agent": "command",
            "duration_seconds": 61.2,
            "measures": Measures(python_passed=2, python_failed=0, coverage=1.0),
        }
        return Report.model_validate({**told, **changes})

    return make
