"""Keys that no criterion answers for: never measured, so that a misspelt one can never make a verdict greener."""

from __future__ import annotations

import difflib
from typing import Any

from action.gate.facts import Facts
from action.gate.rule import Finding, Rule, not_measured
from controlplane.dod import DefinitionOfDone


def unknown_rules(dod: DefinitionOfDone) -> tuple[Rule, ...]:
    return tuple(_rule(key, (dod.model_extra or {})[key]) for key in dod.unknown_keys())


def _rule(key: str, value: Any) -> Rule:
    def required(_dod: DefinitionOfDone, _facts: Facts) -> Any:
        return "null" if value is None else value

    def judge(_required: Any, _facts: Facts) -> Finding:
        alike = difflib.get_close_matches(key[:100], DefinitionOfDone.model_fields, 1)
        fix = f"did you mean {alike[0]}?" if alike else "take it out of the Definition of Done."
        return not_measured(f"No criterion is called this, so nothing was measured. Fix: {fix}")

    return Rule(key, "A key that no criterion answers for.", required, judge)
