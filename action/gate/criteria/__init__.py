"""The table of criteria, in the order of the Definition of Done. A new one is a new sibling file and one line here."""

from __future__ import annotations

from action.gate.criteria.acceptance_traced import RULE as ACCEPTANCE_TRACED
from action.gate.criteria.coverage_min import RULE as COVERAGE_MIN
from action.gate.criteria.custom import custom_rules
from action.gate.criteria.diff_coverage_min import RULE as DIFF_COVERAGE_MIN
from action.gate.criteria.duration_max_seconds import RULE as DURATION_MAX_SECONDS
from action.gate.criteria.e2e_pass import RULE as E2E_PASS
from action.gate.criteria.integrity import RULE as INTEGRITY
from action.gate.criteria.lighthouse import CATEGORIES as LIGHTHOUSE
from action.gate.criteria.lighthouse import PERFORMANCE as LIGHTHOUSE_MIN
from action.gate.criteria.lint_pass import RULE as LINT_PASS
from action.gate.criteria.mutation_min import RULE as MUTATION_MIN
from action.gate.criteria.security_max import RULE as SECURITY_MAX
from action.gate.criteria.skipped_max import RULE as SKIPPED_MAX
from action.gate.criteria.tests_min import RULE as TESTS_MIN
from action.gate.criteria.type_check import RULE as TYPE_CHECK
from action.gate.criteria.unit_pass import RULE as UNIT_PASS
from action.gate.criteria.unknown import unknown_rules
from action.gate.rule import Rule

RULES: tuple[Rule, ...] = (
    UNIT_PASS,
    COVERAGE_MIN,
    DIFF_COVERAGE_MIN,
    E2E_PASS,
    LIGHTHOUSE_MIN,
    LIGHTHOUSE,
    LINT_PASS,
    TYPE_CHECK,
    SECURITY_MAX,
    TESTS_MIN,
    SKIPPED_MAX,
    DURATION_MAX_SECONDS,
    ACCEPTANCE_TRACED,
    INTEGRITY,
    MUTATION_MIN,
)

__all__ = ["RULES", "custom_rules", "unknown_rules"]
