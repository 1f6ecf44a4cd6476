"""lighthouse_min and lighthouse: least scores, 0 to 100. Of several reports the worst page counts."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from action.gate.criteria.coverage_min import exact
from action.gate.facts import Facts, named, why_unreadable
from action.gate.rule import Finding, Rule, asked, failed, not_measured, passed
from controlplane.dod import DefinitionOfDone
from controlplane.evidence import EvidenceFile

_FIX = "Fix: run Lighthouse with --output=json and name its report among the reports."


def _reports(facts: Facts) -> tuple[EvidenceFile, ...]:
    return tuple(file for file in facts.files if file.kind == "lighthouse" and file.lighthouse is not None)


def _worst(category: str, reports: tuple[EvidenceFile, ...]) -> Fraction | None:
    """None where any page lacks the score: not measured there is not measured."""
    scores = [(report.lighthouse or {}).get(category) for report in reports]
    known = [exact(score) * 100 for score in scores if score is not None]
    return min(known) if known and len(known) == len(scores) else None


def _show(score: Fraction | None) -> float | int | None:
    if score is None:
        return None
    return int(score) if score.denominator == 1 else float(score)


def _missing(facts: Facts) -> Finding | None:
    unreadable = facts.unreadable("lighthouse")
    if unreadable:
        return not_measured(f"{why_unreadable(unreadable)}. Fix: run Lighthouse again.", evidence=named(unreadable))
    unrun = [run for run in facts.runs("lighthouse") if run.exit_code is None]
    if unrun:
        return not_measured(f"Lighthouse did not run to its end: {unrun[0].reason or 'no reason known'}.")
    if not _reports(facts):
        return not_measured(f"There is no Lighthouse report. {facts.looked()} {_FIX}")
    return None


def _judge_categories(
    required: dict[str, Any], facts: Facts
) -> tuple[dict[str, Fraction | None], list[str], list[str]]:
    """Scores, sentences for those not measured, sentences for those too low."""
    scores = {category: _worst(category, _reports(facts)) for category in sorted(required)}
    unmeasured = [f"{category} was not measured on every page" for category, score in scores.items() if score is None]
    low = [
        f"{category} is {_show(score)}, {required[category]:g} is required"
        for category, score in scores.items()
        if score is not None and score < exact(required[category])
    ]
    return scores, unmeasured, low


def _judge(required: dict[str, Any], facts: Facts) -> Finding:
    missing = _missing(facts)
    if missing is not None:
        return missing
    scores, unmeasured, low = _judge_categories(required, facts)
    actual = {category: _show(score) for category, score in scores.items()}
    evidence = named(_reports(facts))
    if low:
        return failed(
            f"{'; '.join((*low, *unmeasured))}. Fix: see the report's opportunities.", actual=actual, evidence=evidence
        )
    if unmeasured:
        return not_measured(f"{'; '.join(unmeasured)}. {facts.looked()} {_FIX}", evidence=evidence)
    return passed(
        "; ".join(f"{category} is {score}" for category, score in actual.items()) + ".",
        actual=actual,
        evidence=evidence,
    )


def _judge_performance(required: Any, facts: Facts) -> Finding:
    finding = _judge({"performance": required}, facts)
    actual = (finding.actual or {}).get("performance")
    return Finding(finding.status, finding.reason, actual, finding.evidence)


def _required_categories(dod: DefinitionOfDone, _facts: Facts) -> Any:
    return dict(sorted(dod.lighthouse.items())) if dod.lighthouse else None


PERFORMANCE = Rule(
    "lighthouse_min", "Lighthouse's performance score is high enough.", asked("lighthouse_min"), _judge_performance
)
CATEGORIES = Rule("lighthouse", "Lighthouse's scores are high enough.", _required_categories, _judge)
