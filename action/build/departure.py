"""Setting a run aside: what the agent said and did is kept for the run that goes on, and the runner is given back."""

from __future__ import annotations

from action.build.archive import Left, pack_archive
from action.context import Context
from action.released import Released, release
from action.run import BuildOutcome, Run
from action.toolserver.desk import Question
from controlplane.errors import AicdError, CallerError, OutsideError


def set_aside(
    context: Context, started: Run, outcome: BuildOutcome, left: Left, transcript: bytes, questions: list[Question]
) -> None:
    """Pause, or ask the requester. Without a control plane nobody could go on: then it raises, with the reason."""
    asked = [
        {"id": f"Q{number}", "text": question.text, "blocking": question.blocking}
        for number, question in enumerate(questions, start=1)
    ]
    reason = context.console.redact(outcome.reason)
    if context.store is None or not started.controlled:
        raise _alone(outcome, asked)
    session = _keep(context, started, left, transcript)
    if outcome.ended == "paused":
        context.store.pause_run(started.run_id, outcome.resume_at, reason, session)
        release(context, Released(status="PAUSED", reason=reason, resume_at=outcome.resume_at))
    else:
        context.store.ask_requester(started.run_id, asked, session)
        release(context, Released(status="NEEDS_INPUT", reason=f"{len(asked)} questions went out by mail."))


def _keep(context: Context, started: Run, left: Left, transcript: bytes) -> dict[str, str]:
    """What the next run finds in its start; empty where nothing could be stored, and then it begins anew."""
    assert context.store is not None
    archive = pack_archive(context.folder.repository, left, _clean(context, transcript))
    try:
        path = context.store.put_session(started.sprint_id, started.run_id, archive)
    except AicdError as error:
        context.console.warning(f"The session could not be kept, so the work will begin anew: {error}")
        return {}
    return {"path": path, "agent": left.agent, "session": left.session}


def _clean(context: Context, transcript: bytes) -> bytes:
    return context.console.redact(transcript.decode("utf-8", "replace")).encode()


def _alone(outcome: BuildOutcome, asked: list[dict[str, object]]) -> AicdError:
    if outcome.ended == "paused":
        return OutsideError(
            f"{outcome.reason} It may go on at {outcome.resume_at}.",
            "Run it again then. With a control plane it would go on by itself.",
            "usage-limit",
            details={"resume_at": outcome.resume_at},
        )
    shown = " ".join(str(one["text"]) for one in asked)
    return CallerError(f"The agent asks: {shown}", "Answer it in the specification, and run again.", "needs-input")
