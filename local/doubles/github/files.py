"""Handlers: files and folders, read at any ref and written as commits."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import quote

from local.doubles.exchange import Answer, RefusedCall, Request
from local.doubles.github import render, render_git
from local.doubles.github.access import Caller
from local.doubles.github.git import Git, GitFailedError, TreeEntry
from local.doubles.github.repositories import NOT_FOUND, Handlers
from local.doubles.github.state import GitHubState

INLINE_BYTES = 1_048_576


class Files:
    """The contents API."""

    def __init__(self, state: GitHubState) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        return {
            "repos/get-content": self.get_content,
            "repos/create-or-update-file-contents": self.put_content,
        }

    def get_content(self, request: Request[Caller]) -> Answer:
        path = request.path["path"].strip("/")
        ref = request.call.one("ref") or request.caller.scene.default_branch
        sha = self._resolve(request, ref.removeprefix("refs/heads/"))
        entry = self._git(request).entry(sha, path) if path else None
        if path and entry is None:
            raise RefusedCall(404, NOT_FOUND)
        if entry is None or entry.kind == "tree":
            entries = self._git(request).tree(sha, path)
            return Answer(document=[self._show_entry(request, found, ref) for found in entries])
        return Answer(document=self._show_entry(request, entry, ref) | self._inline(request, entry))

    def put_content(self, request: Request[Caller]) -> Answer:
        path, wanted = request.path["path"].strip("/"), request.document
        git, base, repository = self._git(request), request.call.base_url, request.caller.scene
        try:
            content = base64.b64decode("".join(wanted["content"].split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise RefusedCall(422, "content is not valid Base64") from error
        branch = wanted.get("branch", repository.default_branch)
        tip = git.ref(f"refs/heads/{branch}")
        if tip is None:
            raise RefusedCall(404, f"Branch {branch} not found")
        before = git.entry(tip, path)
        if before is not None and wanted.get("sha") != before.sha:
            known = "sha" in wanted
            raise RefusedCall(
                409 if known else 422,
                f"{path} does not match {wanted.get('sha')}"
                if known
                else 'Invalid request.\n\n"sha" wasn\'t supplied.',
            )
        try:
            commit = git.log(git.commit_files(branch, {path: content}, wanted["message"]), limit=1)[0]
        except GitFailedError as error:
            raise RefusedCall(409, f"{branch} was moved at the same time, or {path} cannot be a file") from error
        self._state.follow_pushes(repository)
        entry = git.entry(commit.sha, path)
        if entry is None:
            raise RefusedCall(422, f"path {path} cannot be written")
        shown = render_git.git_commit(base, repository, commit)
        document = {"content": self._show_entry(request, entry, branch), "commit": shown}
        return Answer(200 if before else 201, document)

    def _git(self, request: Request[Caller]) -> Git:
        return self._state.git(request.caller.scene)

    def _resolve(self, request: Request[Caller], revision: str) -> str:
        sha = self._git(request).resolve(revision)
        if sha is None:
            raise RefusedCall(404, NOT_FOUND)
        return sha

    def _show_entry(self, request: Request[Caller], entry: TreeEntry, ref: str) -> dict[str, Any]:
        base, repository = request.call.base_url, request.caller.scene
        url = f"{render.repository_url(base, repository)}/contents/{quote(entry.path)}?ref={quote(ref, safe='')}"
        shelf = "tree" if entry.kind == "tree" else "blob"
        page = f"{render.page_url(base, repository)}/{shelf}/{ref}/{quote(entry.path)}"
        kinds = {"tree": ("dir", "trees"), "commit": ("submodule", "trees")}
        kind, folder = kinds.get(entry.kind, ("file", "blobs"))
        git_url = f"{render.repository_url(base, repository)}/git/{folder}/{entry.sha}"
        raw = f"{render.page_url(base, repository)}/raw/{ref}/{quote(entry.path)}"
        return {
            "name": entry.path.rpartition("/")[2],
            "path": entry.path,
            "sha": entry.sha,
            "size": entry.size or 0,
            "url": url,
            "html_url": page,
            "git_url": git_url,
            "download_url": raw if kind == "file" else None,
            "type": kind,
            "_links": {"self": url, "git": git_url, "html": page},
        }

    def _inline(self, request: Request[Caller], entry: TreeEntry) -> dict[str, str]:
        """The content itself; a file above 1 MB comes without, as GitHub's does."""
        if (entry.size or 0) > INLINE_BYTES:
            return {"content": "", "encoding": "none"}
        content = base64.encodebytes(self._git(request).blob(entry.sha)).decode("ascii")
        return {"content": content, "encoding": "base64"}
