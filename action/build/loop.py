"""The repair loop: the agent works, the change is judged, what fails goes back word for word, at most N times."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from action.build.agents.seam import Attempt
from action.build.job import BuildJob, Judged, Progress, State
from action.build.task import write_feedback
from action.build.working import let_work, look_at
from action.gitrepo.protected import LEAK, Refusal, changed_files
from action.gitrepo.workspace import Taken, tree_of
from action.journal import now
from action.run import BuildOutcome, Iteration
from controlplane.change import Change
from controlplane.errors import AicdError, OutsideError
from controlplane.evidence import Evidence
from controlplane.states import Phase, Result
from controlplane.verdict import Verdict

NOTHING_JUDGED = Verdict(criteria=())
# Endings of an attempt after which no other one may follow in this run, and what the loop calls them.
FINAL = {
    "timed-out": "out-of-time",
    "paused": "paused",
    "needs-input": "needs-input",
    "out-of-money": "out-of-money",
    "cancelled": "cancelled",
}
MOST_FILES_TOLD = 200
# What is said of a run also when it left no change.
KEPT_ENDINGS = (*FINAL.values(), "failed", "interrupted")
STOPS = {
    "cancelled": "the specification was cancelled",
    "out-of-money": "the budget is spent",
    "interrupted": "the run was cancelled from outside",
}
# Why the loop is over, and the sentence for it.
Over = tuple[str, str]


def build_change(job: BuildJob) -> tuple[BuildOutcome, Change | None]:
    """Run the loop; the outcome says how and why it ended.

    The change is None when no attempt left a difference, except where everything that the agent should bring is in
    place already, as in the second sprint of a specification whose files the first one wrote. Then the branch is judged
    as it is: by a commit that changes nothing.

    Raises what the world outside raised where there is no work yet; work that is there is never thrown away for it.
    """
    state = _begin(job)
    rounds = job.limits.iterations if job.agent.repeats else 1
    ended, reason = _rounds(job, state, rounds)
    return _conclude(job, state, ended, reason)


def _begin(job: BuildJob) -> State:
    """What an earlier run left is searched anew: this one may know secrets that that one did not."""
    begin = job.begin or Progress(job.run.base)
    taken, refusals = look_at(job, Taken(head=begin.head, seen=begin.head))
    return State(
        taken=taken,
        deadline=job.clock() + job.limits.seconds,
        feedback=begin.feedback,
        made=begin.made,
        is_judged=begin.is_judged and not _holds_secret(refusals),
        refusals=refusals,
    )


def _rounds(job: BuildJob, state: State, rounds: int) -> Over:
    over = None if state.is_judged else _safely(job, state, partial(_look_first, job, state))
    for number in range(state.made + 1, rounds + 1):
        over = over or _safely(job, state, partial(_round, job, state, number, is_last=number == rounds))
        if over:
            break
    if not job.agent.repeats:
        return over or ("max-iterations", f"agent '{job.agent.name}' works once")
    return over or ("max-iterations", f"attempt {rounds} was the last one allowed")


def _safely(job: BuildJob, state: State, step: Callable[[], Over | None]) -> Over | None:
    """The step's answer; what breaks it off is an answer, too, once there is work that must not be lost by it."""
    try:
        return step()
    except KeyboardInterrupt:
        return "interrupted", STOPS["interrupted"]
    except AicdError as error:
        if state.taken.head == job.run.base:
            raise
        state.error, state.is_outside = error.code, isinstance(error, OutsideError)
        return "failed", error.message


def _look_first(job: BuildJob, state: State) -> Over | None:
    """What an earlier run paid for, and broke off before anybody judged it, is judged before more is paid for."""
    if state.taken.head == job.run.base:
        return None
    judged = job.judge(_change(job, state.taken.head), state.made, state.deadline - job.clock())
    if judged.verdict.result is Result.PASSED and not state.refusals:
        return "met", "what an earlier run left meets the Definition of Done"
    _feed_back(job, state, judged, state.made)
    return None


def _round(job: BuildJob, state: State, number: int, *, is_last: bool) -> Over | None:
    stop = job.ask()
    if stop:
        return stop, f"{STOPS.get(stop, stop)}, after {number - 1} attempts"
    left = state.deadline - job.clock()
    if left <= 0:
        return "out-of-time", f"{job.limits.seconds / 60:g} minutes were over after {number - 1} attempts"
    return _attempt(job, state, number, left, is_last=is_last)


def _attempt(job: BuildJob, state: State, number: int, left: float, *, is_last: bool) -> Over | None:
    """One attempt and its judgement; an answer ends the loop."""
    job.journal.event(Phase.BUILD, f"Attempt {number} by agent '{job.agent.name}'", iteration=number)
    began, started_at, before = job.clock(), now(), state.taken.head
    attempt, trouble = let_work(job, state, number, left)
    seconds = round(job.clock() - began, 3)
    state.last = attempt
    stop = "interrupted" if job.watch() == "interrupted" else ""
    is_over = attempt.ending in FINAL or bool(attempt.error)
    if not is_over and not (stop and attempt.ending != "done"):
        # One that was cut off is gone on with under its number.
        state.made, state.is_judged = number, False
    _keep(job, state)
    judged, broken = None, None
    if not (state.taken.head == job.run.base or trouble or is_last or is_over or stop):
        judged, broken = _judge(job, state, number)
    iteration = _describe(job, state, number, attempt, started_at, seconds, judged, trouble)
    state.iterations.append(iteration)
    _tell(job, attempt, iteration, changed_files(job.repository, before, state.taken.head))
    if stop and not is_over:
        return stop, f"{STOPS[stop]}, in attempt {number}"
    return broken or _next_step(job, state, number, iteration, judged, trouble)


def _keep(job: BuildJob, state: State) -> None:
    """From here on another run loses nothing of this attempt. An agent that works once does it again at no cost."""
    has_left = state.taken.head != job.run.base or bool(state.last and state.last.session)
    if job.agent.repeats and has_left and not _holds_secret(state.refusals):
        job.keep(state.progress())


def _holds_secret(refusals: tuple[Refusal, ...]) -> bool:
    return any(one.code == LEAK for one in refusals)


def _judge(job: BuildJob, state: State, number: int) -> tuple[Judged | None, Over | None]:
    """The judgement, or what kept it from being made."""
    found: list[Judged] = []

    def judge() -> None:
        found.append(job.judge(_change(job, state.taken.head), number, state.deadline - job.clock()))

    broken = _safely(job, state, judge)
    return (found[0] if found else None), broken


def _next_step(
    job: BuildJob, state: State, number: int, iteration: Iteration, judged: Judged | None, trouble: str
) -> Over | None:
    if judged is not None and judged.verdict.result is Result.PASSED and not state.refusals:
        return "met", f"attempt {number} met the Definition of Done"
    last = state.last
    if last is not None and last.ending in FINAL:
        return FINAL[last.ending], f"attempt {number} was stopped: {iteration.reason}"
    if last is not None and last.error:
        return "failed", f"attempt {number} failed: {iteration.reason}"
    standing = (tree_of(job.repository, state.taken.head) + trouble, iteration.failing)
    if standing == state.standing:
        return "no-progress", f"attempts {number - 1} and {number} left the same files and the same failures"
    state.standing = standing
    _feed_back(job, state, judged, number)
    if state.taken.head == job.run.base:
        state.feedback += f"\nAttempt {number} left no change in the repository. {iteration.reason}\n"
    return None


def _feed_back(job: BuildJob, state: State, judged: Judged | None, number: int) -> None:
    verdict, evidence = (judged.verdict, judged.evidence) if judged else (NOTHING_JUDGED, Evidence())
    state.feedback = job.journal.redact(write_feedback(verdict, evidence, state.refusals, number))
    state.is_judged = True


def _conclude(job: BuildJob, state: State, ended: str, reason: str) -> tuple[BuildOutcome, Change | None]:
    head = state.taken.head
    if head == job.run.base:
        said = next((one.reason for one in reversed(state.iterations) if one.reason), "")
        ended, reason = (
            (ended, reason) if ended in KEPT_ENDINGS else ("no-change", f"no attempt left a change. {said}".strip())
        )
    outcome = BuildOutcome(
        agent=job.agent.name,
        ended=ended,
        reason=reason,
        iterations=tuple(state.iterations),
        refusals=state.refusals,
        isolation=state.isolation,
        resume_at=state.last.resume_at if state.last and state.last.resume_is_told else "",
        error=state.error or (state.last.error if state.last else ""),
        is_outside=state.is_outside,
        session=state.last.session if state.last else "",
        feedback=state.feedback,
        made=state.made,
        is_judged=state.is_judged,
        notes=state.last.notes if state.last else (),
    )
    return outcome, None if head == job.run.base else _change(job, head)


def _change(job: BuildJob, head: str) -> Change:
    files = changed_files(job.repository, job.run.base, head)
    return Change(repository=job.repository, base=job.run.base, head=head, branch=job.run.branch, files=files)


def _describe(
    job: BuildJob,
    state: State,
    number: int,
    attempt: Attempt,
    started_at: str,
    seconds: float,
    judged: Judged | None,
    trouble: str,
) -> Iteration:
    failing = tuple(criterion.id for criterion in judged.verdict.failing()) if judged else ()
    return Iteration(
        number=number,
        attempt=attempt.ending,
        reason=" ".join(part for part in (attempt.reason, trouble) if part),
        started_at=started_at,
        duration_seconds=seconds,
        commit="" if state.taken.head == job.run.base else state.taken.head,
        verdict=judged.verdict.result.value if judged else "",
        failing=(*failing, *(refusal.code for refusal in state.refusals)),
        cost_usd=attempt.cost_usd,
        log=f"agent-{number}.log",
    )


def _tell(job: BuildJob, attempt: Attempt, iteration: Iteration, changed: tuple[str, ...]) -> None:
    job.journal.execution(
        iteration.number,
        {
            "agent": job.agent.name,
            "model": attempt.model,
            "started_at": iteration.started_at,
            "finished_at": now(),
            "result": attempt.ending,
            "cost_usd": attempt.cost_usd,
            "input_tokens": attempt.input_tokens,
            "output_tokens": attempt.output_tokens,
            "metadata": {
                "reason": iteration.reason,
                "exit_code": attempt.exit_code,
                "commit": iteration.commit,
                "verdict": iteration.verdict,
                "failing": list(iteration.failing),
                # By the difference that it left, whatever its tools were asked for.
                "files_changed": list(changed[:MOST_FILES_TOLD]),
                **attempt.details,
            },
        },
    )
    said = f"{iteration.verdict or 'to be judged'}" + (
        f", failing: {', '.join(iteration.failing)}" if iteration.failing else ""
    )
    job.journal.event(
        Phase.BUILD,
        f"Attempt {iteration.number} ended ({attempt.ending}): {said}",
        iteration=iteration.number,
        failing=list(iteration.failing),
        commit=iteration.commit,
    )
