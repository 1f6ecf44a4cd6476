"""Handlers: pull requests, from the branches that git really has."""

from __future__ import annotations

from typing import Any

from local.doubles.exchange import Answer, RefusedCall, Request
from local.doubles.github import render_git
from local.doubles.github.access import Caller
from local.doubles.github.git import Git, GitFailedError
from local.doubles.github.nouns import Pull, Repository
from local.doubles.github.paging import listing
from local.doubles.github.render_pull import describe_pull, full_pull
from local.doubles.github.repositories import Handlers
from local.doubles.github.state import GitHubState, now, stable_id


def validation_failed(resource: str, message: str, **fields: str) -> RefusedCall:
    """GitHub's 422 with one custom error."""
    return RefusedCall(
        422, "Validation Failed", errors=[{"resource": resource, "code": "custom", "message": message} | fields]
    )


def split_head(repository: Repository, text: str) -> str:
    """The branch in `branch` or `owner:branch`; a fork is something that the double does not have."""
    owner, colon, branch = text.partition(":")
    if colon and owner.lower() != repository.owner.lower():
        raise RefusedCall(
            422, "Validation Failed", errors=[{"resource": "PullRequest", "field": "head", "code": "invalid"}]
        )
    return branch if colon else text


class Pulls:
    """Pull requests. Their heads and bases are asked of git each time while they are open."""

    def __init__(self, state: GitHubState) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        return {
            "pulls/list": self.list_pulls,
            "pulls/create": self.create,
            "pulls/get": self.get,
            "pulls/update": self.update,
            "pulls/list-files": self.list_files,
            "pulls/list-commits": self.list_commits,
            "pulls/check-if-merged": self.check_merged,
            "pulls/merge": self.merge,
        }

    def list_pulls(self, request: Request[Caller]) -> Answer:
        call, repository = request.call, request.caller.scene
        state, head, base = call.one("state", "open"), call.one("head"), call.one("base")
        # GitHub ignores a head that is not written as owner:branch; so does this.
        wanted = head.partition(":")[2] if head.lower().startswith(f"{repository.owner.lower()}:") else ""
        found = [
            pull
            for pull in map(self._current, self._state.pulls_of(repository))
            if (state in ("all", pull.state))
            and (not wanted or pull.head == wanted)
            and (not base or pull.base == base)
        ]
        if call.one("direction") == "asc":
            found.reverse()
        return listing(call, found, lambda pull: describe_pull(call.base_url, repository, pull))

    def create(self, request: Request[Caller]) -> Answer:
        wanted, repository = request.document, request.caller.scene
        if not wanted.get("title"):
            raise validation_failed("PullRequest", "title is missing", field="title")
        head = split_head(repository, wanted["head"])
        git = self._state.git(repository)
        tips = {name: self._tip(git, branch, name) for name, branch in (("head", head), ("base", wanted["base"]))}
        if not git.log(f"{tips['base']}..{tips['head']}", limit=1):
            raise validation_failed("PullRequest", f"No commits between {wanted['base']} and {head}")
        with self._state.journal.transaction():
            self._refuse_twin(repository, head, wanted["base"])
            number = self._state.journal.next_number(f"issue {repository.full_name}")
            moment = now()
            pull = Pull(
                id=stable_id(f"pull {repository.full_name} {number}"),
                repository=repository.full_name,
                number=number,
                title=wanted["title"],
                body=wanted.get("body"),
                head=head,
                base=wanted["base"],
                author=request.caller.token.login,
                draft=wanted.get("draft", False),
                head_sha=tips["head"],
                base_sha=tips["base"],
                created_at=moment,
                updated_at=moment,
            )
            self._keep(pull)
        self._state.follow_pushes(repository)
        return Answer(201, self._show(request, pull))

    def get(self, request: Request[Caller]) -> Answer:
        return Answer(document=self._show(request, self._known(request)))

    def update(self, request: Request[Caller]) -> Answer:
        wanted: dict[str, Any] = request.document or {}
        with self._state.journal.transaction():
            pull = self._known(request)
            changes: dict[str, Any] = {name: wanted[name] for name in ("title", "body", "base") if name in wanted}
            if "base" in changes:
                self._tip(self._state.git(request.caller.scene), changes["base"], "base")
            if wanted.get("state") == "closed" and pull.state == "open":
                changes |= {"state": "closed", "closed_at": now()}
            if wanted.get("state") == "open" and pull.state == "closed":
                if pull.merged_at:
                    raise validation_failed("PullRequest", "state cannot be changed. The pull request was merged.")
                self._refuse_twin(request.caller.scene, pull.head, pull.base)
                changes |= {"state": "open", "closed_at": None}
            pull = self._keep(pull.model_copy(update={**changes, "updated_at": now()}))
        return Answer(document=self._show(request, pull))

    def list_files(self, request: Request[Caller]) -> Answer:
        pull, git = self._known(request), self._state.git(request.caller.scene)
        changes = git.changes(git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha, pull.head_sha)
        base, repository = request.call.base_url, request.caller.scene
        return listing(
            request.call, changes, lambda change: render_git.file_change(base, repository, pull.head_sha, change)
        )

    def list_commits(self, request: Request[Caller]) -> Answer:
        pull, repository = self._known(request), request.caller.scene
        commits = list(reversed(self._state.git(repository).log(f"{pull.base_sha}..{pull.head_sha}")))
        return listing(request.call, commits, lambda c: render_git.commit(request.call.base_url, repository, c))

    def check_merged(self, request: Request[Caller]) -> Answer:
        if not self._known(request).merged_at:
            raise RefusedCall(404, "Not Found")
        return Answer(204)

    def merge(self, request: Request[Caller]) -> Answer:
        wanted: dict[str, Any] = request.document or {}
        with self._state.journal.transaction():
            pull = self._known(request)
            self._refuse_merge(pull, wanted)
            sha = self._merge_commit(request.caller.scene, pull, wanted)
            moment = now()
            merged = {"state": "closed", "merged_at": moment, "closed_at": moment, "updated_at": moment}
            merged |= {"merged_by": request.caller.token.login, "merge_commit_sha": sha}
            self._keep(pull.model_copy(update=merged))
        return Answer(document={"sha": sha, "merged": True, "message": "Pull Request successfully merged"})

    def _refuse_merge(self, pull: Pull, wanted: dict[str, Any]) -> None:
        if pull.state != "open":
            raise RefusedCall(405, "Pull Request is not mergeable")
        if pull.draft:
            raise RefusedCall(405, "Pull Request is still a draft")
        if wanted.get("sha") not in (None, pull.head_sha):
            raise RefusedCall(409, "Head branch was modified. Review and try the merge again.")
        if wanted.get("merge_method") == "rebase":
            raise RefusedCall(405, "Rebase merges are not allowed on this repository.")

    def _merge_commit(self, repository: Repository, pull: Pull, wanted: dict[str, Any]) -> str:
        git = self._state.git(repository)
        tree = git.merged_tree(pull.base_sha, pull.head_sha)
        if tree is None:
            raise RefusedCall(405, "Pull Request is not mergeable")
        squash = wanted.get("merge_method") == "squash"
        usual = f"Merge pull request #{pull.number} from {repository.owner}/{pull.head}"
        title = wanted.get("commit_title") or (f"{pull.title} (#{pull.number})" if squash else usual)
        body = wanted.get("commit_message") or ("" if squash else pull.title)
        parents = (pull.base_sha,) if squash else (pull.base_sha, pull.head_sha)
        sha = git.commit_tree(tree, parents, f"{title}\n\n{body}".strip() + "\n")
        try:
            git.move(f"refs/heads/{pull.base}", sha, pull.base_sha)
        except GitFailedError as error:
            raise RefusedCall(405, "Base branch was modified. Review and try the merge again.") from error
        return sha

    def _refuse_twin(self, repository: Repository, head: str, base: str) -> None:
        for pull in self._state.pulls_of(repository):
            if (pull.state, pull.head, pull.base) == ("open", head, base):
                message = f"A pull request already exists for {repository.owner}:{head}."
                raise validation_failed("PullRequest", message)

    def _tip(self, git: Git, branch: str, field: str) -> str:
        sha = git.ref(f"refs/heads/{branch}")
        if sha is None:
            error = {"resource": "PullRequest", "field": field, "code": "invalid"}
            raise RefusedCall(422, "Validation Failed", errors=[error])
        return sha

    def _known(self, request: Request[Caller]) -> Pull:
        pull = self._state.pulls.get(f"{request.caller.scene.full_name}#{request.path['pull_number']}")
        if pull is None:
            raise RefusedCall(404, "Not Found")
        return self._current(pull)

    def _current(self, pull: Pull) -> Pull:
        """The pull request with today's tips; a deleted branch leaves the last ones known."""
        if pull.state == "closed":
            return pull
        owner, _, name = pull.repository.partition("/")
        repository = self._state.repository(owner, name)
        git = self._state.git(repository) if repository else None
        head, base = (git.ref(f"refs/heads/{branch}") if git else None for branch in (pull.head, pull.base))
        return pull.model_copy(update={"head_sha": head or pull.head_sha, "base_sha": base or pull.base_sha})

    def _keep(self, pull: Pull) -> Pull:
        return self._state.pulls.put(f"{pull.repository}#{pull.number}", pull)

    def _show(self, request: Request[Caller], pull: Pull) -> dict[str, Any]:
        return full_pull(request.call.base_url, request.caller.scene, pull, self._state)
