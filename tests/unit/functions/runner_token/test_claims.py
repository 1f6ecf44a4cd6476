"""Which jobs a run trusts, claim by claim."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from controlplane.errors import BrokenPromise
from functions.runner_token.claims import IGNORED, OPTIONAL, REQUIRED, find_fault, find_unknown, scope_of
from functions.runner_token.refusals import OUTCOMES, REFUSALS, refuse
from functions.runner_token.trust import Trust

Claims = Callable[..., dict[str, Any]]
MakeTrust = Callable[..., Trust]
FILE = "acme/shop/.github/workflows/aicd.yml"


def test_job_of_the_dispatched_run_is_trusted(claims: Claims, trust: MakeTrust) -> None:
    assert find_fault(claims(), trust()) == ""
    assert find_fault(claims(event_name="repository_dispatch", runner_environment="github-hosted"), trust()) == ""


@pytest.mark.parametrize("name", list(REQUIRED))
@pytest.mark.parametrize("value", [None, "", 7, ["x"], True, "x" * 2000], ids=repr)
def test_required_claim_that_is_absent_or_no_text_is_refused(
    claims: Claims, trust: MakeTrust, name: str, value: Any
) -> None:
    assert find_fault(claims(**{name: value}), trust()) == "identity-not-understood"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"repository": "acme/shop2"}, "run-not-yours"),
        ({"repository": "evil/shop", "repository_owner": "evil"}, "run-not-yours"),
        ({"repository_owner": "evil"}, "run-not-yours"),
        ({"repository_id": "75"}, "run-not-yours"),
        ({"repository_owner_id": "66"}, "run-not-yours"),
        ({"repository_owner_id": "065"}, "run-not-yours"),
        ({"ref": "refs/heads/evil"}, "ref-not-trusted"),
        ({"ref": "refs/heads/Main"}, "ref-not-trusted"),
        ({"ref": "refs/tags/main"}, "ref-not-trusted"),
        ({"ref": "main"}, "ref-not-trusted"),
        ({"ref": "refs/pull/1/merge"}, "ref-not-trusted"),
        ({"workflow_ref": f"{FILE}@refs/heads/evil"}, "workflow-not-trusted"),
        ({"workflow_ref": "acme/shop/.github/workflows/other.yml@refs/heads/main"}, "workflow-not-trusted"),
        ({"workflow_ref": "acme/shop/.github/workflows/x/aicd.yml@refs/heads/main"}, "workflow-not-trusted"),
        ({"workflow_ref": "evil/shop/.github/workflows/aicd.yml@refs/heads/main"}, "workflow-not-trusted"),
        ({"job_workflow_ref": "evil/x/.github/workflows/aicd.yml@refs/heads/main"}, "workflow-not-trusted"),
        ({"event_name": "pull_request_target"}, "event-not-trusted"),
        ({"event_name": "pull_request"}, "event-not-trusted"),
        ({"event_name": "push"}, "event-not-trusted"),
        ({"event_name": "schedule"}, "event-not-trusted"),
        ({"event_name": "workflow_run"}, "event-not-trusted"),
        ({"event_name": "issue_comment"}, "event-not-trusted"),
        ({"event_name": "Workflow_Dispatch"}, "event-not-trusted"),
        ({"run_id": "901"}, "other-ci-run"),
        ({"run_id": "0900"}, "identity-not-understood"),
        ({"run_id": "900\n"}, "identity-not-understood"),
        ({"run_attempt": "0"}, "identity-not-understood"),
        ({"run_attempt": "-1"}, "identity-not-understood"),
        ({"runner_environment": "somewhere"}, "identity-not-understood"),
        ({"sha": "HEAD"}, "identity-not-understood"),
        ({"jti": "a b"}, "identity-not-understood"),
        ({"jti": "j" * 201}, "identity-not-understood"),
        ({"environment": "production"}, "environment-not-trusted"),
        ({"environment": "aicd-build "}, "environment-not-trusted"),
        ({"environment": "AICD-Build"}, "environment-not-trusted"),
        ({"environment": ""}, "environment-not-trusted"),
        ({"environment": ["aicd-build"]}, "identity-not-understood"),
    ],
    ids=str,
)
def test_job_that_differs_in_one_claim_is_refused(
    claims: Claims, trust: MakeTrust, changes: dict[str, Any], fault: str
) -> None:
    assert find_fault(claims(**changes), trust()) == fault


def test_repository_that_nobody_pinned_is_refused_and_never_learnt(claims: Claims, trust: MakeTrust) -> None:
    for unpinned in (trust(repository_id=None, repository_owner_id=None), trust(repository_owner_id=None)):
        assert find_fault(claims(), unpinned) == "project-not-pinned"
        assert find_fault(claims(repository="evil/shop"), unpinned) == "run-not-yours", "a stranger is not told"


def test_run_that_nobody_bound_is_refused_unless_the_policy_binds(claims: Claims, trust: MakeTrust) -> None:
    assert find_fault(claims(), trust(ci_run_id=None)) == "run-not-bound"
    assert find_fault(claims(), trust({"bind_first_ci_run": True}, ci_run_id=None)) == ""
    assert find_fault(claims(), trust({"bind_first_ci_run": "yes"}, ci_run_id=None)) == "run-not-bound"


def test_policy_names_other_refs_instead_of_the_default_branch(claims: Claims, trust: MakeTrust) -> None:
    policy = {"trusted_refs": ["refs/heads/release"]}
    ref = "refs/heads/release"
    file = f"{FILE}@{ref}"
    assert find_fault(claims(ref=ref, workflow_ref=file, job_workflow_ref=file), trust(policy)) == ""
    assert find_fault(claims(), trust(policy)) == "ref-not-trusted"
    for unreadable in ("refs/heads/main", [], [7], {}, True):
        assert find_fault(claims(), trust({"trusted_refs": unreadable})) == "ref-not-trusted"


def test_reusable_workflow_is_trusted_when_the_policy_names_it(claims: Claims, trust: MakeTrust) -> None:
    reusable = "vendor/aicd/.github/workflows/deliver.yml@refs/tags/v1"
    job = claims(job_workflow_ref=reusable)
    assert find_fault(job, trust()) == "workflow-not-trusted"
    assert find_fault(job, trust({"trusted_job_workflows": [reusable]})) == ""
    assert find_fault(job, trust({"trusted_job_workflows": reusable})) == "workflow-not-trusted"


@pytest.mark.parametrize("workflow", ["aicd.yml", ".github/workflows/aicd.yml"])
def test_workflow_is_named_by_file_or_by_path(claims: Claims, trust: MakeTrust, workflow: str) -> None:
    assert find_fault(claims(), trust(workflow=workflow)) == ""


@pytest.mark.parametrize(
    ("environment", "scope"), [("aicd-build", "build"), ("aicd-publish", "publish"), (None, "both")]
)
def test_scope_is_the_environments(claims: Claims, trust: MakeTrust, environment: str | None, scope: str) -> None:
    job = claims(environment=environment)
    assert find_fault(job, trust()) == ""
    assert scope_of(job) == scope


def test_policy_may_ask_for_an_environment(claims: Claims, trust: MakeTrust) -> None:
    strict = trust({"require_environment": True})
    assert find_fault(claims(), strict) == "environment-missing"
    assert find_fault(claims(environment="aicd-build"), strict) == ""


def test_empty_list_of_required_claims_is_a_failure(claims: Claims, trust: MakeTrust) -> None:
    with pytest.raises(BrokenPromise):
        find_fault(claims(), trust(), required={})
    assert len(REQUIRED) >= 13


def test_each_claim_is_in_one_table_and_each_ignored_one_has_its_reason() -> None:
    tables = [set(REQUIRED), set(OPTIONAL), set(IGNORED)]
    assert sum(map(len, tables)) == len(set().union(*tables))
    assert all(len(reason) > 5 for reason in IGNORED.values())


def test_claim_that_is_new_to_us_is_named_and_changes_nothing(claims: Claims, trust: MakeTrust) -> None:
    job = claims(repo_property_team="x", brand_new="y")
    assert find_fault(job, trust()) == ""
    assert find_unknown(job) == ["brand_new"]


def test_each_refusal_says_what_and_how(claims: Claims) -> None:
    for code in (*REFUSALS, *OUTCOMES):
        refusal = refuse(code)
        assert refusal.http_status == 403 and refusal.code in REFUSALS
        assert refusal.message.endswith(".") and refusal.fix.endswith(".")
