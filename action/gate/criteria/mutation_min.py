"""mutation_min: no report of mutants is read yet, so what is asked for is never measured, and never passed."""

from __future__ import annotations

from typing import Any

from action.gate.facts import Facts
from action.gate.rule import Finding, Rule, asked, not_measured


def _judge(_required: Any, facts: Facts) -> Finding:
    return not_measured(f"No mutants were run. {facts.looked()} Fix: leave mutation_min out of the Definition of Done.")


RULE = Rule("mutation_min", "Enough mutants of the changed lines are killed.", asked("mutation_min"), _judge)
