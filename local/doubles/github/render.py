"""People and repositories as GitHub's API shows them, with addresses of this double."""

from __future__ import annotations

from typing import Any

from local.doubles.github.nouns import Repository
from local.doubles.github.state import node_id, stable_id

_REPOSITORY_LINKS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}
_MERGES = ("merge_commit", "squash_merge", "rebase_merge")
_USER_LINKS = {
    "events_url": "/events{/privacy}",
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "organizations_url": "/orgs",
    "received_events_url": "/received_events",
    "repos_url": "/repos",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
}


def repository_url(base: str, repository: Repository) -> str:
    """The repository's address in the API."""
    return f"{base}/repos/{repository.full_name}"


def page_url(base: str, repository: Repository) -> str:
    """The repository's address for people (and for git, with .git behind it)."""
    return f"{base}/{repository.full_name}"


def user(base: str, login: str) -> dict[str, Any]:
    """simple-user."""
    url = f"{base}/users/{login.replace('[', '%5B').replace(']', '%5D')}"
    number = stable_id(f"owner {login.lower()}")
    return {
        "login": login,
        "id": number,
        "node_id": node_id("User", number),
        "avatar_url": f"{base}/avatars/{number}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{base}/{login.removesuffix('[bot]')}",
        "type": "Bot" if login.endswith("[bot]") else "User",
        "site_admin": False,
        **{name: url + tail for name, tail in _USER_LINKS.items()},
    }


def public_user(base: str, login: str) -> dict[str, Any]:
    """public-user: the answer of GET /user."""
    personal = dict.fromkeys(("name", "company", "blog", "location", "email", "hireable", "bio"))
    counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
    since = "2020-01-01T00:00:00Z"
    return user(base, login) | personal | counts | {"created_at": since, "updated_at": since}


def minimal_repository(base: str, repository: Repository) -> dict[str, Any]:
    """minimal-repository: how a repository is shown inside other things."""
    url = repository_url(base, repository)
    return {
        "id": repository.id,
        "node_id": node_id("Repository", repository.id),
        "name": repository.name,
        "full_name": repository.full_name,
        "owner": user(base, repository.owner) | {"id": repository.owner_id},
        "private": repository.private,
        "html_url": page_url(base, repository),
        "description": repository.description,
        "fork": False,
        "url": url,
        **{name: url + tail for name, tail in _REPOSITORY_LINKS.items()},
    }


def full_repository(base: str, repository: Repository, open_pulls: int) -> dict[str, Any]:
    """full-repository: the answer of GET /repos/O/R."""
    counts = {"network_count": 0, "subscribers_count": 0}
    open_counts = {"open_issues": open_pulls, "open_issues_count": open_pulls}
    return plain_repository(base, repository) | counts | open_counts


def plain_repository(base: str, repository: Repository) -> dict[str, Any]:
    """repository: what a pull request shows on both ends."""
    counts = ("forks", "forks_count", "stargazers_count", "watchers", "watchers_count", "size")
    host = base.removeprefix("http://")
    return {
        **minimal_repository(base, repository),
        **dict.fromkeys(counts, 0),
        "clone_url": f"{page_url(base, repository)}.git",
        "git_url": f"git://{host}/{repository.full_name}.git",
        "ssh_url": f"ssh://git@{host}/{repository.full_name}.git",
        "svn_url": page_url(base, repository),
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "license": None,
        "default_branch": repository.default_branch,
        "has_issues": True,
        "has_downloads": True,
        "has_projects": False,
        "has_wiki": False,
        "has_pages": False,
        "has_discussions": False,
        "archived": False,
        "disabled": False,
        "allow_auto_merge": repository.allow_auto_merge,
        **{f"allow_{name}": name.partition("_")[0] in repository.merge_methods for name in _MERGES},
        "visibility": "private" if repository.private else "public",
        "open_issues": 0,
        "open_issues_count": 0,
        "created_at": repository.created_at,
        "updated_at": repository.created_at,
        "pushed_at": repository.created_at,
    }
