"""Handlers: workflows, their dispatch, and workflow runs. Runs are carried out by the runner beside this double."""

from __future__ import annotations

import json
from typing import Any

from local.doubles.exchange import Answer, RefusedCall, Request
from local.doubles.github import render, render_git
from local.doubles.github.access import Caller
from local.doubles.github.nouns import Repository, Run
from local.doubles.github.paging import counted
from local.doubles.github.repositories import Handlers
from local.doubles.github.state import GitHubState, node_id, now, stable_id
from local.doubles.github.workflows import (
    FOLDER,
    MAX_INPUTS,
    InputsRefusedError,
    Workflow,
    check_inputs,
    read_workflow,
    read_workflows,
    title_of,
)

MAX_PAYLOAD = 65_535
DISPATCH_DETAILS_ALWAYS = "2026-03-10"
# A status filter of the list may also be a conclusion.
_FINAL = ("completed",)


class Actions:
    """What starts runs, and what can be asked about them."""

    def __init__(self, state: GitHubState) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        return {
            "actions/list-repo-workflows": self.list_workflows,
            "actions/get-workflow": self.get_workflow,
            "actions/create-workflow-dispatch": self.dispatch,
            "actions/list-workflow-runs": self.list_runs,
            "actions/list-workflow-runs-for-repo": self.list_runs,
            "actions/get-workflow-run": self.get_run,
            "actions/cancel-workflow-run": self.cancel,
            "repos/create-dispatch-event": self.repository_dispatch,
        }

    def list_workflows(self, request: Request[Caller]) -> Answer:
        found = self._on_default_branch(request.caller.scene)
        return counted(request.call, "workflows", found, lambda workflow: self._show_workflow(request, workflow))

    def get_workflow(self, request: Request[Caller]) -> Answer:
        return Answer(document=self._show_workflow(request, self._workflow(request)))

    def dispatch(self, request: Request[Caller]) -> Answer:
        wanted, repository = request.document, request.caller.scene
        workflow, git = self._workflow(request), self._state.git(repository)
        name = wanted["ref"].removeprefix("refs/heads/")
        sha = git.ref(f"refs/heads/{name}") or git.ref(f"refs/tags/{name.removeprefix('refs/tags/')}")
        if sha is None:
            raise RefusedCall(422, f"No ref found for: {wanted['ref']}")
        there = read_workflow(git, sha, workflow.path)
        if there is None or "workflow_dispatch" not in there.triggers:
            raise RefusedCall(422, "Workflow does not have 'workflow_dispatch' trigger")
        given = wanted.get("inputs", {})
        if len(given) > MAX_INPUTS:
            raise RefusedCall(422, f"you may only define up to {MAX_INPUTS} `inputs` for a `workflow_dispatch` event")
        try:
            inputs = check_inputs(there, given)
        except InputsRefusedError as refusal:
            raise RefusedCall(422, str(refusal)) from refusal
        ref = f"refs/heads/{name}" if git.ref(f"refs/heads/{name}") else f"refs/tags/{name.removeprefix('refs/tags/')}"
        run = self._start(request, there, "workflow_dispatch", ref, sha, inputs=inputs)
        always = request.call.headers.get("x-github-api-version") == DISPATCH_DETAILS_ALWAYS
        if not always and wanted.get("return_run_details") is not True:
            return Answer(204)
        shown = self._show(request, run)
        return Answer(document={"workflow_run_id": run.id, "run_url": shown["url"], "html_url": shown["html_url"]})

    def repository_dispatch(self, request: Request[Caller]) -> Answer:
        wanted, repository = request.document, request.caller.scene
        payload = wanted.get("client_payload", {})
        if len(json.dumps(payload)) > MAX_PAYLOAD:
            raise RefusedCall(422, "client_payload is too large.")
        sha = self._state.git(repository).ref(f"refs/heads/{repository.default_branch}")
        for workflow in self._on_default_branch(repository) if sha else []:
            settings = workflow.triggers.get("repository_dispatch") or {}
            types = settings.get("types") if isinstance(settings, dict) else None
            types = [types] if isinstance(types, str) else types
            if "repository_dispatch" in workflow.triggers and (not types or wanted["event_type"] in types):
                ref = f"refs/heads/{repository.default_branch}"
                action = {"event_action": wanted["event_type"], "client_payload": payload}
                self._start(request, workflow, "repository_dispatch", ref, str(sha), **action)
        return Answer(204)

    def list_runs(self, request: Request[Caller]) -> Answer:
        call = request.call
        found = self._state.runs_of(request.caller.scene)
        if "workflow_id" in request.path:
            path = self._workflow(request).path
            found = [run for run in found if run.workflow_path == path]
        checks = {
            "status": lambda run, value: value in (run.status, run.conclusion),
            "event": lambda run, value: run.event == value,
            "branch": lambda run, value: run.ref == f"refs/heads/{value}",
            "actor": lambda run, value: run.actor == value,
            "head_sha": lambda run, value: run.sha == value,
            "created": _created_within,
        }
        for name, fits in checks.items():
            if value := call.one(name):
                found = [run for run in found if fits(run, value)]
        return counted(call, "workflow_runs", found, lambda run: self._show(request, run))

    def get_run(self, request: Request[Caller]) -> Answer:
        return Answer(document=self._show(request, self._known(request)))

    def cancel(self, request: Request[Caller]) -> Answer:
        """A waiting run ends at once; a running one is asked to, and ends when the runner says so."""
        with self._state.journal.transaction():
            run = self._known(request)
            if run.status in _FINAL:
                raise RefusedCall(409, "Cannot cancel a workflow run that is completed.")
            ended = {"status": "completed", "conclusion": "cancelled"} if run.status == "queued" else {}
            changes = {"cancel_requested": True, "updated_at": now(), **ended}
            self._state.runs.put(str(run.id), run.model_copy(update=changes))
        return Answer(202, {})

    def _start(
        self, request: Request[Caller], workflow: Workflow, event: str, ref: str, sha: str, **trigger: Any
    ) -> Run:
        repository, actor, moment = request.caller.scene, request.caller.token.login, now()
        inputs, payload = trigger.get("inputs", {}), trigger.get("client_payload", {})
        occurrence = {"inputs": inputs, "client_payload": payload, "action": trigger.get("event_action")}
        branch = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
        github = {"event": occurrence, "actor": actor, "ref": ref, "ref_name": branch, "sha": sha, "event_name": event}
        usual = str(trigger.get("event_action") or workflow.name)
        with self._state.journal.transaction():
            run = Run(
                id=self._state.journal.next_number("run", first=9_000_000_001),
                number=self._state.journal.next_number(f"run of {repository.full_name}/{workflow.path}"),
                repository=repository.full_name,
                workflow_path=workflow.path,
                workflow_name=workflow.name,
                title=title_of(workflow, {"inputs": inputs, "github": github}, usual),
                event=event,
                ref=ref,
                sha=sha,
                actor=actor,
                created_at=moment,
                updated_at=moment,
                **trigger,
            )
            return self._state.runs.put(str(run.id), run)

    def _on_default_branch(self, repository: Repository) -> list[Workflow]:
        git = self._state.git(repository)
        sha = git.ref(f"refs/heads/{repository.default_branch}")
        return read_workflows(git, sha) if sha else []

    def _workflow(self, request: Request[Caller]) -> Workflow:
        """By number or file name, on the default branch: GitHub knows no other workflow."""
        wanted = request.path["workflow_id"]
        for workflow in self._on_default_branch(request.caller.scene):
            number = str(_workflow_id(request.caller.scene, workflow.path))
            if wanted in (number, workflow.path.removeprefix(f"{FOLDER}/"), workflow.path):
                return workflow
        raise RefusedCall(404, "Not Found")

    def _known(self, request: Request[Caller]) -> Run:
        run = self._state.runs.get(request.path["run_id"])
        if run is None or run.repository != request.caller.scene.full_name:
            raise RefusedCall(404, "Not Found")
        return run

    def _show_workflow(self, request: Request[Caller], workflow: Workflow) -> dict[str, Any]:
        base, repository = request.call.base_url, request.caller.scene
        number = _workflow_id(repository, workflow.path)
        page = f"{render.page_url(base, repository)}/blob/{repository.default_branch}/{workflow.path}"
        file = workflow.path.rpartition("/")[2]
        return {
            "id": number,
            "node_id": node_id("Workflow", number),
            "name": workflow.name,
            "path": workflow.path,
            "state": "active",
            "created_at": repository.created_at,
            "updated_at": repository.created_at,
            "url": f"{render.repository_url(base, repository)}/actions/workflows/{number}",
            "html_url": page,
            "badge_url": f"{render.page_url(base, repository)}/actions/workflows/{file}/badge.svg",
        }

    def _show(self, request: Request[Caller], run: Run) -> dict[str, Any]:
        base, repository = request.call.base_url, request.caller.scene
        url = f"{render.repository_url(base, repository)}/actions/runs/{run.id}"
        number = _workflow_id(repository, run.workflow_path)
        suite = stable_id(f"suite {run.id}")
        commit = render_git.git_commit(base, repository, self._state.git(repository).log(run.sha, limit=1)[0])
        return {
            "id": run.id,
            "node_id": node_id("WorkflowRun", run.id),
            "name": run.workflow_name,
            "display_title": run.title,
            "head_branch": run.ref.removeprefix("refs/heads/").removeprefix("refs/tags/"),
            "head_sha": run.sha,
            "path": run.workflow_path,
            "run_number": run.number,
            "run_attempt": run.attempt,
            "event": run.event,
            "status": run.status,
            "conclusion": run.conclusion,
            "workflow_id": number,
            "check_suite_id": suite,
            "check_suite_node_id": node_id("CheckSuite", suite),
            "url": url,
            "html_url": f"{render.page_url(base, repository)}/actions/runs/{run.id}",
            "pull_requests": [],
            "created_at": run.created_at,
            "updated_at": run.updated_at,
            "run_started_at": run.started_at or run.created_at,
            "actor": render.user(base, run.actor),
            "triggering_actor": render.user(base, run.actor),
            "jobs_url": f"{url}/jobs",
            "logs_url": f"{url}/logs",
            "check_suite_url": f"{render.repository_url(base, repository)}/check-suites/{suite}",
            "artifacts_url": f"{url}/artifacts",
            "cancel_url": f"{url}/cancel",
            "rerun_url": f"{url}/rerun",
            "previous_attempt_url": None,
            "workflow_url": f"{render.repository_url(base, repository)}/actions/workflows/{number}",
            "head_commit": {
                "id": run.sha,
                "tree_id": commit["tree"]["sha"],
                "message": commit["message"],
                "timestamp": commit["committer"]["date"],
                "author": {key: commit["author"][key] for key in ("name", "email")},
                "committer": {key: commit["committer"][key] for key in ("name", "email")},
            },
            "repository": render.minimal_repository(base, repository),
            "head_repository": render.minimal_repository(base, repository),
        }


def _workflow_id(repository: Repository, path: str) -> int:
    return stable_id(f"workflow {repository.full_name.lower()} {path}")


def _created_within(run: Run, span: str) -> bool:
    """GitHub's date search: `>=T`, `<T`, `A..B` or a day; ISO texts in UTC compare as they stand."""
    start, dots, end = span.partition("..")
    if dots:
        return (start in ("", "*") or run.created_at >= start) and (end in ("", "*") or run.created_at <= end)
    for sign, fits in (
        (">=", run.created_at >= span[2:]),
        ("<=", run.created_at <= span[2:]),
        (">", run.created_at > span[1:]),
        ("<", run.created_at < span[1:]),
    ):
        if span.startswith(sign):
            return fits
    return run.created_at.startswith(span)
