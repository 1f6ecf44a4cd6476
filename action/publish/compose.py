"""From what the verbs left in the run folder to one Report."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from action.gate.criteria.diff_coverage_min import count_changed_lines
from action.gate.facts import Facts
from action.gitrepo.git import names
from action.publish.annotations import annotate
from action.run import BuildOutcome, Failure, Run
from controlplane.change import Change
from controlplane.evidence import Evidence, EvidenceFile, TestCase
from controlplane.plan import Sprint
from controlplane.report import Attempted, ChangedFile, CoveredFile, Earlier, Failing, Measures, Report, Spot
from controlplane.verdict import Verdict

MAX_LISTED = 2000
BROKEN = ("failed", "error")
# What is weaker than a token for one half of one run, as docs/tokens.md has it.
TOKEN_REACHES = {
    "both": "a token for both halves of this run, since the job has no environment: reduced",
    "project": "a long-lived token for every run of the project, not one for this run: reduced",
}
SHARED_RUNNER = "the jobs that build, measure and publish met on one persistent runner: reduced"


def compose_report(
    run: Run,
    sprint: Sprint,
    *,
    change: Change | None,
    outcome: BuildOutcome | None,
    evidence: Evidence | None,
    verdict: Verdict | None,
    failure: Failure | None,
    ended_at: datetime.datetime,
    earlier: Earlier | None = None,
    cost_usd: float | None = None,
) -> Report:
    """Everything that is known; what is not stays empty. `cost_usd` is the whole run's, planning included."""
    seen = evidence or Evidence()
    covered, uncovered = count_changed_lines(seen.changed_lines or {}, Facts(seen))
    changed_total = covered + sum(len(lines) for _, lines in uncovered)
    is_known = seen.changed_lines is not None and changed_total > 0
    return Report(
        title=run.title or sprint.label,
        repository=run.repository,
        branch=run.branch,
        base=run.base,
        target=run.target,
        commit=change.head if change else "",
        run_id=run.run_id,
        spec_id=run.spec_id,
        spec_sha256=run.spec_sha256,
        sprint=sprint,
        verdict=verdict,
        failing=Failing.model_validate(failure.model_dump()) if failure else None,
        cases=_cases(seen),
        covered=_covered(seen),
        files=_changed(change) if change else (),
        attempts=_attempts(outcome) if outcome else (),
        agent=outcome.agent if outcome else "",
        ended=outcome.reason if outcome else "",
        isolation=_isolation(run, outcome, seen),
        cost_usd=cost_usd,
        started_at=run.started_at,
        duration_seconds=_seconds_between(run.started_at, ended_at),
        ci_url=run.ci_url,
        notes=(*(outcome.notes if outcome else ()), *seen.notes),
        measures=measure(seen, verdict),
        spots=_spots(seen, verdict) if verdict else (),
        changed_covered=covered if is_known else None,
        changed_total=changed_total if is_known else None,
        earlier=earlier,
    )


def measure(evidence: Evidence, verdict: Verdict | None) -> Measures:
    """Counts by kind of test; a kind without a readable report stays unmeasured."""
    facts = Facts(evidence)
    scores = [file.lighthouse.get("performance") for file in evidence.files if file.lighthouse]
    known = [score for score in scores if score is not None]
    return Measures(
        python_passed=_count(facts.unit, ("passed",)),
        python_failed=_count(facts.unit, BROKEN),
        e2e_passed=_count(facts.e2e, ("passed",)),
        e2e_failed=_count(facts.e2e, BROKEN),
        coverage=verdict.coverage if verdict else None,
        lighthouse_score=min(known) if known else None,
    )


def _count(files: Sequence[EvidenceFile], outcomes: tuple[str, ...]) -> int | None:
    """Tests are counted once, though the base's and the change's runs may both hold them: the worse outcome counts."""
    if not files:
        return None
    worst: dict[str, bool] = {}
    anonymous = 0
    for file in files:
        if file.tests is not None and not file.cases:
            passed = file.tests.passed
            anonymous += passed if outcomes == ("passed",) else file.tests.failed + file.tests.errors
        for case in file.cases:
            if case.outcome in ("passed", *BROKEN):
                worst[case.node_id] = worst.get(case.node_id, False) or case.outcome in BROKEN
    return anonymous + sum(broken is (outcomes == BROKEN) for broken in worst.values())


def _cases(evidence: Evidence) -> tuple[TestCase, ...]:
    """Failing tests first, then by name; at most MAX_LISTED."""
    everything = [case for file in evidence.files for case in file.cases]
    ordered = sorted(everything, key=lambda case: (case.outcome not in BROKEN, case.outcome == "passed", case.node_id))
    return tuple(ordered[:MAX_LISTED])


def _covered(evidence: Evidence) -> tuple[CoveredFile, ...]:
    lines: dict[str, tuple[frozenset[int], frozenset[int]]] = {}
    for file in evidence.files:
        for one in file.lines:
            covered, missing = lines.get(one.path, (frozenset(), frozenset()))
            covered |= one.covered
            lines[one.path] = covered, (missing | one.missing) - covered
    found = [
        CoveredFile(path=path, covered=len(covered), total=len(covered) + len(missing), missing=tuple(sorted(missing)))
        for path, (covered, missing) in lines.items()
    ]
    return tuple(sorted(found, key=lambda one: (one.ratio if one.ratio is not None else 1.0, one.path))[:MAX_LISTED])


def _spots(evidence: Evidence, verdict: Verdict) -> tuple[Spot, ...]:
    """What there is to look at on single lines, of which the report shows the first."""
    changed = evidence.changed_lines or {}
    return tuple(
        Spot(
            level=one.level,
            rule=one.rule,
            title=one.title,
            message=one.message,
            path=one.path,
            # A finding of integrity names a file, and a test that is gone has no line any more.
            line=0 if one.rule == "integrity" else one.line,
            end_line=one.end_line,
            in_diff=one.line in changed.get(one.path, ()),
        )
        for one in annotate(evidence, verdict, every_gap=True)
        if one.path
    )


def _changed(change: Change) -> tuple[ChangedFile, ...]:
    asked = ("diff", "--numstat", "--no-renames", "-z", change.base, change.head)
    entries = [entry.split("\t", 2) for entry in names(change.repository, *asked)]
    return tuple(
        ChangedFile(path=path, added=None if plus == "-" else int(plus), removed=None if minus == "-" else int(minus))
        for plus, minus, path in entries[:MAX_LISTED]
    )


def _attempts(outcome: BuildOutcome) -> tuple[Attempted, ...]:
    return tuple(
        Attempted(
            number=one.number,
            ending=one.attempt,
            verdict=one.verdict,
            failing=one.failing,
            reason=one.reason,
            duration_seconds=one.duration_seconds,
            cost_usd=one.cost_usd,
        )
        for one in outcome.iterations
    )


def _isolation(run: Run, outcome: BuildOutcome | None, evidence: Evidence) -> tuple[str, ...]:
    said = [
        ("Agent", outcome.isolation if outcome else ""),
        ("Tests", evidence.isolation),
        ("Runner", SHARED_RUNNER if run.shared_runner else ""),
        ("Control plane", TOKEN_REACHES.get(run.token_scope, "")),
    ]
    return tuple(f"{who}: {what}" for who, what in said if what)


def _seconds_between(started_at: str, ended_at: datetime.datetime) -> float:
    try:
        began = datetime.datetime.fromisoformat(started_at)
    except ValueError:
        return 0.0
    return round(max(0.0, (ended_at - began).total_seconds()), 3)
