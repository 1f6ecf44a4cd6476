"""Commits, refs and file changes as GitHub's API shows them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from local.doubles.github.git import Commit, FileChange
from local.doubles.github.nouns import Repository
from local.doubles.github.render import page_url, repository_url
from local.doubles.github.state import node_id

UNSIGNED = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}


def _person(person: tuple[str, str, str]) -> dict[str, str]:
    name, email, date = person
    return {"name": name, "email": email, "date": date}


def commit(base: str, repository: Repository, found: Commit) -> dict[str, Any]:
    """commit: without its files, as lists of commits show it."""
    url = repository_url(base, repository)
    page = page_url(base, repository)
    return {
        "sha": found.sha,
        "node_id": node_id("Commit", found.sha),
        "url": f"{url}/commits/{found.sha}",
        "html_url": f"{page}/commit/{found.sha}",
        "comments_url": f"{url}/commits/{found.sha}/comments",
        "commit": {
            "url": f"{url}/git/commits/{found.sha}",
            "author": _person(found.author),
            "committer": _person(found.committer),
            "message": found.message,
            "tree": {"sha": found.tree, "url": f"{url}/git/trees/{found.tree}"},
            "comment_count": 0,
            "verification": UNSIGNED,
        },
        "author": None,
        "committer": None,
        "parents": [
            {"sha": sha, "url": f"{url}/commits/{sha}", "html_url": f"{page}/commit/{sha}"} for sha in found.parents
        ],
    }


def commit_with_files(base: str, repository: Repository, found: Commit, changes: list[FileChange]) -> dict[str, Any]:
    added = sum(change.additions for change in changes)
    deleted = sum(change.deletions for change in changes)
    return commit(base, repository, found) | {
        "stats": {"additions": added, "deletions": deleted, "total": added + deleted},
        "files": [file_change(base, repository, found.sha, change) for change in changes],
    }


def git_commit(base: str, repository: Repository, found: Commit) -> dict[str, Any]:
    """git-commit: the bare object."""
    url = repository_url(base, repository)
    page = page_url(base, repository)
    return {
        "sha": found.sha,
        "node_id": node_id("Commit", found.sha),
        "url": f"{url}/git/commits/{found.sha}",
        "html_url": f"{page}/commit/{found.sha}",
        "author": _person(found.author),
        "committer": _person(found.committer),
        "message": found.message,
        "tree": {"sha": found.tree, "url": f"{url}/git/trees/{found.tree}"},
        "parents": [
            {"sha": sha, "url": f"{url}/git/commits/{sha}", "html_url": f"{page}/commit/{sha}"} for sha in found.parents
        ],
        "verification": UNSIGNED,
    }


def git_ref(base: str, repository: Repository, ref: str, sha: str) -> dict[str, Any]:
    """git-ref; `ref` is the full name."""
    url = repository_url(base, repository)
    return {
        "ref": ref,
        "node_id": node_id("Ref", f"{repository.id}:{ref}"),
        "url": f"{url}/git/{quote(ref)}",
        "object": {"type": "commit", "sha": sha, "url": f"{url}/git/commits/{sha}"},
    }


def file_change(base: str, repository: Repository, sha: str, change: FileChange) -> dict[str, Any]:
    """diff-entry."""
    page, path = page_url(base, repository), quote(change.path)
    shown: dict[str, Any] = {
        "sha": change.sha,
        "filename": change.path,
        "status": change.status,
        "additions": change.additions,
        "deletions": change.deletions,
        "changes": change.additions + change.deletions,
        "blob_url": f"{page}/blob/{sha}/{path}",
        "raw_url": f"{page}/raw/{sha}/{path}",
        "contents_url": f"{repository_url(base, repository)}/contents/{path}?ref={sha}",
    }
    if change.patch is not None:
        shown["patch"] = change.patch
    if change.previous_path is not None:
        shown["previous_filename"] = change.previous_path
    return shown
