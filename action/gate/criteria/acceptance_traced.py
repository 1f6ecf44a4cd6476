"""acceptance_traced: each acceptance line of the plan is proven by at least one passing test that names its id.

`US1.2` is named by `test_us1_2_rejects_empty`, `TestUS1.2`, `[US1.2] rejects …`; not by `us1_21` or `bus1_2`.
"""

from __future__ import annotations

import re
from typing import Any

from action.gate.criteria.tests_min import no_test_report
from action.gate.facts import Facts
from action.gate.rule import Finding, Rule, asked_true, failed, not_measured, passed
from controlplane.evidence import TestCase
from controlplane.plan import AcceptanceLine


def _judge(_required: Any, facts: Facts) -> Finding:
    if facts.plan is None:
        return not_measured(
            "No plan was given, so its acceptance lines are unknown. Fix: judge with the specification."
        )
    lines = [line for sprint in facts.plan.sprints for story in sprint.stories for line in story.acceptance]
    if not lines:
        return not_measured("The plan has no acceptance line to trace. Fix: write `acceptance` for its stories.")
    missing = no_test_report(facts)
    if missing is not None:
        return missing
    traces = [(line, _proof(line, facts.cases)) for line in lines]
    unproven = [line.id for line, proof in traces if proof is None]
    evidence = tuple(f"{line.id}: {proof or 'no passing test names it'}" for line, proof in traces)
    if unproven:
        return failed(
            f"{len(unproven)} of {len(lines)} acceptance lines are not proven: {', '.join(unproven[:20])}. "
            f"Fix: name the id in a test that passes (test_{re.sub('[^a-z0-9]+', '_', unproven[0].lower())}_…).",
            actual=False,
            evidence=sorted(evidence, key=lambda text: not text.endswith("no passing test names it")),
        )
    return passed(f"All {len(lines)} acceptance lines are proven by a passing test.", actual=True, evidence=evidence)


def _proof(line: AcceptanceLine, cases: tuple[TestCase, ...]) -> str | None:
    pattern = naming(line.id)
    return next((case.node_id for case in cases if case.outcome == "passed" and pattern.search(case.node_id)), None)


def naming(line_id: str) -> re.Pattern[str]:
    """Matches names that hold the id as a word of its own, with any separators for its own."""
    parts = [re.escape(part) for part in re.split(r"[^A-Za-z0-9]+", line_id) if part]
    return re.compile(r"(?<![^\W_])" + r"[\W_]".join(parts) + r"(?![^\W_])", re.IGNORECASE)


RULE = Rule(
    "acceptance_traced", "Each acceptance line is proven by a test naming it.", asked_true("acceptance_traced"), _judge
)
