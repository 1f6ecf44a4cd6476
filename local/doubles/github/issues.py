"""Handlers: comments and labels of pull requests (the double has no other issues)."""

from __future__ import annotations

from typing import Any

from local.doubles.exchange import Answer, RefusedCall, Request
from local.doubles.github.access import Caller
from local.doubles.github.nouns import Comment, Label, Pull, Repository
from local.doubles.github.paging import listing
from local.doubles.github.render import page_url, repository_url, user
from local.doubles.github.render_pull import issue_of, label, plain_label
from local.doubles.github.repositories import Handlers
from local.doubles.github.state import GitHubState, node_id, now

MAX_COMMENT = 65_536


class Issues:
    """What people and programs write on a pull request."""

    def __init__(self, state: GitHubState) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        return {
            "issues/get": self.get,
            "issues/list-comments": self.list_comments,
            "issues/create-comment": self.create_comment,
            "issues/get-comment": self.get_comment,
            "issues/update-comment": self.update_comment,
            "issues/delete-comment": self.delete_comment,
            "issues/list-labels-on-issue": self.list_labels,
            "issues/add-labels": self.add_labels,
            "issues/set-labels": self.set_labels,
            "issues/remove-label": self.remove_label,
            "issues/list-labels-for-repo": self.list_known_labels,
            "issues/create-label": self.create_label,
        }

    def get(self, request: Request[Caller]) -> Answer:
        pull, repository = self._known(request), request.caller.scene
        return Answer(document=issue_of(request.call.base_url, repository, pull, len(self._comments(pull))))

    def list_comments(self, request: Request[Caller]) -> Answer:
        comments = self._comments(self._known(request))
        since = request.call.one("since")
        return listing(request.call, [c for c in comments if c.updated_at >= since], lambda c: self._show(request, c))

    def create_comment(self, request: Request[Caller]) -> Answer:
        pull, moment = self._known(request), now()
        with self._state.journal.transaction():
            comment = Comment(
                id=self._state.journal.next_number("comment", first=3_000_000_001),
                repository=pull.repository,
                issue=pull.number,
                author=request.caller.token.login,
                body=_checked(request.document["body"]),
                created_at=moment,
                updated_at=moment,
            )
            self._state.comments.put(str(comment.id), comment)
        return Answer(201, self._show(request, comment))

    def get_comment(self, request: Request[Caller]) -> Answer:
        return Answer(document=self._show(request, self._comment(request)))

    def update_comment(self, request: Request[Caller]) -> Answer:
        changes = {"body": _checked(request.document["body"]), "updated_at": now()}
        with self._state.journal.transaction():
            comment = self._comment(request).model_copy(update=changes)
            self._state.comments.put(str(comment.id), comment)
        return Answer(document=self._show(request, comment))

    def delete_comment(self, request: Request[Caller]) -> Answer:
        with self._state.journal.transaction():
            self._state.comments.delete(str(self._comment(request).id))
        return Answer(204)

    def list_labels(self, request: Request[Caller]) -> Answer:
        return self._labels_answer(request, self._known(request))

    def add_labels(self, request: Request[Caller]) -> Answer:
        with self._state.journal.transaction():
            pull = self._known(request)
            return self._labels_answer(request, self._relabel(pull, [*pull.labels, *_names(request.document)]))

    def set_labels(self, request: Request[Caller]) -> Answer:
        with self._state.journal.transaction():
            return self._labels_answer(request, self._relabel(self._known(request), _names(request.document)))

    def remove_label(self, request: Request[Caller]) -> Answer:
        with self._state.journal.transaction():
            pull = self._known(request)
            if request.path["name"] not in pull.labels:
                raise RefusedCall(404, "Label does not exist")
            kept = [name for name in pull.labels if name != request.path["name"]]
            return self._labels_answer(request, self._relabel(pull, kept))

    def list_known_labels(self, request: Request[Caller]) -> Answer:
        repository = request.caller.scene
        found = [known for known in self._state.labels.values() if known.repository == repository.full_name]
        return listing(request.call, found, lambda known: label(request.call.base_url, repository, known))

    def create_label(self, request: Request[Caller]) -> Answer:
        wanted, repository = request.document, request.caller.scene
        key = f"{repository.full_name}#{wanted['name'].lower()}"
        with self._state.journal.transaction():
            if self._state.labels.get(key) is not None:
                error = {"resource": "Label", "code": "already_exists", "field": "name"}
                raise RefusedCall(422, "Validation Failed", errors=[error])
            known = plain_label(repository, wanted["name"]).model_copy(
                update={"color": wanted.get("color", "ededed"), "description": wanted.get("description")}
            )
            self._state.labels.put(key, known)
        return Answer(201, label(request.call.base_url, repository, known))

    def _labels_answer(self, request: Request[Caller], pull: Pull) -> Answer:
        repository = request.caller.scene
        known = [self._label(repository, name) for name in pull.labels]
        return Answer(document=[label(request.call.base_url, repository, found) for found in known])

    def _label(self, repository: Repository, name: str) -> Label:
        return self._state.labels.get(f"{repository.full_name}#{name.lower()}") or plain_label(repository, name)

    def _relabel(self, pull: Pull, names: list[str]) -> Pull:
        changed = pull.model_copy(update={"labels": tuple(dict.fromkeys(names)), "updated_at": now()})
        return self._state.pulls.put(f"{pull.repository}#{pull.number}", changed)

    def _known(self, request: Request[Caller]) -> Pull:
        pull = self._state.pulls.get(f"{request.caller.scene.full_name}#{request.path['issue_number']}")
        if pull is None:
            raise RefusedCall(404, "Not Found")
        return pull

    def _comment(self, request: Request[Caller]) -> Comment:
        comment = self._state.comments.get(request.path["comment_id"])
        if comment is None or comment.repository != request.caller.scene.full_name:
            raise RefusedCall(404, "Not Found")
        return comment

    def _comments(self, pull: Pull) -> list[Comment]:
        return [c for c in self._state.comments.values() if (c.repository, c.issue) == (pull.repository, pull.number)]

    def _show(self, request: Request[Caller], comment: Comment) -> dict[str, Any]:
        base, repository = request.call.base_url, request.caller.scene
        url = repository_url(base, repository)
        return {
            "id": comment.id,
            "node_id": node_id("IssueComment", comment.id),
            "url": f"{url}/issues/comments/{comment.id}",
            "html_url": f"{page_url(base, repository)}/pull/{comment.issue}#issuecomment-{comment.id}",
            "issue_url": f"{url}/issues/{comment.issue}",
            "body": comment.body,
            "user": user(base, comment.author),
            "created_at": comment.created_at,
            "updated_at": comment.updated_at,
            "author_association": "CONTRIBUTOR",
        }


def _checked(body: str) -> str:
    if not body.strip() or len(body) > MAX_COMMENT:
        problem = "is too long (maximum is 65536 characters)" if body.strip() else "can't be blank"
        error = {"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": f"Body {problem}"}
        raise RefusedCall(422, "Validation Failed", errors=[error])
    return body


def _names(document: Any) -> list[str]:
    """Label names from each of the documented forms: a list, or an object with a list of names or objects."""
    listed = document.get("labels", []) if isinstance(document, dict) else document or []
    return [item["name"] if isinstance(item, dict) else item for item in listed]
