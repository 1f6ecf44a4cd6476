"""Each criterion that is asked for, in the table's order, judged on the same facts."""

from __future__ import annotations

from action.gate.criteria import RULES, custom_rules, unknown_rules
from action.gate.facts import Facts
from action.gate.rule import Rule
from controlplane.dod import DefinitionOfDone
from controlplane.evidence import Evidence
from controlplane.plan import Plan
from controlplane.verdict import Criterion, Verdict


def judge(dod: DefinitionOfDone, evidence: Evidence, plan: Plan | None = None) -> Verdict:
    """Same evidence, same verdict, byte for byte: no clock, no environment, no order of a set shows in it.

    `plan` is needed by `acceptance_traced` alone. `coverage` of the verdict is the figure that `coverage_min` is held
    against, also where nothing asks for it; None where it was not measured.
    """
    facts = Facts(evidence, plan)
    rules = (*RULES, *custom_rules(dod), *unknown_rules(dod))
    criteria = (_criterion(rule, dod, facts) for rule in rules)
    return Verdict(
        criteria=tuple(criterion for criterion in criteria if criterion is not None),
        tests=facts.totals,
        coverage=facts.coverage.ratio,
    )


def _criterion(rule: Rule, dod: DefinitionOfDone, facts: Facts) -> Criterion | None:
    required = rule.required(dod, facts)
    if required is None:
        return None
    finding = rule.judge(required, facts)
    return Criterion(
        id=rule.id,
        required=required,
        actual=finding.actual,
        status=finding.status,
        reason=finding.reason,
        evidence=finding.evidence,
    )
