"""lint_pass: the linter's report holds no error and no warning."""

from __future__ import annotations

from typing import Any

from action.gate.criteria.tool_findings import judge_tool
from action.gate.facts import Facts
from action.gate.rule import Finding, Rule, asked_true

_FIX = "Fix: keep the linter's output (ruff check --output-format=json > ruff.json) and name it among the reports."


def _judge(_required: Any, facts: Facts) -> Finding:
    return judge_tool("linter", "lint", facts.lint, facts, _FIX)


RULE = Rule("lint_pass", "The linter finds nothing.", asked_true("lint_pass"), _judge)
