"""NUnit's XML, versions 2 and 3 (docs.nunit.org: test result XML format)."""

from __future__ import annotations

from action.evidence.attributed_cases import AttributedCasesReader, Attributes, Dialect
from action.evidence.figures import parse_seconds
from action.evidence.limits import Allowance
from controlplane.evidence import Outcome

# `Inconclusive` and `Warning` are neither a pass nor a failure: nothing was shown.
_OUTCOMES: dict[str, Outcome] = {
    **dict.fromkeys(("passed", "success"), "passed"),
    **dict.fromkeys(("failed", "failure", "failed:invalid", "notrunnable", "invalid"), "failed"),
    **dict.fromkeys(("failed:error", "failed:cancelled", "error", "cancelled"), "error"),
    **dict.fromkeys(("skipped", "ignored", "inconclusive", "warning"), "skipped"),
}


def is_nunit(root: str, attributes: Attributes) -> bool:
    return root == "test-run" or (root == "test-results" and "total" in attributes)


def read_nunit(allowance: Allowance) -> AttributedCasesReader:
    return AttributedCasesReader(allowance, _DIALECT)


def _word(attributes: Attributes) -> str:
    """Version 3 tells an error from a failure by a label; version 2 may say only whether a case was executed."""
    result = attributes.get("result", "")
    if not result and attributes.get("executed", "").lower() == "false":
        return "skipped"
    label = attributes.get("label", "")
    return f"{result}:{label}" if result.lower() == "failed" and f"failed:{label.lower()}" in _OUTCOMES else result


def _name(attributes: Attributes) -> str:
    return attributes.get("fullname") or attributes.get("name", "")


def _seconds(attributes: Attributes) -> float | None:
    return parse_seconds(attributes.get("duration") or attributes.get("time"))


# Version 2 leaves the cases not run out of its total, so only version 3's is compared.
_DIALECT = Dialect(
    "nunit", frozenset(("test-case",)), _word, _OUTCOMES, _name, _seconds, totals=("test-run", "testcasecount")
)
