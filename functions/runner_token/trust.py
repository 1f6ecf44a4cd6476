"""Whom one run trusts, as the database has it: its project's pinned repository and policy, and its CI run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Trust:
    """`repository_id` and `repository_owner_id` are empty where nobody pinned them; `ci_run_id` where none is bound."""

    run_id: str
    spec_id: str
    project_id: str
    repository: str
    repository_id: str
    repository_owner_id: str
    refs: tuple[str, ...]
    workflow: str
    job_workflows: tuple[str, ...]
    ci_run_id: str
    binds_first_ci_run: bool
    needs_environment: bool

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Trust:
        """From describe_run_trust_v1's answer. The project's policy may name:

        `trusted_refs` instead of the default branch, `trusted_job_workflows` (reusable workflows, as GitHub writes
        job_workflow_ref), `bind_first_ci_run` (dispatch learns no run id), `require_environment`.
        """
        policy = row.get("policy") or {}
        return cls(
            run_id=str(row["run_id"]),
            spec_id=str(row["spec_id"]),
            project_id=str(row["project_id"]),
            repository=str(row["repo"]),
            repository_id=row.get("repository_id") or "",
            repository_owner_id=row.get("repository_owner_id") or "",
            refs=_exact_texts(policy.get("trusted_refs"), (f"refs/heads/{row['default_branch']}",)),
            workflow=str(row["workflow"]).removeprefix(".github/workflows/"),
            job_workflows=_exact_texts(policy.get("trusted_job_workflows"), ()),
            ci_run_id=row.get("ci_run_id") or "",
            binds_first_ci_run=policy.get("bind_first_ci_run") is True,
            needs_environment=policy.get("require_environment") is True,
        )


def _exact_texts(value: object, default: tuple[str, ...]) -> tuple[str, ...]:
    """A policy that cannot be read trusts nobody, rather than everybody or the default."""
    if value is None:
        return default
    if not isinstance(value, list):
        return ()
    return tuple(text for text in value if isinstance(text, str) and text)
