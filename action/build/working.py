"""One attempt of the agent: it works, and what its folder holds afterwards becomes a commit of ours."""

from __future__ import annotations

from action.build.agents.seam import Attempt, Task
from action.build.job import BuildJob, State
from action.build.task import write_task
from action.gitrepo.leaks import leaks_on_the_way
from action.gitrepo.protected import LEAK, Refusal, find_refusals, touched_on_the_way
from action.gitrepo.workspace import Taken, commit_tree, take_work, tree_of
from controlplane.errors import CallerError

MOST_SUMMARY = 2_000


def let_work(job: BuildJob, state: State, number: int, left: float) -> tuple[Attempt, str]:
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
        trouble = Refusal(code=error.code, path="", reason=str(error))
        state.refusals = (trouble, *_find_refusals(job, state.taken.head))
        return attempt, str(error)
    if taken.head == job.run.base and attempt.is_in_place:
        taken = Taken(head=_unchanged(job), seen=taken.seen)
    state.taken, state.refusals = look_at(job, taken)
    return attempt, ""


def look_at(job: BuildJob, taken: Taken) -> tuple[Taken, tuple[Refusal, ...]]:
    """The work as it may be kept, and what may not be pushed of it.

    A history that went through what may not be pushed and left it again becomes one commit, so that it can be. One that
    went through a secret becomes one whatever else is wrong with it: it is kept for other runs before it is pushed.
    """
    refusals = _find_refusals(job, taken.head)
    if taken.head == job.run.base or any(one.code == LEAK for one in refusals):
        return taken, refusals
    between = (job.repository, job.run.base, taken.head)
    if not leaks_on_the_way(*between, job.secrets()) and (refusals or not touched_on_the_way(*between)):
        return taken, refusals
    tree = tree_of(job.repository, taken.head)
    head = commit_tree(job.repository, tree, job.run.base, _message(job, 0), job.run.trailers())
    return Taken(head=head, seen=taken.seen), refusals


def _find_refusals(job: BuildJob, head: str) -> tuple[Refusal, ...]:
    return find_refusals(job.repository, job.run.base, head, job.limits.changed_lines, job.secrets())


def _unchanged(job: BuildJob) -> str:
    """A commit that changes nothing, so that branch, verdict and pull request have something to point at."""
    base = job.run.base
    message = f"{_message(job, 1)}\n\nEverything was in place: the branch is judged as it is."
    return commit_tree(job.repository, tree_of(job.repository, base), base, message, job.run.trailers())


def _message(job: BuildJob, number: int, summary: str = "") -> str:
    goal = job.sprint.goals[0] if job.sprint.goals else job.spec.title or job.spec.project
    subject = f"{job.sprint.label}: {' '.join(goal.split())}"
    detail = f"Attempt {number} by agent '{job.agent.name}'." if number else f"By agent '{job.agent.name}'."
    said = f"{summary.strip()[:MOST_SUMMARY]}\n\n" if summary.strip() else ""
    return f"{subject if len(subject) <= 72 else subject[:71] + '…'}\n\n{said}{detail}"
