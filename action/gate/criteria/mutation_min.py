"""mutation_min: of small faults put into the changed lines, the share that a test noticed."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from action.gate.criteria.coverage_min import exact
from action.gate.facts import Facts
from action.gate.rule import Finding, Rule, asked, failed, not_measured, passed


def _judge(required: Any, facts: Facts) -> Finding:
    found = facts.evidence.mutation
    if found is None:
        return not_measured(
            f"No mutants were run: reports alone cannot show it. {facts.looked()} Fix: use aicd verify."
        )
    if found.reason:
        return not_measured(
            f"No share of killed mutants is known: {found.reason}. Fix that, or leave mutation_min out.",
            evidence=found.survivors,
        )
    if not found.total:
        return passed("The change touches no line that a mutant could be made of.", actual=None)
    share = Fraction(found.killed, found.total)
    told = f"{found.killed} of {found.total} mutants of the changed lines were killed (seed {found.seed})"
    if share >= exact(required):
        return passed(f"{told}.", actual=round(float(share), 6), evidence=(found.report, *found.survivors))
    return failed(
        f"{told}, {float(exact(required)):g} is required. Fix: test what the surviving ones change, named below.",
        actual=round(float(share), 6),
        evidence=(*found.survivors, found.report),
    )


RULE = Rule("mutation_min", "Enough mutants of the changed lines are killed.", asked("mutation_min"), _judge)
