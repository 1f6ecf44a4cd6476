"""Whether signed claims are those of the one job that a run trusts: every claim in one of three tables.

Required claims must be there, be texts, and pass their check. Optional ones must pass where they are present. Ignored
ones are named with the reason. Any other is new to us: it is logged and not believed.
Source: docs.github.com/actions/reference/security/oidc; the choice follows warehouse, oidc/models/github.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from controlplane.errors import BrokenPromise
from functions.runner_token.identity import SIGNED_FOR_US
from functions.runner_token.trust import Trust

Claims = Mapping[str, Any]
# The code of the refusal, empty when the claim is as it must be.
Check = Callable[[str, Trust, Claims], str]

NUMBER = re.compile(r"[1-9][0-9]{0,19}")
ATTEMPT = re.compile(r"[1-9][0-9]{0,5}")
COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
TOKEN_ID = re.compile(r"[\x21-\x7e]{1,200}")
# Each is started by somebody who may write to the repository. pull_request_target runs for strangers; so may others.
EVENTS = ("workflow_dispatch", "repository_dispatch")
RUNNERS = ("github-hosted", "self-hosted")
SCOPES = {"aicd-build": "build", "aicd-publish": "publish"}
LIMIT_CHARACTERS = 1_000


def _repository(value: str, trust: Trust, _: Claims) -> str:
    return "" if value.lower() == trust.repository.lower() else "run-not-yours"


def _owner(value: str, trust: Trust, _: Claims) -> str:
    return "" if value.lower() == trust.repository.partition("/")[0].lower() else "run-not-yours"


def _repository_id(value: str, trust: Trust, _: Claims) -> str:
    if not trust.repository_id or not trust.repository_owner_id:
        return "project-not-pinned"
    return "" if value == trust.repository_id else "run-not-yours"


def _owner_id(value: str, trust: Trust, _: Claims) -> str:
    return "" if value == trust.repository_owner_id else "run-not-yours"


def _ref(value: str, trust: Trust, _: Claims) -> str:
    return "" if value in trust.refs else "ref-not-trusted"


def _workflow(value: str, trust: Trust, claims: Claims) -> str:
    """The project's file, as it stands on the ref that is trusted."""
    own = f"{claims.get('repository')}/.github/workflows/{trust.workflow}@{claims.get('ref')}"
    return "" if value == own else "workflow-not-trusted"


def _job_workflow(value: str, trust: Trust, claims: Claims) -> str:
    """The file that holds the job: the workflow itself, or a reusable one that the project's policy names."""
    return "" if value == claims.get("workflow_ref") or value in trust.job_workflows else "workflow-not-trusted"


def _event(value: str, _: Trust, __: Claims) -> str:
    return "" if value in EVENTS else "event-not-trusted"


def _ci_run(value: str, trust: Trust, _: Claims) -> str:
    if not NUMBER.fullmatch(value):
        return "identity-not-understood"
    if not trust.ci_run_id:
        return "" if trust.binds_first_ci_run else "run-not-bound"
    return "" if value == trust.ci_run_id else "other-ci-run"


def _runner(value: str, _: Trust, __: Claims) -> str:
    return "" if value in RUNNERS else "identity-not-understood"


def _environment(value: str, _: Trust, __: Claims) -> str:
    return "" if value in SCOPES else "environment-not-trusted"


def _shaped(pattern: re.Pattern[str]) -> Check:
    return lambda value, _trust, _claims: "" if pattern.fullmatch(value) else "identity-not-understood"


# In this order: until repository and owner are proven, the caller learns nothing about the run.
REQUIRED: dict[str, Check] = {
    "repository": _repository,
    "repository_owner": _owner,
    "repository_id": _repository_id,
    "repository_owner_id": _owner_id,
    "ref": _ref,
    "event_name": _event,
    "workflow_ref": _workflow,
    "job_workflow_ref": _job_workflow,
    "run_id": _ci_run,
    "run_attempt": _shaped(ATTEMPT),
    "runner_environment": _runner,
    "sha": _shaped(COMMIT),
    "jti": _shaped(TOKEN_ID),
}
OPTIONAL: dict[str, Check] = {"environment": _environment}
IGNORED: dict[str, str] = {
    "sub": "owners can replace its template, and its form has changed before",
    "nbf": "checked with the signature, where present",
    "actor": "anybody who may start the workflow; kept in the audit log",
    "actor_id": "as actor",
    "base_ref": "only of pull requests, whose events are refused",
    "head_ref": "as base_ref",
    "check_run_id": "the run is what is bound, not one of its checks",
    "enterprise": "repository and owner are pinned by number",
    "enterprise_id": "as enterprise",
    "job_workflow_sha": "job_workflow_ref is compared",
    "ref_protected": "a rule of the repository that we cannot see; ref is compared",
    "ref_type": "ref is compared whole",
    "repository_visibility": "may change; the number does not",
    "run_number": "run_id is compared",
    "workflow": "a name that anybody may choose; workflow_ref is compared",
    "workflow_sha": "workflow_ref names the file on the trusted ref",
}


def find_fault(claims: Claims, trust: Trust, required: Mapping[str, Check] = REQUIRED) -> str:
    """The code of the first refusal, empty when every table is satisfied."""
    if not required:
        raise BrokenPromise("No claim is required: every token of GitHub's would be believed.")
    for name, check in required.items():
        value = claims.get(name)
        if not isinstance(value, str) or not value or len(value) > LIMIT_CHARACTERS:
            return "identity-not-understood"
        if fault := check(value, trust, claims):
            return fault
    for name, check in OPTIONAL.items():
        if name in claims and (
            fault := check(claims[name], trust, claims) if isinstance(claims[name], str) else "identity-not-understood"
        ):
            return fault
    return "environment-missing" if trust.needs_environment and "environment" not in claims else ""


def scope_of(claims: Claims) -> str:
    """`build` or `publish` by the job's environment; `both` for a job without one. Only for claims without a fault."""
    return SCOPES[claims["environment"]] if "environment" in claims else "both"


def find_unknown(claims: Claims) -> list[str]:
    """Names of claims that no table has."""
    known = {*SIGNED_FOR_US, *REQUIRED, *OPTIONAL, *IGNORED}
    return sorted(name for name in claims if name not in known and not name.startswith("repo_property_"))
