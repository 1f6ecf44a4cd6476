"""The end of a build: what is told, what is kept for another run, and what goes on to be measured.

| the loop ended | the trail | then |
|---|---|---|
| paused, needs-input | handed over with the pause or the questions | the runner is given back |
| interrupted, out-of-time, out-of-money, failed for what can be mended | stays: another try goes on | as it is |
| met, max-iterations, no-progress | stays until the run has a verdict that says no | as it is |
| the same, with a secret in the change | forgotten: no attempt is left to take it out | the run fails |
| no-change, failed otherwise | forgotten: another try begins anew | the run fails |
"""

from __future__ import annotations

from action.build.departure import set_aside
from action.build.job import Progress
from action.build.trail import Trail
from action.context import Context
from action.gitrepo.protected import LEAK
from action.interruption import Cancelled
from action.mending import FIXES, OUTSIDE
from action.run import BuildOutcome, Run
from action.toolserver.desk import Question
from controlplane.change import Change
from controlplane.errors import AicdError, CallerError, Conflict, OutsideError

ASIDE = ("paused", "needs-input")
JUDGED = ("met", "max-iterations", "no-progress")
BROKEN_OFF = ("interrupted", "out-of-time", "out-of-money")
TOO_MANY = "too-many-pauses"


def conclude(
    context: Context, started: Run, outcome: BuildOutcome, change: Change | None, trail: Trail, asked: list[Question]
) -> int:
    """The verb's exit code; raises where there is nothing to go on with."""
    outcome = _told(outcome, change, trail)
    context.folder.save("build", outcome)
    if outcome.session:
        context.console.set_output("session-id", outcome.session)
    leaking = [one.path for one in outcome.refusals if one.code == LEAK]
    head = change.head if change and not leaking else started.base
    progress = Progress(head, outcome.feedback, outcome.made, outcome.is_judged)
    refused = None
    if outcome.ended in ASIDE:
        refused = _set_aside(context, started, outcome, trail, progress, asked)
        if refused is None:
            return 0
        outcome = outcome.model_copy(
            update={"ended": "failed", "error": refused.code, "reason": f"{refused.message} {refused.fix}"}
        )
        context.folder.save("build", outcome)
    if outcome.ended == "cancelled":
        raise Conflict("The specification was cancelled while it was built.", "There is nothing to do.", "cancelled")
    is_kept = _leave_trail(outcome, change, trail, progress, leaks=bool(leaking))
    if outcome.ended == "interrupted":
        fix = "Try again: it goes on with what was done." if is_kept else "Start it again."
        raise Cancelled("The run was cancelled.", fix)
    if leaking:
        raise _leaking(leaking)
    if change is None:
        raise refused or _nothing_built(outcome)
    context.folder.save("change", change)
    context.console.set_output("commit", change.head)
    context.console.say(f"{len(change.files)} files changed in {change.head[:12]}; {outcome.reason}")
    return 0


def _told(outcome: BuildOutcome, change: Change | None, trail: Trail) -> BuildOutcome:
    """With what the report has to say of it: questions that nobody was mailed, and what can be done."""
    notes = tuple(f"The agent asked, and went on without an answer: {question}" for question in trail.asked())
    fix = FIXES.get(outcome.error, "") if outcome.ended == "failed" and change is not None else ""
    reason = f"{outcome.reason} {fix}".strip()
    return outcome.model_copy(update={"notes": (*outcome.notes, *notes), "reason": reason})


def _set_aside(
    context: Context, started: Run, outcome: BuildOutcome, trail: Trail, progress: Progress, asked: list[Question]
) -> Conflict | None:
    """None when it is done; else why this project waits no longer."""
    try:
        set_aside(context, started, outcome, trail.store(progress), asked)
    except Conflict as error:
        if error.code != TOO_MANY:
            raise
        return error
    return None


def _leave_trail(
    outcome: BuildOutcome, change: Change | None, trail: Trail, progress: Progress, *, leaks: bool
) -> bool:
    """Whether another run finds one. What an agent that works once has done is done again at no cost."""
    if not trail.agent.repeats:
        return False
    has_left = change is not None or bool(outcome.session)
    if outcome.ended in JUDGED and not leaks:
        return trail.keep(progress, is_spent=True)
    if outcome.ended in BROKEN_OFF or outcome.is_outside or outcome.error in (*FIXES, TOO_MANY):
        return has_left and trail.keep(progress)
    trail.forget()
    return False


def _leaking(paths: list[str]) -> AicdError:
    """Not even a patch of it is kept: artifacts are read by more people than secrets are for."""
    return CallerError(
        f"The change holds a secret of this run in {', '.join(paths[:5])}; nothing of it is kept.",
        "See the agent's log for how it came there, and replace what the agent was handed or read of an MCP server.",
        "secret-in-change",
    )


def _nothing_built(outcome: BuildOutcome) -> AicdError:
    said = f"The agent '{outcome.agent}' left no change"
    if outcome.ended == "out-of-time":
        fix = "Raise `timeout-minutes`, or make the sprint smaller."
        return CallerError(f"{said} in time: {outcome.reason}.", fix, "out-of-time")
    if outcome.ended == "out-of-money":
        fix = "Raise the budget (`max-budget-usd`, or the project's policy), or make the sprint smaller."
        return CallerError(f"{said} for its money: {outcome.reason}", fix, "budget-exceeded")
    code = outcome.error if outcome.ended == "failed" else "no-change"
    fix = FIXES.get(code, "See its log among the artifacts; is there anything left to do?")
    kind = OutsideError if code in OUTSIDE else CallerError
    return kind(f"{said}: {outcome.reason}", fix, code)
