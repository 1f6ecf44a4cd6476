"""Handlers: the user, the repository, its branches, commits and trees."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from local.doubles.exchange import Answer, RefusedCall, Request
from local.doubles.github import render, render_git
from local.doubles.github.access import Caller
from local.doubles.github.git import Commit, Git
from local.doubles.github.paging import listing
from local.doubles.github.state import GitHubState

Handlers = Mapping[str, Callable[[Request[Caller]], Answer]]
NOT_FOUND = "Not Found"


class Repositories:
    """What can be read of a repository."""

    def __init__(self, state: GitHubState) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        return {
            "users/get-authenticated": self.get_user,
            "rate-limit/get": self.get_rate_limit,
            "repos/get": self.get_repository,
            "repos/list-branches": self.list_branches,
            "repos/get-branch": self.get_branch,
            "repos/list-commits": self.list_commits,
            "repos/get-commit": self.get_commit,
            "repos/compare-commits-with-basehead": self.compare,
            "git/get-commit": self.get_git_commit,
            "git/get-tree": self.get_tree,
        }

    def get_user(self, request: Request[Caller]) -> Answer:
        return Answer(document=render.public_user(request.call.base_url, request.caller.token.login))

    def get_rate_limit(self, _: Request[Caller]) -> Answer:
        rate = {"limit": 5000, "remaining": 5000, "reset": int(time.time()) + 3600, "used": 0}
        return Answer(document={"resources": {"core": rate, "search": rate}, "rate": rate})

    def get_repository(self, request: Request[Caller]) -> Answer:
        repository = request.caller.scene
        pulls = sum(pull.state == "open" for pull in self._state.pulls_of(repository))
        return Answer(document=render.full_repository(request.call.base_url, repository, pulls))

    def list_branches(self, request: Request[Caller]) -> Answer:
        repository = request.caller.scene
        branches = sorted(self._git(request).refs("refs/heads").items())
        url = render.repository_url(request.call.base_url, repository)

        def show(branch: tuple[str, str]) -> dict[str, Any]:
            name, sha = branch
            short = {"name": name.removeprefix("refs/heads/"), "protected": False}
            return short | {"commit": {"sha": sha, "url": f"{url}/commits/{sha}"}}

        return listing(request.call, branches, show)

    def get_branch(self, request: Request[Caller]) -> Answer:
        name = request.path["branch"]
        git = self._git(request)
        sha = git.ref(f"refs/heads/{name}")
        if sha is None:
            raise RefusedCall(404, "Branch not found")
        base, repository = request.call.base_url, request.caller.scene
        url = f"{render.repository_url(base, repository)}/branches/{quote(name)}"
        return Answer(
            document={
                "name": name,
                "commit": render_git.commit(base, repository, git.log(sha, limit=1)[0]),
                "_links": {"self": url, "html": f"{render.page_url(base, repository)}/tree/{quote(name)}"},
                "protected": False,
                "protection": {
                    "enabled": False,
                    "required_status_checks": {"enforcement_level": "off", "contexts": [], "checks": []},
                },
                "protection_url": f"{url}/protection",
            }
        )

    def list_commits(self, request: Request[Caller]) -> Answer:
        call = request.call
        start = self._resolve(request, call.one("sha") or request.caller.scene.default_branch)
        commits = self._git(request).log(start, limit=1000, path=call.one("path") or None)
        return listing(call, commits, lambda c: render_git.commit(call.base_url, request.caller.scene, c))

    def get_commit(self, request: Request[Caller]) -> Answer:
        git = self._git(request)
        found = git.log(self._resolve(request, request.path["ref"]), limit=1)[0]
        empty_tree = git.text("hash-object", "-w", "-t", "tree", "/dev/null")
        changes = git.changes(found.parents[0] if found.parents else empty_tree, found.sha)
        document = render_git.commit_with_files(request.call.base_url, request.caller.scene, found, changes)
        return Answer(document=document)

    def compare(self, request: Request[Caller]) -> Answer:
        old_name, dots, new_name = request.path["basehead"].partition("...")
        if not dots:
            raise RefusedCall(404, NOT_FOUND)
        git, base, repository = self._git(request), request.call.base_url, request.caller.scene
        old, new = self._resolve(request, old_name), self._resolve(request, new_name)
        fork = git.merge_base(old, new)
        if fork is None:
            raise RefusedCall(404, f"No common ancestor between {old_name} and {new_name}.")
        ahead = list(reversed(git.log(f"{old}..{new}")))
        behind = len(git.log(f"{new}..{old}"))
        words = {(True, True): "diverged", (True, False): "ahead", (False, True): "behind"}
        url = f"{render.repository_url(base, repository)}/compare/{quote(request.path['basehead'])}"
        page = f"{render.page_url(base, repository)}/compare/{quote(request.path['basehead'])}"
        changes = git.changes(fork, new)
        return Answer(
            document={
                "url": url,
                "html_url": page,
                "permalink_url": f"{render.page_url(base, repository)}/compare/{old}...{new}",
                "diff_url": f"{page}.diff",
                "patch_url": f"{page}.patch",
                "base_commit": render_git.commit(base, repository, git.log(old, limit=1)[0]),
                "merge_base_commit": render_git.commit(base, repository, git.log(fork, limit=1)[0]),
                "status": words.get((bool(ahead), behind > 0), "identical"),
                "ahead_by": len(ahead),
                "behind_by": behind,
                "total_commits": len(ahead),
                "commits": [render_git.commit(base, repository, commit) for commit in ahead],
                "files": [render_git.file_change(base, repository, new, change) for change in changes],
            }
        )

    def get_git_commit(self, request: Request[Caller]) -> Answer:
        found = self._commit(request, request.path["commit_sha"])
        return Answer(document=render_git.git_commit(request.call.base_url, request.caller.scene, found))

    def get_tree(self, request: Request[Caller]) -> Answer:
        sha = self._resolve(request, request.path["tree_sha"])
        url = f"{render.repository_url(request.call.base_url, request.caller.scene)}/git"
        recursive = bool(request.call.one("recursive"))
        entries = self._git(request).tree(sha, recursive=recursive)
        kinds = {"tree": "trees", "commit": "commits"}
        shown = [
            {"path": e.path, "mode": e.mode, "type": e.kind, "sha": e.sha}
            | {"url": f"{url}/{kinds.get(e.kind, 'blobs')}/{e.sha}"}
            | ({} if e.size is None else {"size": e.size})
            for e in entries
        ]
        tree = self._commit(request, sha).tree
        return Answer(document={"sha": tree, "url": f"{url}/trees/{tree}", "tree": shown, "truncated": False})

    def _git(self, request: Request[Caller]) -> Git:
        return self._state.git(request.caller.scene)

    def _resolve(self, request: Request[Caller], revision: str) -> str:
        sha = self._git(request).resolve(revision)
        if sha is None:
            raise RefusedCall(404, NOT_FOUND)
        return sha

    def _commit(self, request: Request[Caller], revision: str) -> Commit:
        return self._git(request).log(self._resolve(request, revision), limit=1)[0]
