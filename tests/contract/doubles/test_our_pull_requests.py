"""Our pull requests at GitHub: one per branch, whatever gets lost, and never somebody else's."""

from __future__ import annotations

import subprocess
import uuid
from typing import Any

import pytest

from action.publish.pullrequest import Wanted, connect, open_pull_request
from controlplane.errors import AicdError, NotAllowed, NotFound, OutsideError
from tests.contract.doubles.conftest import Double

TOKEN = "ghs_0123456789abcdefghijABCDEFGHIJ01"
MARKER = "<!-- aicd spec=s sprint=S1 -->"
WANTED = Wanted(head="work", base="main", title="S1: Subtract", body=f"{MARKER}\nfirst", draft=True, marker=MARKER)


@pytest.fixture
def repository(github: Double) -> str:
    name = f"calc-{uuid.uuid4().hex[:8]}"
    github.control("tokens", token=TOKEN)
    github.control("repos", owner="acme", name=name, files={"README.md": "hello\n"})
    bare = github.state / "repos" / "acme" / f"{name}.git"
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    made = ["git", "-C", str(bare), *identity, "commit-tree", "-p", "main", "-m", "Work", "main^{tree}"]
    head = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["git", "-C", str(bare), "update-ref", "refs/heads/work", head], check=True)
    return f"acme/{name}"


def pulls(github: Double, repository: str) -> list[dict[str, Any]]:
    answer = github.client.get(f"/repos/{repository}/pulls", headers={"Authorization": f"Bearer {TOKEN}"})
    found: list[dict[str, Any]] = answer.json()
    return found


def open_it(github: Double, repository: str, wanted: Wanted = WANTED, token: str = TOKEN) -> Any:
    return open_pull_request(connect(github.url, token, repository), repository, wanted)


def test_second_time_the_pull_request_is_found_and_brought_up_to_date(github: Double, repository: str) -> None:
    first = open_it(github, repository)
    again = open_it(github, repository, WANTED.model_copy(update={"title": "Better", "body": f"{MARKER}\nsecond"}))
    assert (first.number, first.draft) == (again.number, True)
    [pull] = pulls(github, repository)
    assert (pull["title"], pull["body"]) == ("Better", f"{MARKER}\nsecond")


def test_pull_request_of_somebody_else_keeps_its_words(github: Double, repository: str) -> None:
    open_it(github, repository, WANTED.model_copy(update={"title": "By hand", "body": "mine", "marker": "mine"}))
    again = open_it(github, repository)
    assert "somebody else" in again.note
    [pull] = pulls(github, repository)
    assert (pull["title"], pull["body"]) == ("By hand", "mine")


def test_answer_that_got_lost_makes_no_second_pull_request(github: Double, repository: str) -> None:
    github.control("faults", api=[{"operation": "pulls/create", "status": 502, "after_effect": True}])
    assert open_it(github, repository).number == pulls(github, repository)[0]["number"]
    assert len(pulls(github, repository)) == 1


def test_branch_that_is_not_there_is_an_error_in_words(github: Double, repository: str) -> None:
    with pytest.raises(AicdError) as caught:
        open_it(github, repository, WANTED.model_copy(update={"head": "nowhere"}))
    assert "head" in str(caught.value)
    assert caught.value.fix


def test_token_that_may_not_is_told_with_the_permission(github: Double, repository: str) -> None:
    weak = "ghs_weak0123456789abcdefghijABCDEFGH"
    github.control("tokens", token=weak, permissions={"contents": "write", "pull_requests": "read"})
    with pytest.raises((NotAllowed, NotFound)) as caught:
        open_it(github, repository, token=weak)
    assert weak not in str(caught.value)


def test_github_that_is_down_is_worth_another_try(github: Double, repository: str) -> None:
    github.control("faults", api=[{"operation": "pulls/list", "status": 503, "times": 50}])
    with pytest.raises(OutsideError):
        open_it(github, repository)


def test_github_that_cannot_be_reached_is_worth_another_try() -> None:
    with pytest.raises(OutsideError):
        open_pull_request(connect("http://127.0.0.1:1", TOKEN, "acme/calc"), "acme/calc", WANTED)
