"""type_check: the type checker's report holds no error and no warning."""

from __future__ import annotations

from typing import Any

from action.gate.criteria.tool_findings import judge_tool
from action.gate.facts import Facts
from action.gate.rule import Finding, Rule, asked_true

_FIX = "Fix: keep the type checker's output (mypy . > mypy.txt) and name it among the reports."


def _judge(_required: Any, facts: Facts) -> Finding:
    return judge_tool("type checker", "types", facts.types, facts, _FIX)


RULE = Rule("type_check", "The type checker finds nothing.", asked_true("type_check"), _judge)
