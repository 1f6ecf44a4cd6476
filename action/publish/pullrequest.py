"""Opening the pull request, or updating the one that is there: found by its head branch before it is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from controlplane.errors import AicdError, CallerError, NotAllowed, NotFound, OutsideError
from controlplane.noun import Noun

if TYPE_CHECKING:
    from github.PullRequest import PullRequest
    from github.Repository import Repository

TIMEOUT_SECONDS = 30


class Opened(Noun):
    """`note` says what could not be done as asked. `is_ours` is false of one that somebody else wrote."""

    url: str
    number: int
    draft: bool
    is_ours: bool = True
    note: str = ""


class Wanted(Noun):
    """`marker` is the line by which an existing pull request is known as ours."""

    head: str
    base: str
    title: str
    body: str
    draft: bool
    marker: str


def connect(api_url: str, token: str, repository: str) -> Repository:
    """A repository at GitHub, without a request so far."""
    from github import Auth, Github, GithubRetry

    client = Github(
        auth=Auth.Token(token),
        base_url=api_url,
        timeout=TIMEOUT_SECONDS,
        retry=GithubRetry(total=3),
        seconds_between_requests=0,
        seconds_between_writes=0,
    )
    return client.get_repo(repository, lazy=True)


def open_pull_request(repository: Repository, name: str, wanted: Wanted) -> Opened:
    """The open pull request of the head branch, new or brought up to date; raises our errors."""
    owner = name.split("/")[0]
    with translated(name):
        there = find_open(repository, owner, wanted.head)
        return _create(repository, owner, wanted) if there is None else _update(there, wanted)


def find_open(repository: Repository, owner: str, head: str) -> PullRequest | None:
    """The open pull request of this branch, whoever wrote it. Raises PyGithub's errors."""
    return next(iter(list_open(repository, owner, head)), None)


def list_open(repository: Repository, owner: str, head: str) -> list[PullRequest]:
    """All of them: a branch may have one for each target. Raises PyGithub's errors."""
    found = repository.get_pulls(state="open", head=f"{owner}:{head}")
    return [one for one in found if one.head.ref == head]


def _update(there: PullRequest, wanted: Wanted) -> Opened:
    if wanted.marker not in (there.body or ""):
        note = "The branch has a pull request that somebody else wrote; its text was left alone."
        return Opened(url=there.html_url, number=there.number, draft=bool(there.draft), is_ours=False, note=note)
    if there.base.ref == wanted.base:
        there.edit(title=wanted.title, body=wanted.body)
    else:
        there.edit(title=wanted.title, body=wanted.body, base=wanted.base)
    note = ""
    if bool(there.draft) != wanted.draft:
        note = "It stays a draft until somebody marks it as ready." if there.draft else "It was marked as ready before."
    return Opened(url=there.html_url, number=there.number, draft=bool(there.draft), note=note)


def _create(repository: Repository, owner: str, wanted: Wanted) -> Opened:
    from github import GithubException

    made: dict[str, Any] = {"title": wanted.title, "body": wanted.body, "head": wanted.head, "base": wanted.base}
    note = ""
    try:
        one = repository.create_pull(**made, draft=wanted.draft)
    except GithubException as error:
        words = str(error.data).lower()
        if error.status == 422 and "already exists" in words:
            there = find_open(repository, owner, wanted.head)
            if there is not None:
                return _update(there, wanted)
        if not (error.status == 422 and wanted.draft and "draft" in words):
            raise
        note = "This repository's plan has no drafts, so it was opened as ready."
        one = repository.create_pull(**made, draft=False)
    return Opened(url=one.html_url, number=one.number, draft=bool(one.draft), note=note)


@contextmanager
def translated(repository: str, wish: str = "open a pull request in") -> Iterator[None]:
    """PyGithub's and its transport's exceptions as ours; the answer's body is never passed on."""
    from github import GithubException
    from requests import RequestException

    try:
        yield
    except GithubException as error:
        raise _as_ours(error.status, error.data, repository, wish) from error
    except RequestException as error:
        raise OutsideError("GitHub could not be reached.", "Run again.", "github-unreachable") from error


def _as_ours(status: int, data: Any, repository: str, wish: str) -> AicdError:
    said = words_of(data)
    if status in (401, 403):
        fix = "Give `github-token` the permission `pull-requests: write`, and allow Actions to create pull requests."
        return NotAllowed(f"GitHub did not let us {wish} {repository} ({status}: {said}).", fix)
    if status == 404:
        return NotFound(f"GitHub knows no repository {repository} for this token.", "Check `target-repository`.")
    if status == 422:
        return CallerError(f"GitHub refused the pull request: {said}.", "Check its branch and target.", "pr-refused")
    return OutsideError(f"GitHub answered {status} ({said}).", "Run again.", "github-error")


def words_of(data: Any) -> str:
    """GitHub's message and the fields it names; nothing else of its answer."""
    if not isinstance(data, dict):
        return "no reason given"
    errors = [error for error in data.get("errors") or () if isinstance(error, dict)]
    named = [str(error.get("message") or f"{error.get('field')} is {error.get('code')}") for error in errors[:3]]
    return "; ".join([str(data.get("message", "")), *named])[:300]
