"""custom: commands of the project's own. The gate starts nothing; it looks for the run that verify recorded."""

from __future__ import annotations

from typing import Any

from action.gate.facts import Facts
from action.gate.rule import Finding, Rule, failed, not_measured, passed
from controlplane.dod import CustomCheck, DefinitionOfDone


def custom_rules(dod: DefinitionOfDone) -> tuple[Rule, ...]:
    """One for each entry, with the id `custom.ID`."""
    return tuple(_rule(check) for check in dod.custom)


def _rule(check: CustomCheck) -> Rule:
    def required(_dod: DefinitionOfDone, _facts: Facts) -> Any:
        return "exit code 0"

    def judge(_required: Any, facts: Facts) -> Finding:
        return _judge(check, facts)

    return Rule(f"custom.{check.id}", "A command of the project's own exits with 0.", required, judge)


def _judge(check: CustomCheck, facts: Facts) -> Finding:
    runs = [run for run in facts.runs("custom") if run.id == check.id]
    unrun = [run for run in runs if run.exit_code is None and not run.timed_out]
    if not runs:
        return not_measured(
            f"The command was not run: reports alone cannot show it. {facts.looked()} Fix: use aicd verify."
        )
    for run in runs:
        if run.timed_out:
            return failed(
                f"It was stopped after {run.duration_seconds:.0f} s. Fix: make it end sooner.",
                actual=None,
                evidence=(run.log,),
            )
        if run.exit_code not in (0, None):
            return failed(
                f"It ended with exit code {run.exit_code}. Fix: see its log.", actual=run.exit_code, evidence=(run.log,)
            )
    if unrun:
        return not_measured(f"It did not run: {unrun[0].reason or 'no reason known'}. Fix that and run it again.")
    return passed("It ended with exit code 0.", actual=0, evidence=tuple(run.log for run in runs if run.log))
