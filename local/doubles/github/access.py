"""Who may do what: tokens, and the permission that each operation asks of them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime

from local.doubles.exchange import Call, Match, RefusedCall
from local.doubles.github.nouns import App, Level, Repository, Token
from local.doubles.github.state import GitHubState

# Operation -> permissions of a fine-grained token, any of which is enough
# (https://docs.github.com/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens).
# An operation that is not listed needs no more than to see the repository ("metadata").
PERMISSIONS: dict[str, tuple[tuple[str, Level], ...]] = {
    "actions/cancel-workflow-run": (("actions", "write"),),
    "actions/create-workflow-dispatch": (("actions", "write"),),
    "actions/get-workflow": (("actions", "read"),),
    "actions/get-workflow-run": (("actions", "read"),),
    "actions/list-repo-workflows": (("actions", "read"),),
    "actions/list-workflow-runs": (("actions", "read"),),
    "actions/list-workflow-runs-for-repo": (("actions", "read"),),
    "checks/create": (("checks", "write"),),
    "checks/get": (("checks", "read"),),
    "checks/list-for-ref": (("checks", "read"),),
    "checks/update": (("checks", "write"),),
    "git/create-ref": (("contents", "write"),),
    "git/delete-ref": (("contents", "write"),),
    "git/get-commit": (("contents", "read"),),
    "git/get-ref": (("contents", "read"),),
    "git/get-tree": (("contents", "read"),),
    "git/list-matching-refs": (("contents", "read"),),
    "git/update-ref": (("contents", "write"),),
    "issues/add-labels": (("issues", "write"), ("pull_requests", "write")),
    "issues/create-comment": (("issues", "write"), ("pull_requests", "write")),
    "issues/create-label": (("issues", "write"), ("pull_requests", "write")),
    "issues/delete-comment": (("issues", "write"), ("pull_requests", "write")),
    "issues/get": (("issues", "read"), ("pull_requests", "read")),
    "issues/get-comment": (("issues", "read"), ("pull_requests", "read")),
    "issues/list-comments": (("issues", "read"), ("pull_requests", "read")),
    "issues/list-labels-for-repo": (("issues", "read"), ("pull_requests", "read")),
    "issues/list-labels-on-issue": (("issues", "read"), ("pull_requests", "read")),
    "issues/remove-label": (("issues", "write"), ("pull_requests", "write")),
    "issues/set-labels": (("issues", "write"), ("pull_requests", "write")),
    "issues/update-comment": (("issues", "write"), ("pull_requests", "write")),
    "pulls/check-if-merged": (("pull_requests", "read"),),
    "pulls/create": (("pull_requests", "write"),),
    "pulls/get": (("pull_requests", "read"),),
    "pulls/list": (("pull_requests", "read"),),
    "pulls/list-commits": (("pull_requests", "read"),),
    "pulls/list-files": (("pull_requests", "read"),),
    "pulls/merge": (("contents", "write"),),
    "pulls/update": (("pull_requests", "write"),),
    "repos/compare-commits-with-basehead": (("contents", "read"),),
    "repos/create-commit-status": (("statuses", "write"),),
    "repos/create-dispatch-event": (("contents", "write"),),
    "repos/create-or-update-file-contents": (("contents", "write"),),
    "repos/get-branch": (("contents", "read"),),
    "repos/get-combined-status-for-ref": (("statuses", "read"),),
    "repos/get-commit": (("contents", "read"),),
    "repos/get-content": (("contents", "read"),),
    "repos/list-branches": (("contents", "read"),),
    "repos/list-commit-statuses-for-ref": (("statuses", "read"),),
    "repos/list-commits": (("contents", "read"),),
}


@dataclass(frozen=True)
class Caller:
    """A known token, and the repository that the call is about (None outside repositories). `app` speaks for itself."""

    token: Token
    repository: Repository | None
    app: App | None = None

    @property
    def scene(self) -> Repository:
        """The repository; an operation under /repos/ always has one."""
        if self.repository is None:
            raise RefusedCall(404, "Not Found")
        return self.repository


def read_token(state: GitHubState, authorization: str) -> Token | None:
    """The token in an Authorization header: `token T`, `Bearer T`, or Basic with the token as user name or password.

    git and actions/checkout use Basic with `x-access-token:TOKEN`.
    """
    scheme, _, credentials = authorization.strip().partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        return _live(state.tokens.get(password) or state.tokens.get(user))
    return _live(state.tokens.get(credentials.strip())) if scheme.lower() in ("token", "bearer") else None


def _live(token: Token | None) -> Token | None:
    is_over = (
        token is not None and token.ends_at is not None and datetime.fromisoformat(token.ends_at) <= datetime.now(UTC)
    )
    return None if is_over else token


def authorise(state: GitHubState, call: Call, match: Match) -> Caller:
    """Raises RefusedCall: 401 without a known token, 404 for what the token may not see, 403 for what it may not do."""
    header = call.headers.get("authorization", "")
    token = read_token(state, header)
    if token is None:
        raise RefusedCall(401, "Bad credentials" if header else "Requires authentication")
    if "owner" not in match.path:
        return Caller(token, None)
    repository = state.repository(match.path["owner"], match.path["repo"])
    if repository is None or (repository.private and not token.sees(repository.full_name)):
        raise RefusedCall(404, "Not Found")
    wanted = PERMISSIONS.get(match.operation, ())
    allowed = any(token.may(repository.full_name, name, level) for name, level in wanted)
    # A public repository is readable by everybody who is somebody.
    readable = not repository.private and all(level == "read" for _, level in wanted)
    if wanted and not allowed and not readable:
        raise RefusedCall(403, "Resource not accessible by integration")
    return Caller(token, repository)
