"""The verdict: each criterion, what was required, what is so, and why. Same evidence, same verdict, byte for byte."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import computed_field

from controlplane.evidence import TestTotals
from controlplane.noun import Noun
from controlplane.states import Result

Status = Literal["passed", "failed", "not_measured"]


class Criterion(Noun):
    """One line of the verdict. `evidence` names the reports and findings it rests on, as text."""

    id: str
    required: Any
    actual: Any = None
    status: Status
    reason: str
    evidence: tuple[str, ...] = ()


class Verdict(Noun):
    """PASSED only if there is a criterion and every one passed. Serialised, it is what `gate --json` prints."""

    criteria: tuple[Criterion, ...]
    tests: TestTotals = TestTotals()
    coverage: float | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def result(self) -> Result:
        met = bool(self.criteria) and all(criterion.status == "passed" for criterion in self.criteria)
        return Result.PASSED if met else Result.FAILED

    def failing(self) -> tuple[Criterion, ...]:
        return tuple(criterion for criterion in self.criteria if criterion.status != "passed")

    def as_json(self) -> dict[str, Any]:
        """The contract's shape, `result` first."""
        data = self.model_dump(mode="json")
        return {"result": data.pop("result"), **data}
