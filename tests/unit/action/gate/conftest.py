"""Evidence made by hand: what a criterion sees is written out in the test that needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from action.gate import judge
from controlplane.dod import DefinitionOfDone
from controlplane.evidence import (
    CoverageTotals,
    Evidence,
    EvidenceFile,
    FileCoverage,
    Kind,
    TestCase,
    TestTotals,
)
from controlplane.verdict import Criterion


def junit(*outcomes: str, path: str = "junit.xml", group: str = "", seconds: float | None = None) -> EvidenceFile:
    cases = tuple(
        TestCase.model_validate(
            {"node_id": f"t{n}", "outcome": outcome, "group": group, "duration_seconds": seconds, "message": ""}
        )
        for n, outcome in enumerate(outcomes)
    )
    return EvidenceFile(path=path, kind="junit", tests=TestTotals.count(cases), cases=cases)


def named_cases(*names: str, outcome: str = "passed") -> EvidenceFile:
    cases = tuple(TestCase.model_validate({"node_id": name, "outcome": outcome}) for name in names)
    return EvidenceFile(path="junit.xml", kind="junit", tests=TestTotals.count(cases), cases=cases)


def coverage(path: str = "coverage.xml", **files: tuple[set[int], set[int]]) -> EvidenceFile:
    """`a_py=({1}, {2})` is the file `a.py` with line 1 covered and line 2 missing; `__` is a slash."""
    lines = tuple(
        FileCoverage(
            path=name.replace("__", "/").replace("_py", ".py"), covered=frozenset(hit), missing=frozenset(missed)
        )
        for name, (hit, missed) in files.items()
    )
    covered = sum(len(file.covered) for file in lines)
    total = covered + sum(len(file.missing) for file in lines)
    return EvidenceFile(path=path, kind="coverage", coverage=CoverageTotals(covered=covered, total=total), lines=lines)


def lint(tool: str, issues: int, path: str = "lint.txt") -> EvidenceFile:
    findings = tuple(f"a.py:{n}: x" for n in range(issues))
    return EvidenceFile(path=path, kind="lint", tool=tool, issues=issues, findings=findings)


def unreadable(*kinds: Kind, path: str = "broken") -> EvidenceFile:
    return EvidenceFile(path=path, kind="unknown", problems=("it is cut off",), could_be=kinds)


Judge = Callable[..., Criterion]


@pytest.fixture
def criterion() -> Judge:
    """`criterion(key, value, *files, **evidence)` → that criterion of the verdict."""

    def judge_one(key: str, value: Any, *files: EvidenceFile, plan: Any = None, **rest: Any) -> Criterion:
        dod = DefinitionOfDone.model_validate({"unit_pass": False, key: value})
        verdict = judge(dod, Evidence(files=files, looked_in=("reports",), **rest), plan)
        assert len(verdict.criteria) == 1
        return verdict.criteria[0]

    return judge_one
