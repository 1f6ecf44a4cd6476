"""What the GitHub double remembers beyond git itself: repositories, tokens, pull requests, comments, checks, runs.

Times are ISO 8601 in UTC with a Z, as GitHub writes them. What git knows (branches, commits, files) is read from git.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Level = Literal["read", "write"]
PERMISSIONS = (
    "contents",
    "pull_requests",
    "issues",
    "actions",
    "checks",
    "statuses",
)
EVERYTHING: dict[str, Level] = dict.fromkeys(PERMISSIONS, "write")


class Noun(BaseModel):
    """Frozen, like every noun."""

    model_config = ConfigDict(frozen=True)


class Repository(Noun):
    """`requires_checks`: its branches may only be merged into when checks have passed, so a merge has to wait."""

    id: int
    owner: str
    owner_id: int
    name: str
    default_branch: str
    private: bool
    description: str | None = None
    allow_auto_merge: bool = False
    merge_methods: tuple[Literal["merge", "squash", "rebase"], ...] = ("merge", "squash")
    requires_checks: bool = False
    created_at: str

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"


class Token(Noun):
    """`repositories` None means all of them, of `owner` alone where one is named. `login` is who acts."""

    token: str
    login: str
    permissions: dict[str, Level]
    repositories: tuple[str, ...] | None = None
    ends_at: str | None = None
    owner: str | None = None

    def may(self, repository: str, permission: str, level: Level) -> bool:
        held = self.permissions.get(permission)
        return self.sees(repository) and (held == "write" or held == level)

    def sees(self, repository: str) -> bool:
        if self.owner is not None and repository.partition("/")[0].lower() != self.owner.lower():
            return False
        return self.repositories is None or repository.lower() in (name.lower() for name in self.repositories)


class App(Noun):
    """A GitHub App. `public_key` is PEM; its other half is shown once, when the app is made."""

    id: int
    client_id: str
    slug: str
    public_key: str
    permissions: dict[str, Level]

    def as_token(self) -> Token:
        """An app by itself may do nothing to a repository."""
        return Token(token="", login=f"{self.slug}[bot]", permissions={}, repositories=())


class Installation(Noun):
    """`repositories` None means all of the owner's."""

    id: int
    app_id: int
    owner: str
    repositories: tuple[str, ...] | None = None
    created_at: str

    def covers(self, repository: Repository) -> bool:
        names = None if self.repositories is None else {name.lower() for name in self.repositories}
        mine = repository.owner.lower() == self.owner.lower()
        return mine and (names is None or repository.full_name.lower() in names)


class AutoMerge(Noun):
    """`commit` was the head when it was asked for."""

    by: str
    method: str
    commit: str


class Pull(Noun):
    """`head_sha` and `base_sha` are frozen when the pull request is closed; while it is open git is asked."""

    id: int
    repository: str
    number: int
    title: str
    body: str | None
    head: str
    base: str
    author: str
    state: Literal["open", "closed"] = "open"
    draft: bool = False
    labels: tuple[str, ...] = ()
    head_sha: str
    base_sha: str
    merged_at: str | None = None
    merged_by: str | None = None
    merge_commit_sha: str | None = None
    auto_merge: AutoMerge | None = None
    created_at: str
    updated_at: str
    closed_at: str | None = None


class Comment(Noun):
    id: int
    repository: str
    issue: int
    author: str
    body: str
    created_at: str
    updated_at: str


class Label(Noun):
    id: int
    repository: str
    name: str
    color: str
    description: str | None = None


class CheckRun(Noun):
    id: int
    repository: str
    name: str
    head_sha: str
    status: str
    conclusion: str | None
    details_url: str | None
    external_id: str
    started_at: str | None
    completed_at: str | None
    title: str | None = None
    summary: str | None = None
    text: str | None = None
    annotations: tuple[dict[str, Any], ...] = ()


class Status(Noun):
    id: int
    repository: str
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: str
    created_at: str


class Run(Noun):
    """One workflow run. `inputs` are strings, as a job sees them in github.event.inputs."""

    id: int
    repository: str
    workflow_path: str
    workflow_name: str
    title: str
    event: str
    ref: str
    sha: str
    actor: str
    number: int
    attempt: int = 1
    inputs: dict[str, str] = {}
    event_action: str | None = None
    client_payload: dict[str, Any] = {}
    status: str = "queued"
    conclusion: str | None = None
    cancel_requested: bool = False
    created_at: str
    updated_at: str
    started_at: str | None = None


class Secret(Noun):
    repository: str
    name: str
    value: str
