"""The GitHub double knows an app by its signed word alone, and gives it no more than it was installed for."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from github import Auth, GithubException, GithubIntegration

from tests.contract.doubles.conftest import Double

FILES = {"README.md": "x"}


@pytest.fixture
def app(github: Double) -> dict[str, Any]:
    github.control("repos", owner="apps", name="one", files=FILES)
    github.control("repos", owner="apps", name="two", files=FILES)
    return github.control("apps", owner="apps", permissions={"actions": "write", "contents": "read"})


def word(app: dict[str, Any], key: str = "", algorithm: str = "RS256", **claims: Any) -> str:
    now = int(time.time())
    told = {"iss": str(app["id"]), "iat": now - 30, "exp": now + 540, **claims}
    return jwt.encode({k: v for k, v in told.items() if v is not None}, key or app["private_key"], algorithm)


def ask(github: Double, path: str, token: str, method: str = "GET", **body: Any) -> Any:
    headers = {"authorization": f"Bearer {token}"}
    return github.client.request(method, path, headers=headers, json=body or None)


@pytest.mark.parametrize("issuer", ["id", "client_id"])
def test_app_finds_its_installation_and_gets_a_token_of_an_hour(
    github: Double, app: dict[str, Any], issuer: str
) -> None:
    hub = GithubIntegration(auth=Auth.AppAuth(app[issuer], app["private_key"]), base_url=github.url)
    found = hub.get_repo_installation("apps", "one")
    given = hub.get_access_token(found.id, {"actions": "write"})
    assert timedelta(minutes=59) < given.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    assert ask(github, "/repos/apps/one", given.token).status_code == 200
    assert ask(github, "/repos/apps/one/contents/README.md", given.token).status_code == 403


@pytest.mark.parametrize(
    ("claim", "seconds_from_now"),
    [("exp", 3600), ("exp", -60), ("iat", 300), ("exp", None)],
    ids=["too-long", "over", "from-the-future", "for-ever"],
)
def test_word_that_is_not_fresh_is_refused(
    github: Double, app: dict[str, Any], claim: str, seconds_from_now: int | None
) -> None:
    at = None if seconds_from_now is None else int(time.time()) + seconds_from_now
    assert ask(github, "/repos/apps/one/installation", word(app, **{claim: at})).status_code == 401


@pytest.mark.parametrize("issuer", ["4711", None], ids=["stranger", "nobody"])
def test_word_of_no_app_is_refused(github: Double, app: dict[str, Any], issuer: str | None) -> None:
    assert ask(github, "/repos/apps/one/installation", word(app, iss=issuer)).status_code == 401


def test_word_of_another_key_or_algorithm_is_refused(github: Double, app: dict[str, Any]) -> None:
    other = github.control("apps", owner="apps")
    for forged in (word(app, other["private_key"]), word(app, "s" * 32, "HS256"), "x.y.z"):
        assert ask(github, "/repos/apps/one/installation", forged).status_code == 401


def test_app_itself_may_not_act_and_a_token_is_no_app(github: Double, app: dict[str, Any]) -> None:
    assert ask(github, "/repos/apps/one", word(app)).status_code == 401
    token = github.control("tokens")["token"]
    assert ask(github, "/repos/apps/one/installation", token).status_code == 401


def test_repository_outside_the_installation_is_not_found(github: Double, app: dict[str, Any]) -> None:
    github.control("repos", owner="elsewhere", name="one", files=FILES)
    narrow = github.control("apps", owner="apps", repositories=["apps/two"])
    assert ask(github, "/repos/elsewhere/one/installation", word(app)).status_code == 404
    assert ask(github, "/repos/apps/one/installation", word(narrow)).status_code == 404
    token = ask(github, f"/app/installations/{app['installation']}/access_tokens", word(app), "POST").json()["token"]
    assert ask(github, "/repos/elsewhere/one", token).status_code == 404


def test_token_is_for_what_was_asked_and_no_more_than_there_is(github: Double, app: dict[str, Any]) -> None:
    path = f"/app/installations/{app['installation']}/access_tokens"
    one = ask(github, path, word(app), "POST", repositories=["one"]).json()["token"]
    assert ask(github, "/repos/apps/one", one).status_code == 200
    assert ask(github, "/repos/apps/two", one).status_code == 404
    assert ask(github, path, word(app), "POST", permissions={"contents": "write"}).status_code == 422
    assert ask(github, path, word(app), "POST", repositories=["three"]).status_code == 422
    other = github.control("apps", owner="apps")
    assert ask(github, path, word(other), "POST").status_code == 404


def test_app_that_asks_with_the_wrong_key_hears_it_through_the_library(github: Double, app: dict[str, Any]) -> None:
    key = github.control("apps", owner="apps")["private_key"]
    hub = GithubIntegration(auth=Auth.AppAuth(app["id"], key), base_url=github.url, retry=None)
    with pytest.raises(GithubException) as caught:
        hub.get_repo_installation("apps", "one")
    assert caught.value.status == 401
