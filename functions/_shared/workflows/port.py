"""What dispatch may ask of GitHub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from controlplane.errors import CallerError


@dataclass(frozen=True)
class StartedRun:
    """A workflow run as GitHub names it."""

    ci_run_id: str
    url: str


class WorkflowRefused(CallerError):
    """GitHub will never start this workflow as things are."""

    default_code = "workflow-refused"


class Workflows(Protocol):
    """All methods raise `WorkflowRefused` for good and `OutsideError` for now."""

    def start_run(self, repo: str, workflow: str, ref: str, inputs: dict[str, str]) -> StartedRun | None: ...

    def find_run(self, repo: str, workflow: str, run_id: str) -> StartedRun | None: ...

    def cancel_run(self, repo: str, ci_run_id: str) -> bool:
        """Whether GitHub stops it now; False for one that is over."""
        ...
