"""dispatch with a token for each project, or as a GitHub App: which right is used, and what a wrong one leads to."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from functions._shared.settings import Environment, GitHubSettings, Misconfigured
from functions._shared.workflows.access import GitHubAccess
from functions._shared.workflows.github import GitHubWorkflows
from functions._shared.workflows.port import WorkflowRefused

REPO = "acme/greeting"
INPUTS = {"run-id": "r", "spec-id": "s", "correlation-id": "c"}


def outbox(line: Any) -> tuple[str, str]:
    state, error = line.rows("select state, last_error from public.outbox where kind = 'dispatch'")[0]
    return state, str(error)


def app_of(line: Any, owner: str = "acme", **order: Any) -> dict[str, str]:
    made = line.world.github.post("apps", owner=owner, **order)
    return {"AICD_GITHUB_APP_ID": str(made["id"]), "AICD_GITHUB_APP_PRIVATE_KEY": made["private_key"]}


def deliver(line: Any, **variables: str) -> tuple[str, str]:
    """(who started the run on GitHub, what the outbox says)."""
    made = line.ingest()
    line.call(line.function("dispatch", **variables))
    runs = [run for run in line.world.github.get("runs") if made["run_id"] in str(run)]
    return (str(runs[0]["actor"]) if runs else ""), outbox(line)[1]


def token_of(line: Any, login: str, **order: Any) -> str:
    wanted = {"permissions": {"actions": "write", "metadata": "read"}, **order}
    return str(line.world.github.post("tokens", login=login, **wanted)["token"])


def test_app_starts_the_run_where_it_is_installed(line: Any) -> None:
    assert deliver(line, **app_of(line), AICD_GITHUB_TOKEN="")[0] == "aicd[bot]"


def test_line_breaks_of_the_key_may_be_written_out(line: Any) -> None:
    app = app_of(line, slug="flat")
    app["AICD_GITHUB_APP_PRIVATE_KEY"] = app["AICD_GITHUB_APP_PRIVATE_KEY"].replace("\n", "\\n")
    assert deliver(line, **app, AICD_GITHUB_TOKEN="")[0] == "flat[bot]"


@pytest.mark.parametrize(
    ("tokens", "app", "one", "winner"),
    [
        ({"acme/greeting": "exact", "acme": "owner"}, True, True, "exact"),
        ({"ACME/Greeting": "exact", "acme": "owner"}, True, True, "exact"),
        ({"acme": "owner", "acme/other": "other"}, True, True, "owner"),
        ({"other": "other"}, True, True, "aicd[bot]"),
        ({}, True, True, "aicd[bot]"),
        ({"other": "other"}, False, True, "one"),
    ],
    ids=["exact", "exact-in-other-case", "owner", "app-before-the-one", "app", "the-one"],
)
def test_most_exact_right_is_used(line: Any, tokens: dict[str, str], app: bool, one: bool, winner: str) -> None:
    given = {name: token_of(line, login) for name, login in tokens.items()}
    variables = {"AICD_GITHUB_TOKENS": json.dumps(given) if given else "", **(app_of(line) if app else {})}
    assert deliver(line, **variables, AICD_GITHUB_TOKEN=token_of(line, "one") if one else "")[0] == winner


@pytest.mark.parametrize("elsewhere", [{"owner": "other"}, {"repositories": ["acme/other"]}])
def test_app_that_is_not_installed_here_leaves_it_to_the_one_token(line: Any, elsewhere: dict[str, Any]) -> None:
    variables = app_of(line, **elsewhere)
    assert deliver(line, **variables, AICD_GITHUB_TOKEN=token_of(line, "one"))[0] == "one"


def test_repository_without_any_right_ends_the_run_with_the_fix(line: Any) -> None:
    assert deliver(line, **app_of(line, owner="other"), AICD_GITHUB_TOKEN="")[0] == ""
    assert line.rows("select result from public.runs") == [("FAILED",)]
    [(told,)] = line.rows("select message from public.status_events where phase = 'FAILED'")
    assert "Install the GitHub App" in told


def test_app_without_the_permission_is_told_of_it_and_waited_for(line: Any) -> None:
    variables = app_of(line, permissions={"metadata": "read"})
    actor, said = deliver(line, **variables, AICD_GITHUB_TOKEN="")
    assert (actor, "Actions: write" in said) == ("", True)
    assert outbox(line)[0] == "PENDING"


def as_app(line: Any, **order: Any) -> GitHubSettings:
    app = app_of(line, **order)
    key = SecretStr(app["AICD_GITHUB_APP_PRIVATE_KEY"])
    return GitHubSettings(line.world.github.url, app_id=app["AICD_GITHUB_APP_ID"], app_private_key=key)


def _pem() -> str:
    key = rsa.generate_private_key(65537, 2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


@pytest.mark.parametrize(
    ("key", "told"),
    [(_pem(), "github-credentials"), ("-----BEGIN PRIVATE KEY-----\nx\n-----END-----", "cannot be read")],
)
def test_key_that_is_not_the_apps_is_told_of_and_waited_for(line: Any, key: str, told: str) -> None:
    variables = {**app_of(line), "AICD_GITHUB_APP_PRIVATE_KEY": key}
    actor, said = deliver(line, **variables, AICD_GITHUB_TOKEN="")
    assert actor == ""
    assert told in said
    assert outbox(line)[0] == "PENDING"


def test_tokens_of_an_installation_are_used_until_they_end(line: Any) -> None:
    settings = as_app(line)
    access = GitHubAccess(settings)
    first = access.client_for(REPO)
    assert access.client_for(REPO.upper()) is first
    access._open[REPO] = type(access._open[REPO])(first, time.time() - 1)
    assert access.client_for(REPO) is not first


def test_token_that_was_revoked_is_not_used_twice(line: Any) -> None:
    settings = as_app(line)
    workflows = GitHubWorkflows(settings)
    workflows.find_run(REPO, "aicd.yml", "x")
    given = workflows._access.client_for(REPO).requester.auth.token
    line.world.github.client.delete(f"/_double/tokens/{given}").raise_for_status()
    with pytest.raises(Exception, match="does not accept"):
        workflows.find_run(REPO, "aicd.yml", "x")
    assert workflows.find_run(REPO, "aicd.yml", "x") is None


def test_installations_token_may_start_workflows_and_nothing_else(line: Any) -> None:
    settings = as_app(line, permissions={"actions": "write", "contents": "write", "metadata": "read"})
    client = GitHubAccess(settings).client_for(REPO)
    with pytest.raises(Exception, match="403"):
        client.get_repo(REPO).create_git_ref("refs/heads/x", client.get_repo(REPO).get_branch("main").commit.sha)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "AICD_GITHUB_TOKEN is not set"),
        ({"AICD_GITHUB_APP_ID": "1"}, "belong together"),
        ({"AICD_GITHUB_TOKEN": "x", "AICD_GITHUB_APP_PRIVATE_KEY": "-----BEGIN canary"}, "belong together"),
        ({"AICD_GITHUB_APP_ID": "1", "AICD_GITHUB_APP_PRIVATE_KEY": "canary"}, "no private key in PEM"),
        ({"AICD_GITHUB_TOKENS": "canary"}, "no JSON object"),
        ({"AICD_GITHUB_TOKENS": '["canary"]'}, "no JSON object"),
        ({"AICD_GITHUB_TOKENS": '{"acme": ["canary"]}'}, "no JSON object"),
        ({"AICD_GITHUB_TOKENS": '{"acme": " "}'}, "no JSON object"),
        ({"AICD_GITHUB_TOKENS": '{"../x": "canary"}'}, "neither owner/name nor owner"),
    ],
)
def test_settings_that_cannot_work_are_told_without_a_secret(given: dict[str, str], told: str) -> None:
    environment = Environment(given)
    GitHubSettings.read(environment)
    with pytest.raises(Misconfigured) as caught:
        environment.check()
    assert told in caught.value.message
    assert "canary" not in str(caught.value)


def test_name_that_is_no_repository_is_never_asked_for() -> None:
    with pytest.raises(WorkflowRefused):
        GitHubWorkflows(GitHubSettings("http://127.0.0.1:9", SecretStr("x"))).start_run("a/../b", "w", "main", INPUTS)
