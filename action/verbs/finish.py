"""finish: give the run its result, whatever happened before. It always runs, and may run twice.

Exit code 1 when the result is FAILED, so that the workflow's own sign is red where the Definition of Done is not met.
"""

from __future__ import annotations

import json
from typing import Any

from action.context import Context, interruption
from action.costs import offer_costs
from action.run import Failure, Published, Run
from action.verbs.publish import compose, keep_artifacts, tell_bundle, with_places, write_reports
from controlplane.errors import Conflict
from controlplane.report import Report
from controlplane.states import Result
from controlplane.verdict import Verdict


def run(context: Context) -> int:
    started = context.folder.load("run", Run)
    if started is None:
        failure = context.folder.load("failure", Failure)
        if failure is not None:
            context.console.set_output("result", Result.FAILED.value)
            context.console.say(f"Nothing was started: {failure.message}")
        return 1 if failure else 0
    _explain_silence(context)
    offer_costs(context, started)
    report = compose(context, started)
    summary = _summary(context, started, report)
    result = report.result
    if started.controlled and context.store is not None:
        result = _finish(context, started, result, summary)
    context.console.set_output("result", result.value)
    context.console.say(f"Result: {result.value}")
    return 0 if result is Result.PASSED else 1


def _explain_silence(context: Context) -> None:
    """A run that was neither published nor failed was killed, and so was one with a verb that has no end.

    A verdict alone is no result: what it speaks of has not reached anybody.
    """
    if context.keep_interruption():
        return
    if not context.folder.load("failure", Failure) and not context.folder.load("published", Published):
        context.keep_failure(interruption("publish" if context.folder.load("verdict", Verdict) else "start"))


def _summary(context: Context, started: Run, report: Report) -> dict[str, Any]:
    """What publish wrote, when all of it is kept and says the same as we do; else written and kept now."""
    path = context.folder.report / "summary.json"
    published = context.folder.load("published", Published) or Published()
    if published.kept:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if known["status"] == report.result.value:
            return known
    report = with_places(context, started, report, published)
    trouble = keep_artifacts(context, started, write_reports(context, report))
    if trouble is not None:
        context.console.warning(f"The report could not be kept: {trouble}")
    tell_bundle(context)
    context.console.write_summary((context.folder.report / "report.md").read_text(encoding="utf-8"))
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _finish(context: Context, started: Run, result: Result, summary: dict[str, Any]) -> Result:
    """Tell the control plane; the result it has is the result, also when it had one before."""
    assert context.store is not None
    try:
        answer = context.store.finish_run(started.run_id, result.value, summary)
    except Conflict as error:
        context.console.warning(f"The run has another result already: {error}")
        return Result.FAILED
    for run_id in answer["next_run_ids"]:
        context.console.say(f"A sprint that waited for this one has its run: {run_id}")
    return Result(answer["result"])
