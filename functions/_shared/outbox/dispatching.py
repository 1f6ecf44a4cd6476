"""A dispatch row carried out: the run's workflow started on GitHub and bound to the run, once.

Before GitHub is asked, the database is: is there money left for this run, and a place? It says no for good, which fails
the run with the reason, or not yet, which puts the row off.

Three things keep it at one start: a bound run is left alone, a second attempt looks for a run that carries our id in
its title, and the database lets exactly one CI run in (start_run_v1).
"""

from __future__ import annotations

from typing import Any

from controlplane.errors import NotFound
from functions._shared.outbox.drain import Lease, NotYet, Work
from functions._shared.ports import DispatchStore, Row
from functions._shared.workflows.port import StartedRun, WorkflowRefused, Workflows

# What a run may cost where its project does not say: the action's own default (max-budget-usd).
MAX_BUDGET_USD = 10.0
WHEN_MONEY_IS_SPENT = (
    "Ask for a larger budget, or for another run of the sprint once there is money again (aicd sprint retry)."
)


def dispatch_work(store: DispatchStore, workflows: Workflows) -> Work:
    """The work of kind `dispatch`."""
    return Work(kind="dispatch", carry_out=lambda row, lease: dispatch_run(row, lease, store, workflows))


def dispatch_run(row: Row, lease: Lease, store: DispatchStore, workflows: Workflows) -> dict[str, Any]:
    """Start and bind. A refusal for good fails the run, with its reason; anything else is raised to be tried again."""
    run_id = str(row["payload"]["run_id"])
    try:
        run = store.describe_run(run_id)
    except NotFound:
        return {"outcome": "run-unknown", "run_id": run_id}
    if run.get("ci_run_id") or run.get("started_at") or run.get("result"):
        return {"outcome": "already-started", "run_id": run_id}
    refusal = _reserve(run_id, store)
    if refusal:
        return refusal
    try:
        started, outcome = _start(row, lease, run, workflows)
    except WorkflowRefused as refused:
        return _abandon(run_id, refused.code, str(refused), store)
    if started is None:
        return {"outcome": outcome, "run_id": run_id, "bound": False}
    store.bind_run(run_id, started.ci_run_id, started.url)
    return {"outcome": outcome, "run_id": run_id, "bound": True, "ci_run_id": started.ci_run_id}


def _reserve(run_id: str, store: DispatchStore) -> dict[str, Any] | None:
    """None: go on. What is reserved once stays so, also for a second attempt."""
    answer = store.reserve_budget(run_id, MAX_BUDGET_USD)
    if answer["outcome"] == "wait":
        raise NotYet(float(answer["retry_after_seconds"]), f"{answer['code']}: {answer['reason']}")
    if answer["outcome"] != "refused":
        return None
    return _abandon(run_id, str(answer["code"]), f"{answer['reason']} {WHEN_MONEY_IS_SPENT}", store)


def _abandon(run_id: str, code: str, reason: str, store: DispatchStore) -> dict[str, Any]:
    store.abandon_run(run_id, code, reason)
    return {"outcome": "abandoned", "run_id": run_id, "reason": code}


def _start(row: Row, lease: Lease, run: Row, workflows: Workflows) -> tuple[StartedRun | None, str]:
    project = run["project"]
    repo, workflow, run_id = str(project["repo"]), str(project["workflow"]), str(run["run_id"])
    if int(row["attempts"]) > 1:
        found = workflows.find_run(repo, workflow, run_id)
        if found:
            return found, "found"
    inputs = {
        "run-id": run_id,
        "spec-id": str(run["spec_id"]),
        "correlation-id": str(run.get("correlation_id") or ""),
    }
    lease.require()
    return workflows.start_run(repo, workflow, str(project["default_branch"]), inputs), "started"
