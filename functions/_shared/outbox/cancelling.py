"""A cancel row carried out: the CI run that holds a cancelled run is stopped on GitHub, so that it costs nothing more.

Whatever GitHub says of a run that is over or gone, there is nothing left to stop; asked twice, it stops once.
"""

from __future__ import annotations

from typing import Any

from controlplane.errors import NotFound
from functions._shared.outbox.drain import Lease, Work
from functions._shared.ports import DispatchStore, Row
from functions._shared.workflows.port import WorkflowRefused, Workflows


def cancel_work(store: DispatchStore, workflows: Workflows) -> Work:
    """The work of kind `cancel`."""
    return Work(kind="cancel", carry_out=lambda row, lease: cancel_ci_run(row, lease, store, workflows))


def cancel_ci_run(row: Row, lease: Lease, store: DispatchStore, workflows: Workflows) -> dict[str, Any]:
    """Stop it. What may heal is raised to be tried again."""
    run_id, ci_run_id = str(row["payload"]["run_id"]), str(row["payload"]["ci_run_id"])
    try:
        run = store.describe_run(run_id)
    except NotFound:
        return {"outcome": "run-unknown", "run_id": run_id}
    lease.require()
    try:
        stopped = workflows.cancel_run(str(run["project"]["repo"]), ci_run_id)
    except WorkflowRefused:
        stopped = False
    return {"outcome": "stopped" if stopped else "nothing-to-stop", "run_id": run_id, "ci_run_id": ci_run_id}
