"""The Definition of Done: what must be measured before a change counts as done (design: specification, DoD keys)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictStr, StringConstraints


def _whole(value: Any) -> Any:
    """JSON knows one kind of number: 20.0 is 20."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# Strict, because text that happens to look like a number is a slip that its writer should hear of.
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Score = Annotated[float, Field(ge=0, le=100, strict=True)]
Count = Annotated[int, Field(ge=0, strict=True), BeforeValidator(_whole)]
Seconds = Annotated[float, Field(gt=0, strict=True)]
Severity = Literal["none", "low", "medium", "high", "critical"]
CriterionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class CustomCheck(BaseModel):
    """A command of the project's own; it passes when it exits with 0."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: CriterionId
    run: Annotated[StrictStr, StringConstraints(min_length=1, max_length=4000)]


class DefinitionOfDone(BaseModel):
    """One sprint's criteria. A key that is absent (None) is not asked for.

    Two hold without being written: `unit_pass` always, `integrity` wherever there is a change to look at. Writing
    `false` asks for neither. Unknown keys are kept in `model_extra`; the gate reports each as not measured, so that a
    misspelt criterion can never make a verdict greener.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    coverage_min: Share | None = Field(None, description="Least line coverage of non-test code, 0 to 1.")
    diff_coverage_min: Share | None = Field(None, description="Least line coverage of the changed lines, 0 to 1.")
    unit_pass: StrictBool | None = Field(None, description="Every unit test passes. Holds even when not written.")
    e2e_pass: StrictBool | None = Field(None, description="Every end-to-end test passes.")
    lighthouse_min: Score | None = Field(None, description="Least Lighthouse performance score, 0 to 100.")
    lighthouse: dict[str, Score] | None = Field(None, description="Least Lighthouse score by category, 0 to 100.")
    lint_pass: StrictBool | None = Field(None, description="The linter finds nothing.")
    type_check: StrictBool | None = Field(None, description="The type checker finds nothing.")
    security_max: Severity | None = Field(None, description="Worst severity of a finding that is still accepted.")
    tests_min: Count | None = Field(None, description="Least number of tests that passed.")
    skipped_max: Count | None = Field(None, description="Most tests that may be skipped.")
    duration_max_seconds: Seconds | None = Field(None, description="Longest test run, seconds.")
    acceptance_traced: StrictBool | None = Field(
        None, description="Each acceptance line is proven by a test naming it."
    )
    integrity: StrictBool | None = Field(
        None, description="Nothing that judges was weakened. Default true with a change."
    )
    mutation_min: Share | None = Field(None, description="Least share of mutants of the changed lines killed, 0 to 1.")
    custom: tuple[CustomCheck, ...] = Field((), description="Commands of the project's own.")

    def unknown_keys(self) -> tuple[str, ...]:
        """Keys that were written and that no criterion answers for, sorted."""
        return tuple(sorted(self.model_extra or {}))
