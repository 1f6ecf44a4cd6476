"""Why a proven identity gets no token: what the answer says, and what to do about it."""

from __future__ import annotations

from controlplane.errors import CallerError

PINNED = "pins the repository: create_project_v1 with repository_id and repository_owner_id (docs/tokens.md)"

# code → (what is wrong, what to do). None says more than the caller's own token and the documentation do.
REFUSALS: dict[str, tuple[str, str]] = {
    "run-not-yours": (
        "There is no such run for this repository.",
        "Check run-id, and that the project names this repository, its id and its owner's id (docs/tokens.md).",
    ),
    "project-not-pinned": (
        "The project does not say which repository id and owner id it trusts.",
        f"Ask the operator, who {PINNED}.",
    ),
    "identity-not-understood": (
        "GitHub's token lacks a claim that is needed, or has it in another form than GitHub documents.",
        "Run on GitHub Actions with `permissions: id-token: write`; docs/tokens.md lists the claims.",
    ),
    "ref-not-trusted": (
        "The workflow did not run on the project's default branch.",
        "Dispatch it on the default branch, or have the operator name the ref in the policy's trusted_refs.",
    ),
    "workflow-not-trusted": (
        "The job is not of the project's workflow file.",
        "Use the file that the project names; a reusable workflow must be in the policy's trusted_job_workflows.",
    ),
    "event-not-trusted": (
        "The workflow was not started by a dispatch.",
        "Start it by workflow_dispatch or repository_dispatch; tokens are given to no other event.",
    ),
    "run-not-bound": (
        "The run is not yet bound to a workflow run.",
        "Try again in a few seconds; a run that nobody dispatched is never bound.",
    ),
    "other-ci-run": (
        "The run belongs to another workflow run.",
        "Nothing to do here: the other workflow run carries it out.",
    ),
    "earlier-attempt": (
        "A later attempt of this workflow run has taken over.",
        "Nothing to do here: the later attempt carries the run out.",
    ),
    "environment-not-trusted": (
        "The job's environment is neither aicd-build nor aicd-publish.",
        "Name one of the two, or none.",
    ),
    "environment-missing": (
        "This project gives tokens only to jobs with an environment.",
        "Give the job `environment: aicd-build` or `aicd-publish`.",
    ),
    "identity-replayed": (
        "This identity token was exchanged before.",
        "Ask GitHub for a fresh one for each exchange.",
    ),
}
# Outcomes of claim_identity_v1 that have another name here.
OUTCOMES = {"replayed": "identity-replayed", "run-not-found": "run-not-yours"}


class ExchangeRefused(CallerError):
    """This identity is not exchanged for a token of that run."""

    default_code = "run-not-yours"
    http_status = 403


def refuse(code: str) -> ExchangeRefused:
    """The refusal with this code, or with what this outcome of the claim is called."""
    code = OUTCOMES.get(code, code)
    message, fix = REFUSALS[code]
    return ExchangeRefused(message, fix, code)
