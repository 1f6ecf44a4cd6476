"""Setting a run aside: what the agent said and did is kept for the run that goes on, and the runner is given back."""

from __future__ import annotations

from collections.abc import Sequence

from action.build.trail import Named
from action.context import Context
from action.plan.dialogue import Dialogue
from action.released import Released, release
from action.run import BuildOutcome, Run
from action.toolserver.desk import Question
from controlplane.errors import AicdError, CallerError, OutsideError


def set_aside(
    context: Context, started: Run, outcome: BuildOutcome, session: Named, questions: Sequence[Question]
) -> None:
    """Pause, or ask the requester. Raises Conflict (`too-many-pauses`) where the project does not wait any longer: then
    the run is still open. Without a control plane nobody could go on: then it raises, with the reason."""
    asked = _numbered(context, questions)
    reason = context.console.redact(outcome.reason)
    if context.store is None or not started.controlled:
        raise _alone(outcome, asked)
    if outcome.ended == "paused":
        paused = context.store.pause_run(started.run_id, outcome.resume_at or None, reason, session)
        release(context, Released(status="PAUSED", reason=reason, resume_at=str(paused["resume_at"])))
    else:
        context.store.ask_requester(started.run_id, asked, session)
        release(context, Released(status="NEEDS_INPUT", reason=f"{len(asked)} questions went out by mail."))


def _numbered(context: Context, questions: Sequence[Question]) -> list[dict[str, object]]:
    """By numbers that count on over all rounds, so that an answer to Q2 means one question for ever."""
    known = context.folder.load("dialogue", Dialogue) or Dialogue()
    numbers = [int(one.id[1:]) for one in known.questions if one.id[:1] == "Q" and one.id[1:].isdecimal()]
    first = max([len(known.questions), *numbers]) + 1
    return [
        {"id": f"Q{number}", "text": question.text, "blocking": question.blocking}
        for number, question in enumerate(questions, start=first)
    ]


def _alone(outcome: BuildOutcome, asked: list[dict[str, object]]) -> AicdError:
    if outcome.ended == "paused":
        until = f"It may go on at {outcome.resume_at}." if outcome.resume_at else "Nobody said until when."
        return OutsideError(
            f"{outcome.reason} {until}",
            "Run it again then. With a control plane it would go on by itself.",
            "usage-limit",
            details={"resume_at": outcome.resume_at} if outcome.resume_at else {},
        )
    shown = " ".join(str(one["text"]) for one in asked)
    return CallerError(f"The agent asks: {shown}", "Answer it in the specification, and run again.", "needs-input")
