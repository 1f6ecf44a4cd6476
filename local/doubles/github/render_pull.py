"""Pull requests as GitHub's API shows them, alone and as issues."""

from __future__ import annotations

from typing import Any

from local.doubles.github.nouns import Label, Pull, Repository
from local.doubles.github.render import page_url, plain_repository, repository_url, user
from local.doubles.github.state import GitHubState, node_id, stable_id


def label(base: str, repository: Repository, found: Label) -> dict[str, Any]:
    url = f"{repository_url(base, repository)}/labels/{found.name.replace(' ', '%20')}"
    shown = {"id": found.id, "node_id": node_id("Label", found.id), "url": url, "name": found.name}
    return shown | {"color": found.color, "default": False, "description": found.description}


def plain_label(repository: Repository, name: str) -> Label:
    """A label that was put on an issue without being made first: GitHub makes it, in grey."""
    number = stable_id(f"label {repository.full_name} {name.lower()}")
    return Label(id=number, repository=repository.full_name, name=name, color="ededed")


def describe_pull(base: str, repository: Repository, pull: Pull) -> dict[str, Any]:
    """pull-request-simple: as lists show it."""
    url, page = repository_url(base, repository), page_url(base, repository)
    issue = f"{url}/issues/{pull.number}"
    links = {
        "self": f"{url}/pulls/{pull.number}",
        "html": f"{page}/pull/{pull.number}",
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{url}/pulls/{pull.number}/comments",
        "review_comment": f"{url}/pulls/comments{{/number}}",
        "commits": f"{url}/pulls/{pull.number}/commits",
        "statuses": f"{url}/statuses/{pull.head_sha}",
    }
    return {
        "id": pull.id,
        "node_id": node_id("PullRequest", pull.id),
        "number": pull.number,
        "state": pull.state,
        "locked": False,
        "title": pull.title,
        "user": user(base, pull.author),
        "body": pull.body,
        "labels": [label(base, repository, plain_label(repository, name)) for name in pull.labels],
        "milestone": None,
        "assignee": None,
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "merged_at": pull.merged_at,
        "merge_commit_sha": pull.merge_commit_sha,
        "draft": pull.draft,
        "head": _end(base, repository, pull.head, pull.head_sha),
        "base": _end(base, repository, pull.base, pull.base_sha),
        "author_association": "CONTRIBUTOR",
        "auto_merge": _auto_merge(base, pull),
        "_links": {name: {"href": href} for name, href in links.items()},
        "url": links["self"],
        "html_url": links["html"],
        "diff_url": f"{links['html']}.diff",
        "patch_url": f"{links['html']}.patch",
        "issue_url": issue,
        "comments_url": links["comments"],
        "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"],
        "commits_url": links["commits"],
        "statuses_url": links["statuses"],
    }


def _auto_merge(base: str, pull: Pull) -> dict[str, Any] | None:
    asked = pull.auto_merge
    if asked is None:
        return None
    words = {"commit_title": f"{pull.title} (#{pull.number})", "commit_message": ""}
    return {"enabled_by": user(base, asked.by), "merge_method": asked.method, **words}


def full_pull(base: str, repository: Repository, pull: Pull, state: GitHubState) -> dict[str, Any]:
    """pull-request: with what only git can tell (mergeable, size)."""
    git = state.git(repository)
    fork = git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    changes = git.changes(fork, pull.head_sha)
    is_open = pull.state == "open"
    fits = git.merged_tree(pull.base_sha, pull.head_sha) is not None if is_open else None
    words = {True: "draft" if pull.draft else "clean", False: "dirty", None: "unknown"}
    comments = [c for c in state.comments.values() if (c.repository, c.issue) == (pull.repository, pull.number)]
    return describe_pull(base, repository, pull) | {
        "merged": pull.merged_at is not None,
        "merged_by": user(base, pull.merged_by) if pull.merged_by else None,
        "mergeable": fits,
        "mergeable_state": words[fits],
        "rebaseable": None,
        "maintainer_can_modify": False,
        "comments": len(comments),
        "review_comments": 0,
        "commits": len(git.log(f"{fork}..{pull.head_sha}")),
        "additions": sum(change.additions for change in changes),
        "deletions": sum(change.deletions for change in changes),
        "changed_files": len(changes),
    }


def issue_of(base: str, repository: Repository, pull: Pull, comments: int) -> dict[str, Any]:
    """issue: every pull request is one too."""
    url, page = repository_url(base, repository), page_url(base, repository)
    mine = f"{url}/issues/{pull.number}"
    return {
        "id": pull.id,
        "node_id": node_id("Issue", pull.id),
        "url": mine,
        "repository_url": url,
        "labels_url": f"{mine}/labels{{/name}}",
        "comments_url": f"{mine}/comments",
        "events_url": f"{mine}/events",
        "html_url": f"{page}/pull/{pull.number}",
        "number": pull.number,
        "state": pull.state,
        "title": pull.title,
        "body": pull.body,
        "user": user(base, pull.author),
        "labels": [label(base, repository, plain_label(repository, name)) for name in pull.labels],
        "assignee": None,
        "milestone": None,
        "locked": False,
        "comments": comments,
        "draft": pull.draft,
        "pull_request": {
            "url": f"{url}/pulls/{pull.number}",
            "html_url": f"{page}/pull/{pull.number}",
            "diff_url": f"{page}/pull/{pull.number}.diff",
            "patch_url": f"{page}/pull/{pull.number}.patch",
            "merged_at": pull.merged_at,
        },
        "closed_at": pull.closed_at,
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "author_association": "CONTRIBUTOR",
    }


def _end(base: str, repository: Repository, branch: str, sha: str) -> dict[str, Any]:
    """One end of a pull request."""
    return {
        "label": f"{repository.owner}:{branch}",
        "ref": branch,
        "sha": sha,
        "user": user(base, repository.owner),
        "repo": plain_repository(base, repository),
    }
