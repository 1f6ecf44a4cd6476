"""The run as its verbs know it: which sprint of which spec, for which repository, from which commit."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from action.gitrepo.protected import Refusal
from action.gitrepo.trailers import Trailers
from controlplane.noun import Noun


class Run(Noun):
    """`run.json`. Times are ISO 8601 in UTC; `base` is a commit, or git's empty tree for an empty repository.

    `below` is what `base` joins, where it is a merge of ours (action/gitrepo/clone.py).
    `controlled` says that the control plane knows this run and waits for its result; `token_scope` how far the token
    reaches by which it is told: build, publish, both, or project; `ci_attempt` how often the CI run was begun;
    `shared_runner` that jobs of the hardened form met on one machine. Without a control plane, ids are made from the
    specification's hash, so that the same specification gives the same branch.
    """

    run_id: str
    spec_id: str
    sprint_id: str = ""
    sprint_label: str
    correlation_id: str = ""
    controlled: bool = False
    repository: str
    remote_url: str
    branch: str
    base: str
    target: str = ""
    remote_head: str = ""
    below: tuple[str, ...] = ()
    started_at: str
    ci_url: str = ""
    spec_sha256: str = ""
    title: str = ""
    policy: dict[str, Any] = Field(default_factory=dict)
    token_scope: str = ""
    ci_attempt: int = 1
    shared_runner: bool = False

    def trailers(self) -> Trailers:
        return Trailers(run=self.run_id, spec=self.spec_id, sprint=self.sprint_label)


class Iteration(Noun):
    """One attempt of the agent and what came of it. `failing` are ids of criteria; `verdict` is empty when the attempt
    was not judged by itself because the final judgement follows at once.
    """

    number: int
    attempt: str
    reason: str = ""
    started_at: str = ""
    duration_seconds: float = 0.0
    commit: str = ""
    verdict: str = ""
    failing: tuple[str, ...] = ()
    cost_usd: float | None = None
    log: str = ""


class BuildOutcome(Noun):
    """`build.json`. `ended` says why the loop stopped: met, max-iterations, no-progress, no-change, out-of-time,
    out-of-money, cancelled, interrupted, failed; paused and needs-input, when another run goes on.

    `resume_at` (ISO 8601) belongs to paused, and is empty where nobody named a time; `error` is a code for failed,
    and `is_outside` says that the world outside broke the loop off;
    `session` the agent's own id of what was said, `feedback` what the next attempt would have been told, after `made`
    that came to their end and of which the last one was judged (`is_judged`); `notes` are lines for the report.
    """

    agent: str
    ended: str
    reason: str
    iterations: tuple[Iteration, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    isolation: str = ""
    resume_at: str = ""
    error: str = ""
    is_outside: bool = False
    session: str = ""
    feedback: str = ""
    made: int = 0
    is_judged: bool = True
    notes: tuple[str, ...] = ()


class Failure(Noun):
    """`failure.json`: the first thing that went wrong, as the requester may read it."""

    phase: str
    code: str
    message: str
    fix: str = ""


class Published(Noun):
    """`published.json`: what publish put where. Empty texts stand for what was not made, and `note` says why.

    `kept` says that report and artifacts are where they belong.
    """

    pull_request_url: str = ""
    pull_request_number: int | None = None
    draft: bool = False
    pushed: bool = False
    note: str = ""
    kept: bool = False
