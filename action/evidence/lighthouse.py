"""Lighthouse's JSON report, majors 5 to 13: `categories.NAME.score`, 0 to 1, or null where it could not be measured.

A score is held against its own audits: a category is the weighted mean of those audits that have a weight
(Lighthouse: core/scoring.js), and where the report carries all of them, the recount decides.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from action.evidence.figures import plain_number
from action.evidence.limits import Allowance, UnreadableReport
from action.evidence.wording import Problems, one_line
from controlplane.evidence import EvidenceFile

_ROUNDING = 0.0151  # two digits, and a category's own rounding of each audit
_UNWEIGHTED = ("notApplicable", "informative", "manual")


def is_lighthouse(document: Any) -> bool:
    return isinstance(document, dict) and "lighthouseVersion" in document


def read_lighthouse(document: Any, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    categories = document.get("categories")
    if not isinstance(categories, dict):
        raise UnreadableReport("it has no `categories`")
    problems = Problems()
    error = document.get("runtimeError")
    broken = isinstance(error, dict) and error.get("code") not in (None, "NO_ERROR")
    if broken:
        problems.add(f"Lighthouse itself failed: {one_line(str(error.get('code')), 80)}")
    audits = document.get("audits")
    scores = {
        one_line(str(name), 80): None if broken else _score(name, category, audits, problems)
        for name, category in categories.items()
    }
    if not scores:
        problems.add("there is no category in it")
    return EvidenceFile(path=path, kind="lighthouse", lighthouse=scores, problems=problems.told(), tool="lighthouse")


def _score(name: str, category: Any, audits: Any, problems: Problems) -> float | None:
    written = category.get("score") if isinstance(category, dict) else None
    if written is None:
        problems.add(f"{name} was not measured")
        return None
    score = plain_number(written)
    if score is None or not 0 <= score <= 1:
        problems.add(f"{name}: the score {one_line(repr(written), 40)} is no figure from 0 to 1")
        return None
    recounted = _recount(category.get("auditRefs"), audits)
    if recounted is None or abs(recounted - score) <= _ROUNDING:
        return score
    problems.add(f"{name}: the score says {score}, its audits say {recounted:.2f}, which holds")
    return round(recounted, 2)


def _recount(references: Any, audits: Any) -> float | None:
    """The weighted mean, or None where the report does not carry what it takes."""
    if not isinstance(references, list) or not isinstance(audits, dict):
        return None
    total = weights = Fraction(0)
    for reference in references:
        audit = audits.get(str(reference.get("id"))) if isinstance(reference, dict) else None
        weight = plain_number(reference.get("weight")) if isinstance(reference, dict) else None
        if not isinstance(audit, dict) or weight is None or weight < 0:
            return None
        if weight == 0 or audit.get("scoreDisplayMode") in _UNWEIGHTED:
            continue
        score = plain_number(audit.get("score"))
        if score is None or not 0 <= score <= 1:
            return None
        total += Fraction(score) * Fraction(weight)
        weights += Fraction(weight)
    return float(total / weights) if weights else None
