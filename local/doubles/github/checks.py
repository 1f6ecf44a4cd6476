"""Handlers: check runs and commit statuses."""

from __future__ import annotations

from typing import Any

from local.doubles.exchange import Answer, RefusedCall, Request
from local.doubles.github.access import Caller
from local.doubles.github.nouns import CheckRun, Status
from local.doubles.github.paging import counted, listing
from local.doubles.github.render import minimal_repository, page_url, repository_url, user
from local.doubles.github.repositories import Handlers
from local.doubles.github.state import GitHubState, node_id, now, stable_id

_PLAIN = ("name", "details_url", "external_id", "status", "started_at", "conclusion", "completed_at")
_STATE_ORDER = ("error", "failure", "pending")


class Checks:
    """What programs say about a commit."""

    def __init__(self, state: GitHubState) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        return {
            "checks/create": self.create,
            "checks/update": self.update,
            "checks/get": self.get,
            "checks/list-for-ref": self.list_for_ref,
            "repos/create-commit-status": self.create_status,
            "repos/list-commit-statuses-for-ref": self.list_statuses,
            "repos/get-combined-status-for-ref": self.combine_statuses,
        }

    def create(self, request: Request[Caller]) -> Answer:
        wanted, repository = request.document, request.caller.scene
        sha = self._resolve(request, wanted["head_sha"], status=422)
        with self._state.journal.transaction():
            blank = CheckRun(
                id=self._state.journal.next_number("check", first=40_000_000_001),
                repository=repository.full_name,
                name=wanted["name"],
                head_sha=sha,
                status="queued",
                conclusion=None,
                details_url=None,
                external_id="",
                started_at=now(),
                completed_at=None,
            )
            check = self._state.checks.put(str(blank.id), _changed(blank, wanted))
        return Answer(201, self._show(request, check))

    def update(self, request: Request[Caller]) -> Answer:
        with self._state.journal.transaction():
            check = self._state.checks.put(
                request.path["check_run_id"], _changed(self._known(request), request.document)
            )
        return Answer(document=self._show(request, check))

    def get(self, request: Request[Caller]) -> Answer:
        return Answer(document=self._show(request, self._known(request)))

    def list_for_ref(self, request: Request[Caller]) -> Answer:
        sha, name = self._resolve(request, request.path["ref"]), request.call.one("check_name")
        mine = [c for c in self._state.checks.values() if c.repository == request.caller.scene.full_name]
        found = [c for c in mine if c.head_sha == sha and (not name or c.name == name)]
        return counted(request.call, "check_runs", found, lambda check: self._show(request, check))

    def create_status(self, request: Request[Caller]) -> Answer:
        wanted, sha = request.document, self._resolve(request, request.path["sha"], status=422)
        with self._state.journal.transaction():
            status = Status(
                id=self._state.journal.next_number("status", first=50_000_000_001),
                repository=request.caller.scene.full_name,
                sha=sha,
                state=wanted["state"],
                context=wanted.get("context", "default"),
                description=wanted.get("description"),
                target_url=wanted.get("target_url"),
                creator=request.caller.token.login,
                created_at=now(),
            )
            self._state.statuses.put(str(status.id), status)
        return Answer(
            201, self._show_status(request, status) | {"creator": user(request.call.base_url, status.creator)}
        )

    def list_statuses(self, request: Request[Caller]) -> Answer:
        def show(status: Status) -> dict[str, Any]:
            return self._show_status(request, status) | {"creator": user(request.call.base_url, status.creator)}

        return listing(request.call, self._statuses(request), show)

    def combine_statuses(self, request: Request[Caller]) -> Answer:
        """The newest status of each context; the worst one wins."""
        latest: dict[str, Status] = {}
        for status in self._statuses(request):
            latest.setdefault(status.context, status)
        states = {status.state for status in latest.values()}
        worst = next((word for word in _STATE_ORDER if word in states), "success" if states else "pending")
        sha, repository = self._resolve(request, request.path["ref"]), request.caller.scene
        url = repository_url(request.call.base_url, repository)
        return Answer(
            document={
                "state": "failure" if worst == "error" else worst,
                "sha": sha,
                "total_count": len(latest),
                "statuses": [self._show_status(request, status) for status in latest.values()],
                "repository": minimal_repository(request.call.base_url, repository),
                "commit_url": f"{url}/commits/{sha}",
                "url": f"{url}/commits/{sha}/status",
            }
        )

    def _statuses(self, request: Request[Caller]) -> list[Status]:
        sha = self._resolve(request, request.path["ref"])
        mine = [s for s in self._state.statuses.values() if s.repository == request.caller.scene.full_name]
        return [status for status in reversed(mine) if status.sha == sha]

    def _resolve(self, request: Request[Caller], revision: str, status: int = 404) -> str:
        sha = self._state.git(request.caller.scene).resolve(revision)
        if sha is None:
            raise RefusedCall(status, f"No commit found for SHA: {revision}")
        return sha

    def _known(self, request: Request[Caller]) -> CheckRun:
        check = self._state.checks.get(request.path["check_run_id"])
        if check is None or check.repository != request.caller.scene.full_name:
            raise RefusedCall(404, "Not Found")
        return check

    def _show(self, request: Request[Caller], check: CheckRun) -> dict[str, Any]:
        base, repository = request.call.base_url, request.caller.scene
        url = f"{repository_url(base, repository)}/check-runs/{check.id}"
        page = f"{page_url(base, repository)}/runs/{check.id}"
        return {
            "id": check.id,
            "node_id": node_id("CheckRun", check.id),
            "head_sha": check.head_sha,
            "external_id": check.external_id,
            "url": url,
            "html_url": page,
            "details_url": check.details_url or page,
            "status": check.status,
            "conclusion": check.conclusion,
            "started_at": check.started_at,
            "completed_at": check.completed_at,
            "output": {
                "title": check.title,
                "summary": check.summary,
                "text": check.text,
                "annotations_count": len(check.annotations),
                "annotations_url": f"{url}/annotations",
            },
            "name": check.name,
            "check_suite": {"id": stable_id(f"suite {check.repository} {check.head_sha}")},
            "app": None,
            "pull_requests": [],
        }

    def _show_status(self, request: Request[Caller], status: Status) -> dict[str, Any]:
        base, repository = request.call.base_url, request.caller.scene
        return {
            "url": f"{repository_url(base, repository)}/statuses/{status.sha}",
            "avatar_url": user(base, status.creator)["avatar_url"],
            "id": status.id,
            "node_id": node_id("StatusContext", status.id),
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
            "context": status.context,
            "created_at": status.created_at,
            "updated_at": status.created_at,
        }


def _changed(check: CheckRun, wanted: dict[str, Any]) -> CheckRun:
    """The check with what the request says; annotations are appended, a conclusion completes it."""
    changes: dict[str, Any] = {name: wanted[name] for name in _PLAIN if name in wanted}
    if changes.get("conclusion"):
        changes["status"] = "completed"
        changes.setdefault("completed_at", now())
    elif changes.get("status") == "completed":
        error = {"resource": "CheckRun", "code": "missing_field", "field": "conclusion"}
        raise RefusedCall(422, "Invalid request.", errors=[error])
    output = wanted.get("output", {})
    changes |= {name: output[name] for name in ("title", "summary", "text") if name in output}
    return check.model_copy(update=changes | {"annotations": (*check.annotations, *output.get("annotations", []))})
