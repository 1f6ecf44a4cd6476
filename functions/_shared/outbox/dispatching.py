"""A dispatch row carried out: the run's workflow started on GitHub and bound to the run, once.

Three things keep it at one start: a bound run is left alone, a second attempt looks for a run that carries our id in
its title, and the database lets exactly one CI run in (start_run_v1).
"""

from __future__ import annotations

from typing import Any

from controlplane.errors import NotFound
from functions._shared.outbox.drain import Lease, Work
from functions._shared.ports import DispatchStore, Row
from functions._shared.workflows.port import StartedRun, WorkflowRefused, Workflows


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
    try:
        started, outcome = _start(row, lease, run, workflows)
    except WorkflowRefused as refusal:
        store.abandon_run(run_id, refusal.code, str(refusal))
        return {"outcome": "abandoned", "run_id": run_id, "reason": refusal.code}
    if started is None:
        return {"outcome": outcome, "run_id": run_id, "bound": False}
    store.bind_run(run_id, started.ci_run_id, started.url)
    return {"outcome": outcome, "run_id": run_id, "bound": True, "ci_run_id": started.ci_run_id}


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
