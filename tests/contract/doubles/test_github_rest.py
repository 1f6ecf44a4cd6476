"""The GitHub double as PyGithub sees it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from github import Auth, Github, GithubException, UnknownObjectException
from github.Repository import Repository

from tests.contract.doubles.conftest import Double

WORKFLOW = """\
name: Deliver
run-name: aicd ${{ inputs.run-id }}
on:
  workflow_dispatch:
    inputs:
      run-id: {required: true, type: string}
      spec-id: {type: string}
      dry: {type: boolean, default: false}
      mode: {type: choice, options: [fast, full], default: full}
  repository_dispatch:
    types: [spec_ingested]
jobs: {}
"""
FILES = {"README.md": "# Demo\n", "src/app.py": "x = 1\n", ".github/workflows/deliver.yml": WORKFLOW}


def client(double: Double, token: str) -> Github:
    return Github(
        auth=Auth.Token(token), base_url=double.url, retry=None, seconds_between_requests=0, seconds_between_writes=0
    )


@pytest.fixture
def repo(github: Double) -> Repository:
    name = f"demo-{secrets.token_hex(4)}"
    github.control("repos", owner="acme", name=name, files=FILES)
    token = github.control("tokens")["token"]
    return client(github, token).get_repo(f"acme/{name}")


@pytest.fixture
def branch(repo: Repository) -> str:
    """A branch one commit ahead of main: a file added, one changed."""
    name = f"aicd/{secrets.token_hex(2)}/s1"
    repo.create_git_ref(f"refs/heads/{name}", repo.get_branch("main").commit.sha)
    repo.create_file("src/new.py", "add it", "y = 2\n", branch=name)
    app = repo.get_contents("src/app.py", ref=name)
    assert not isinstance(app, list)
    repo.update_file("src/app.py", "change it", "x = 2\n", app.sha, branch=name)
    return name


def test_repository_user_and_limits_are_complete_objects(repo: Repository, github: Double) -> None:
    hub = client(github, github.control("tokens", login="octo")["token"])
    assert hub.get_user().login == "octo"
    assert hub.get_rate_limit().resources.core.limit == 5000
    assert (repo.default_branch, repo.private, repo.clone_url) == ("main", True, f"{github.url}/{repo.full_name}.git")


def test_repository_created_again_is_the_same_one(repo: Repository, github: Double) -> None:
    again = github.control("repos", owner=repo.owner.login, name=repo.name, files={"other": "x"})
    assert (again["created"], again["id"]) == (False, repo.id)


def test_twin_creations_make_one_repository(github: Double) -> None:
    name = f"twin-{secrets.token_hex(4)}"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: github.control("repos", owner="acme", name=name, files=FILES), range(8)))
    assert sum(answer["created"] for answer in made) == 1
    assert len({answer["head_sha"] for answer in made}) == 1


def test_files_and_folders_come_from_git(repo: Repository, branch: str) -> None:
    file = repo.get_contents("src/new.py", ref=branch)
    folder = repo.get_contents("src", ref=branch)
    assert not isinstance(file, list) and isinstance(folder, list)
    assert file.decoded_content == b"y = 2\n"
    assert [entry.name for entry in folder] == ["app.py", "new.py"]
    with pytest.raises(UnknownObjectException):
        repo.get_contents("src/new.py", ref="main")


def test_refs_are_made_moved_and_deleted(repo: Repository, branch: str) -> None:
    main = repo.get_git_ref("heads/main").object.sha
    ref = repo.get_git_ref(f"heads/{branch}")
    with pytest.raises(GithubException, match="already exists"):
        repo.create_git_ref(f"refs/heads/{branch}", main)
    with pytest.raises(GithubException, match="not a fast forward"):
        ref.edit(main)
    ref.edit(main, force=True)
    assert repo.get_branch(branch).commit.sha == main
    ref.delete()
    assert branch not in [known.name for known in repo.get_branches()]


def test_commits_and_comparison_tell_what_changed(repo: Repository, branch: str) -> None:
    compared = repo.compare("main", branch)
    assert (compared.status, compared.ahead_by, compared.behind_by) == ("ahead", 2, 0)
    changed = [(file.filename, file.status, file.additions) for file in compared.files]
    assert changed == [("src/app.py", "modified", 1), ("src/new.py", "added", 1)]
    newest = repo.get_commit(branch)
    assert newest.commit.message == "change it"
    assert newest.files[0].patch.startswith("@@ -1 +1 @@")
    assert repo.get_commits(sha=branch)[0].sha == newest.sha


def test_pull_request_lives_from_draft_to_merge(repo: Repository, branch: str) -> None:
    pull = repo.create_pull(base="main", head=branch, title="Sprint 1", body="It works", draft=True)
    assert (pull.mergeable, pull.changed_files, pull.commits, pull.additions) == (True, 2, 2, 2)
    assert [file.filename for file in pull.get_files()] == ["src/app.py", "src/new.py"]
    with pytest.raises(GithubException, match="draft"):
        pull.merge()
    pull.add_to_labels("aicd", "needs review")
    comment = pull.create_issue_comment("verdict: PASSED")
    comment.edit("verdict: FAILED")
    assert [known.body for known in pull.get_issue_comments()] == ["verdict: FAILED"]
    assert [label.name for label in pull.get_labels()] == ["aicd", "needs review"]
    pull.edit(title="Sprint one", body="Better", state="closed")
    assert repo.get_pull(pull.number).state == "closed"


@pytest.mark.parametrize("method", ["merge", "squash"])
def test_merge_moves_the_base_in_git(repo: Repository, branch: str, method: str) -> None:
    pull = repo.create_pull(base="main", head=branch, title="Sprint 1", body="")
    with pytest.raises(GithubException, match="Head branch was modified"):
        pull.merge(sha="0" * 40)
    merged = pull.merge(merge_method=method, sha=pull.head.sha)
    assert merged.merged and pull.is_merged()
    assert repo.get_branch("main").commit.sha == merged.sha
    assert len(repo.get_commit(merged.sha).parents) == (1 if method == "squash" else 2)
    assert repo.get_pull(pull.number).merged


def test_conflicting_pull_request_is_not_mergeable(repo: Repository, branch: str) -> None:
    app = repo.get_contents("src/app.py")
    assert not isinstance(app, list)
    repo.update_file("src/app.py", "other", "x = 3\n", app.sha, branch="main")
    pull = repo.create_pull(base="main", head=branch, title="Sprint 1", body="")
    assert (pull.mergeable, pull.mergeable_state) == (False, "dirty")
    with pytest.raises(GithubException, match="not mergeable"):
        pull.merge()


def test_second_pull_request_of_a_branch_is_refused(repo: Repository, branch: str) -> None:
    first = repo.create_pull(base="main", head=branch, title="one", body="")
    with pytest.raises(GithubException, match="A pull request already exists") as refusal:
        repo.create_pull(base="main", head=branch, title="two", body="")
    assert refusal.value.status == 422
    assert [pull.number for pull in repo.get_pulls(head=f"acme:{branch}", base="main")] == [first.number]
    with pytest.raises(GithubException, match="No commits between"):
        repo.create_pull(base=branch, head="main", title="empty", body="")


def test_twenty_twin_pull_requests_make_one(repo: Repository, branch: str, github: Double) -> None:
    def attempt(_: int) -> int:
        body = {"title": "t", "head": branch, "base": "main"}
        headers = {"authorization": f"Bearer {repo.requester.auth.token}"}
        return github.client.post(f"/repos/{repo.full_name}/pulls", json=body, headers=headers).status_code

    with ThreadPoolExecutor(20) as pool:
        statuses = sorted(pool.map(attempt, range(20)))
    assert statuses == [201, *[422] * 19]


def test_check_runs_are_created_completed_and_listed(repo: Repository) -> None:
    sha = repo.get_branch("main").commit.sha
    note = {"path": "src/app.py", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "bad"}
    check = repo.create_check_run("aicd / gate", sha, status="in_progress")
    check.edit(conclusion="failure", output={"title": "FAILED", "summary": "2 of 9", "annotations": [note]})
    found = repo.get_commit(sha).get_check_runs(check_name="aicd / gate")[0]
    assert (found.status, found.conclusion, found.output.annotations_count) == ("completed", "failure", 1)
    check.edit(output={"title": "FAILED", "summary": "2 of 9", "annotations": [note] * 50})
    assert repo.get_check_run(check.id).output.annotations_count == 51


def test_statuses_are_combined_worst_first(repo: Repository) -> None:
    commit = repo.get_branch("main").commit
    commit.create_status("success", context="lint")
    commit.create_status("failure", context="tests", description="2 failed")
    assert commit.get_combined_status().state == "failure"
    commit.create_status("success", context="tests")
    assert commit.get_combined_status().state == "success"


def test_dispatch_with_details_binds_a_queued_run(repo: Repository, github: Double) -> None:
    workflow = repo.get_workflow("deliver.yml")
    run = workflow.create_dispatch("main", {"run-id": "r-1", "dry": True}, throw=True, return_run_details=True)
    assert not isinstance(run, bool)
    seen = repo.get_workflow_run(run.id)
    assert (seen.status, seen.event, seen.display_title, seen.path) == (
        "queued", "workflow_dispatch", "aicd r-1", ".github/workflows/deliver.yml",
    )  # fmt: skip
    mine = github.client.get("/_double/runs", params={"status": "queued", "repository": repo.full_name}).json()
    assert mine[0]["inputs"] == {"run-id": "r-1", "spec-id": "", "dry": "true", "mode": "full"}
    github.control(f"runs/{run.id}", status="in_progress", expected="queued")
    taken = github.client.post(f"/_double/runs/{run.id}", json={"status": "in_progress", "expected": "queued"})
    assert taken.status_code == 409
    github.control(f"runs/{run.id}", status="completed", conclusion="success")
    assert [known.id for known in workflow.get_runs(status="success")] == [run.id]


def test_dispatch_follows_the_api_version(repo: Repository, github: Double) -> None:
    address = f"/repos/{repo.full_name}/actions/workflows/deliver.yml/dispatches"
    headers = {"authorization": f"token {repo.requester.auth.token}"}
    body = {"ref": "main", "inputs": {"run-id": "r-2"}}
    old = github.client.post(address, json=body, headers=headers)
    new = github.client.post(address, json=body, headers=headers | {"x-github-api-version": "2026-03-10"})
    assert (old.status_code, new.status_code) == (204, 200)
    assert new.json()["run_url"] == f"{github.url}/repos/{repo.full_name}/actions/runs/{new.json()['workflow_run_id']}"


@pytest.mark.parametrize(
    ("inputs", "ref", "message"),
    [
        ({}, "main", "Required input 'run-id' not provided"),
        ({"run-id": "1", "typo": "x"}, "main", 'Unexpected inputs provided: \\["typo"\\]'),
        ({"run-id": "1", "mode": "slow"}, "main", "not in the list of allowed values"),
        ({"run-id": "1"}, "gone", "No ref found for: gone"),
    ],
)
def test_dispatch_that_does_not_fit_is_422(repo: Repository, inputs: dict[str, str], ref: str, message: str) -> None:
    with pytest.raises(GithubException, match=message) as refusal:
        repo.get_workflow("deliver.yml").create_dispatch(ref, inputs, throw=True)
    assert refusal.value.status == 422


def test_workflow_that_is_not_on_the_default_branch_is_unknown(repo: Repository, branch: str) -> None:
    repo.create_file(".github/workflows/other.yml", "add", "on: workflow_dispatch\n", branch=branch)
    with pytest.raises(UnknownObjectException):
        repo.get_workflow("other.yml")


def test_repository_dispatch_starts_the_workflows_that_listen(repo: Repository) -> None:
    assert repo.create_repository_dispatch("spec_ingested", {"spec_id": "s"})
    assert repo.create_repository_dispatch("something_else", {})
    assert [(run.event, run.head_branch) for run in repo.get_workflow_runs()] == [("repository_dispatch", "main")]


def test_cancel_ends_a_waiting_run_and_asks_a_running_one(repo: Repository, github: Double) -> None:
    workflow = repo.get_workflow("deliver.yml")
    waiting, running = (
        workflow.create_dispatch("main", {"run-id": str(n)}, throw=True, return_run_details=True) for n in range(2)
    )
    github.control(f"runs/{running.id}", status="in_progress")
    assert repo.get_workflow_run(waiting.id).cancel() and repo.get_workflow_run(running.id).cancel()
    assert repo.get_workflow_run(waiting.id).conclusion == "cancelled"
    assert repo.get_workflow_run(running.id).status == "in_progress"
    assert github.client.get(f"/_double/runs/{running.id}").json()["cancel_requested"]
    assert not repo.get_workflow_run(waiting.id).cancel()


def test_lists_are_paged_with_links(repo: Repository) -> None:
    main = repo.get_branch("main").commit.sha
    for number in range(35):
        repo.create_git_ref(f"refs/heads/b{number:02}", main)
    assert len(list(repo.get_branches())) == 36


@pytest.mark.parametrize(
    ("permissions", "attempt", "status"),
    [
        (
            {"contents": "read"},
            lambda repo: repo.create_git_ref("refs/heads/x", repo.get_branch("main").commit.sha),
            403,
        ),
        ({"contents": "write"}, lambda repo: repo.create_pull(base="main", head="main", title="t"), 403),
        ({"contents": "write"}, lambda repo: repo.get_workflow("deliver.yml"), 403),
        ({"actions": "write"}, lambda repo: repo.get_contents("README.md"), 403),
    ],
)
def test_token_without_the_permission_is_403(
    repo: Repository, github: Double, permissions: dict[str, str], attempt: Callable[[Repository], object], status: int
) -> None:
    token = github.control("tokens", permissions=permissions)["token"]
    with pytest.raises(GithubException, match="Resource not accessible") as refusal:
        attempt(client(github, token).get_repo(repo.full_name))
    assert refusal.value.status == status


def test_unknown_token_is_401_and_foreign_repository_404(repo: Repository, github: Double) -> None:
    with pytest.raises(GithubException) as refusal:
        client(github, "ghs_unknown").get_repo(repo.full_name)
    assert refusal.value.status == 401
    elsewhere = github.control("tokens", repositories=["acme/elsewhere"])["token"]
    with pytest.raises(UnknownObjectException):
        client(github, elsewhere).get_repo(repo.full_name)


def test_secrets_are_kept_for_the_runner(repo: Repository, github: Double) -> None:
    github.client.put(f"/_double/repos/{repo.full_name}/secrets/aicd_token", json={"value": "s3cret"})
    assert github.client.get(f"/_double/repos/{repo.full_name}/secrets").json() == {"AICD_TOKEN": "s3cret"}
