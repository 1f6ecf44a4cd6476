"""The repair loop: the agent works, the change is judged, what fails goes back word for word, at most N times."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from action.build.agents.seam import Agent, Attempt, Task
from action.build.task import write_feedback, write_task
from action.gitrepo.protected import Refusal, changed_files, find_refusals, touched_on_the_way
from action.gitrepo.workspace import Taken, commit_tree, take_work, tree_of
from action.journal import Journal, now
from action.run import BuildOutcome, Iteration, Run
from controlplane.change import Change
from controlplane.errors import CallerError
from controlplane.evidence import Evidence
from controlplane.plan import Sprint
from controlplane.spec import Spec
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
MOST_SUMMARY = 2_000
# What is said of a run also when it left no change.
KEPT_ENDINGS = (*FINAL.values(), "failed")
STOPS = {"cancelled": "the specification was cancelled", "out-of-money": "the budget is spent"}


@dataclass(frozen=True)
class Judged:
    verdict: Verdict
    evidence: Evidence


@dataclass(frozen=True)
class BuildLimits:
    """`seconds` is for all attempts and their judgements together, from when the loop begins."""

    iterations: int
    seconds: float
    changed_lines: int


@dataclass(frozen=True)
class BuildJob:
    """Everything the loop needs. `judge` measures and judges a change; its int is the iteration, for its folders.

    `begin` and `feedback` are what an earlier run of this sprint left. `ask` is asked before each attempt, and `watch`
    every moment while one runs, whether to stop: `cancelled`, `out-of-money`, or nothing. `taking` is held while files
    of the workspace become a commit.
    """

    run: Run
    spec: Spec
    sprint: Sprint
    repository: Path
    workspace: Path
    scratch: Path
    logs: Path
    limits: BuildLimits
    agent: Agent
    judge: Callable[[Change, int], Judged]
    journal: Journal
    clock: Callable[[], float] = field(default=time.monotonic)
    begin: str = ""
    feedback: str = ""
    dialogue: str = ""
    ask: Callable[[], str] = str
    watch: Callable[[], str] = str
    taking: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class _State:
    """What one attempt leaves for the next."""

    taken: Taken
    feedback: str = ""
    standing: tuple[str, tuple[str, ...]] | None = None
    refusals: tuple[Refusal, ...] = ()
    iterations: list[Iteration] = field(default_factory=list)
    isolation: str = ""
    last: Attempt | None = None


def build_change(job: BuildJob) -> tuple[BuildOutcome, Change | None]:
    """Run the loop; the outcome says how and why it ended.

    The change is None when no attempt left a difference, except where everything that the agent should bring is in
    place already, as in the second sprint of a specification whose files the first one wrote. Then the branch is judged
    as it is: by a commit that changes nothing.
    """
    head = job.begin or job.run.base
    state = _State(taken=Taken(head=head, seen=head), feedback=job.feedback)
    deadline = job.clock() + job.limits.seconds
    rounds = job.limits.iterations if job.agent.repeats else 1
    ended, reason = "max-iterations", f"attempt {rounds} was the last one allowed"
    if not job.agent.repeats:
        reason = f"agent '{job.agent.name}' works once"
    for number in range(1, rounds + 1):
        stop = job.ask()
        if stop:
            ended, reason = stop, f"{STOPS.get(stop, stop)}, after {number - 1} attempts"
            break
        left = deadline - job.clock()
        if left <= 0:
            ended, reason = "out-of-time", f"{job.limits.seconds / 60:g} minutes were over after {number - 1} attempts"
            break
        over = _attempt(job, state, number, left, is_last=number == rounds)
        if over:
            ended, reason = over
            break
    return _conclude(job, state, ended, reason)


def _attempt(job: BuildJob, state: _State, number: int, left: float, *, is_last: bool) -> tuple[str, str] | None:
    """One attempt and its judgement; an answer ends the loop."""
    job.journal.event(Phase.BUILD, f"Attempt {number} by agent '{job.agent.name}'", iteration=number)
    began, started_at = job.clock(), now()
    attempt, trouble = _let_work(job, state, number, left)
    seconds = round(job.clock() - began, 3)
    nothing_done = state.taken.head == job.run.base
    judged = None
    state.last = attempt
    is_over = is_last or attempt.ending in FINAL or bool(attempt.error)
    if not nothing_done and not trouble and not is_over:
        judged = job.judge(_change(job, state.taken.head), number)
    iteration = _describe(job, state, number, attempt, started_at, seconds, judged, trouble)
    state.iterations.append(iteration)
    _tell(job, attempt, iteration)
    return _next_step(job, state, number, iteration, judged, trouble)


def _let_work(job: BuildJob, state: _State, number: int, left: float) -> tuple[Attempt, str]:
    """Let the agent work and take its work over; (attempt, why the work could not be taken over)."""
    task = Task(
        text=write_task(job.spec, job.sprint, job.dialogue),
        feedback=state.feedback,
        iteration=number,
        repository=job.workspace,
        scratch=job.scratch,
        log=job.logs / f"agent-{number}.log",
        timeout_seconds=left,
        watch=job.watch,
    )
    attempt = job.agent.work(task)
    state.isolation = attempt.isolation or state.isolation
    try:
        with job.taking:
            message = _message(job, number, attempt.summary)
            taken = take_work(job.repository, job.workspace, state.taken, message, job.run.trailers())
    except CallerError as error:
        state.refusals = (Refusal(code=error.code, path="", reason=str(error)),)
        return attempt, str(error)
    state.taken = _settle(job, taken)
    if state.taken.head == job.run.base and attempt.is_in_place:
        state.taken = Taken(head=_unchanged(job), seen=taken.seen)
    state.refusals = find_refusals(job.repository, job.run.base, state.taken.head, job.limits.changed_lines)
    return attempt, ""


def _settle(job: BuildJob, taken: Taken) -> Taken:
    """A history that went through protected paths and left them again becomes one commit, so that it can be pushed."""
    refused = find_refusals(job.repository, job.run.base, taken.head, job.limits.changed_lines)
    if refused or not touched_on_the_way(job.repository, job.run.base, taken.head):
        return taken
    tree = tree_of(job.repository, taken.head)
    head = commit_tree(job.repository, tree, job.run.base, _message(job, 0), job.run.trailers())
    return Taken(head=head, seen=taken.seen)


def _unchanged(job: BuildJob) -> str:
    """A commit that changes nothing, so that branch, verdict and pull request have something to point at."""
    base = job.run.base
    message = f"{_message(job, 1)}\n\nEverything was in place: the branch is judged as it is."
    return commit_tree(job.repository, tree_of(job.repository, base), base, message, job.run.trailers())


def _next_step(
    job: BuildJob, state: _State, number: int, iteration: Iteration, judged: Judged | None, trouble: str
) -> tuple[str, str] | None:
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
    verdict, evidence = (judged.verdict, judged.evidence) if judged else (NOTHING_JUDGED, Evidence())
    state.feedback = write_feedback(verdict, evidence, state.refusals, number)
    if state.taken.head == job.run.base:
        state.feedback += f"\nAttempt {number} left no change in the repository. {iteration.reason}\n"
    return None


def _conclude(job: BuildJob, state: _State, ended: str, reason: str) -> tuple[BuildOutcome, Change | None]:
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
        resume_at=state.last.resume_at if state.last else "",
        error=state.last.error if state.last else "",
        session=state.last.session if state.last else "",
        feedback=state.feedback,
        notes=state.last.notes if state.last else (),
    )
    return outcome, None if head == job.run.base else _change(job, head)


def _change(job: BuildJob, head: str) -> Change:
    files = changed_files(job.repository, job.run.base, head)
    return Change(repository=job.repository, base=job.run.base, head=head, branch=job.run.branch, files=files)


def _describe(
    job: BuildJob,
    state: _State,
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


def _tell(job: BuildJob, attempt: Attempt, iteration: Iteration) -> None:
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


def _message(job: BuildJob, number: int, summary: str = "") -> str:
    goal = job.sprint.goals[0] if job.sprint.goals else job.spec.title or job.spec.project
    subject = f"{job.sprint.label}: {' '.join(goal.split())}"
    detail = f"Attempt {number} by agent '{job.agent.name}'." if number else f"By agent '{job.agent.name}'."
    said = f"{summary.strip()[:MOST_SUMMARY]}\n\n" if summary.strip() else ""
    return f"{subject if len(subject) <= 72 else subject[:71] + '…'}\n\n{said}{detail}"
