"""Handlers: git refs, read from and written to git itself."""

from __future__ import annotations

from local.doubles.exchange import Answer, RefusedCall, Request
from local.doubles.github import render_git
from local.doubles.github.access import Caller
from local.doubles.github.git import Git, GitFailedError
from local.doubles.github.repositories import NOT_FOUND, Handlers
from local.doubles.github.state import GitHubState


class Refs:
    """The refs API."""

    def __init__(self, state: GitHubState) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        return {
            "git/get-ref": self.get_ref,
            "git/list-matching-refs": self.list_matching_refs,
            "git/create-ref": self.create_ref,
            "git/update-ref": self.update_ref,
            "git/delete-ref": self.delete_ref,
        }

    def get_ref(self, request: Request[Caller]) -> Answer:
        ref = f"refs/{request.path['ref']}"
        return self._ref_answer(request, ref, self._known_ref(request, ref))

    def list_matching_refs(self, request: Request[Caller]) -> Answer:
        prefix = f"refs/{request.path['ref']}"
        refs = [item for item in sorted(self._git(request).refs("refs").items()) if item[0].startswith(prefix)]
        base, repository = request.call.base_url, request.caller.scene
        return Answer(document=[render_git.git_ref(base, repository, ref, sha) for ref, sha in refs])

    def create_ref(self, request: Request[Caller]) -> Answer:
        ref, sha = request.document["ref"], request.document["sha"]
        git = self._git(request)
        if not ref.startswith("refs/") or ref.count("/") < 2 or not git.is_valid_ref(ref):
            raise RefusedCall(422, "Reference name is not a valid ref name.")
        if git.resolve(sha) is None:
            raise RefusedCall(422, "Object does not exist")
        try:
            git.move(ref, sha, "0" * 40)
        except GitFailedError as error:
            raise RefusedCall(422, "Reference already exists") from error
        return self._ref_answer(request, ref, sha, 201)

    def update_ref(self, request: Request[Caller]) -> Answer:
        ref, sha = f"refs/{request.path['ref']}", request.document["sha"]
        git = self._git(request)
        if git.ref(ref) is None:
            raise RefusedCall(422, "Reference does not exist")
        before = self._known_ref(request, ref)
        if git.resolve(sha) is None:
            raise RefusedCall(422, "Object does not exist")
        if not request.document.get("force", False) and not git.is_ancestor(before, sha):
            raise RefusedCall(422, "Update is not a fast forward")
        git.move(ref, sha, before)
        self._state.follow_pushes(request.caller.scene)
        return self._ref_answer(request, ref, sha)

    def delete_ref(self, request: Request[Caller]) -> Answer:
        ref = f"refs/{request.path['ref']}"
        if self._git(request).ref(ref) is None:
            raise RefusedCall(422, "Reference does not exist")
        if ref == f"refs/heads/{request.caller.scene.default_branch}":
            raise RefusedCall(422, "Cannot delete the default branch")
        self._git(request).delete(ref)
        return Answer(204)

    def _git(self, request: Request[Caller]) -> Git:
        return self._state.git(request.caller.scene)

    def _known_ref(self, request: Request[Caller], ref: str) -> str:
        sha = self._git(request).ref(ref)
        if sha is None:
            raise RefusedCall(404, NOT_FOUND)
        return sha

    def _ref_answer(self, request: Request[Caller], ref: str, sha: str, status: int = 200) -> Answer:
        return Answer(status, render_git.git_ref(request.call.base_url, request.caller.scene, ref, sha))
