"""gate: hold the evidence against the Definition of Done. By itself it needs no Supabase, no key and no change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice, takewhile
from pathlib import Path, PurePath

from action.context import Context
from action.definition import read_dod
from action.gate.judge import judge
from action.gate.render import verdict_markdown
from action.measure import hold_refusals
from action.publish.annotations import annotate, for_step
from action.run import BuildOutcome, Run
from controlplane.errors import UsageError
from controlplane.evidence import Evidence
from controlplane.plan import Plan, Sprint
from controlplane.states import Phase, Result
from controlplane.verdict import Verdict

MAX_OUTPUT = 400_000
MAX_MATCHES = 10_000


def run(context: Context) -> int:
    """1 for a verdict that says no, except in `deliver`: there publish must still run, and finish decides."""
    context.folder.prepare()
    started = context.folder.load("run", Run)
    evidence, verdict = _judge(context)
    context.folder.save("verdict", verdict)
    context.folder.save_text("report/verdict.json", json.dumps(verdict.as_json(), indent=2, ensure_ascii=False) + "\n")
    _tell(context, evidence, verdict)
    if started is not None:
        phase = Phase.TESTS_PASSED if verdict.result is Result.PASSED else Phase.TESTS_FAILED
        failing = [criterion.id for criterion in verdict.failing()]
        message = "Every criterion passed" if not failing else f"Not met: {', '.join(failing)}"
        context.journal(started).event(phase, message, failing=failing, coverage=verdict.coverage)
        return 0
    context.console.write_summary(verdict_markdown(verdict))
    return 0 if verdict.result is Result.PASSED else 1


def _judge(context: Context) -> tuple[Evidence, Verdict]:
    sprint = context.folder.load("sprint", Sprint)
    if context.settings.judge.reports:
        from action.evidence import read_reports

        read = read_reports(_paths(context))
        return read, judge(read_dod(context), read)
    evidence = context.folder.load("evidence", Evidence)
    if evidence is None:
        raise UsageError(
            "There is nothing to judge: no `reports`, and nothing was verified before.",
            "Set `reports` to the files and folders that your tests wrote.",
            "no-reports",
        )
    if sprint is None:
        return evidence, judge(read_dod(context), evidence)
    outcome = context.folder.load("build", BuildOutcome)
    verdict = judge(sprint.dod, evidence, Plan(sprints=(sprint,)))
    return evidence, hold_refusals(verdict, outcome.refusals if outcome else ())


def _paths(context: Context) -> list[Path]:
    """The files and folders named; a pattern that matches nothing is kept as it is, so that the verdict names it."""
    root = context.settings.github.workspace / context.settings.judge.working_directory
    paths: list[Path] = []
    for pattern in context.settings.judge.reports:
        paths += sorted(islice(_matches(root, pattern), MAX_MATCHES)) or [root / pattern]
    return [_short(path) for path in paths]


def _short(path: Path) -> Path:
    """As seen from the working directory, so that the verdict names files as their owner does."""
    here, there = Path.cwd(), path.absolute()
    return there.relative_to(here) if there.is_relative_to(here) and there != here else path


def _matches(root: Path, pattern: str) -> Iterator[Path]:
    """Path.glob takes no absolute pattern, so the fixed part in front of the first mark is gone to first."""
    if not _is_pattern(pattern):
        return
    parts = PurePath(pattern).parts
    fixed = list(takewhile(lambda part: not _is_pattern(part), parts))
    yield from root.joinpath(*fixed).glob("/".join(parts[len(fixed) :]))


def _is_pattern(text: str) -> bool:
    return any(mark in text for mark in "*?[")


def _tell(context: Context, evidence: Evidence, verdict: Verdict) -> None:
    for criterion in verdict.criteria:
        mark = {"passed": "✓", "failed": "✗", "not_measured": "?"}[criterion.status]
        context.console.say(f"{mark} {criterion.id}: {criterion.reason}")
    for one in for_step(verdict, annotate(evidence, verdict)):
        context.console.annotate(one.level, one.message, one.title, one.path, one.line, one.end_line)
    context.console.say(f"Verdict: {verdict.result.value}")
    context.console.set_output("result", verdict.result.value)
    context.console.set_output("verdict", _as_output(verdict))
    context.console.set_output("coverage", "" if verdict.coverage is None else f"{verdict.coverage:g}")


def _as_output(verdict: Verdict) -> str:
    """The verdict's JSON; without its evidence lines where it would not fit an output."""
    document = verdict.as_json()
    if len(json.dumps(document)) > MAX_OUTPUT:
        for criterion in document["criteria"]:
            criterion["evidence"] = []
    return json.dumps(document, ensure_ascii=False)
