"""workflow_dispatch and the end of a run through PyGithub, and its errors translated.

PyGithub's own retries and pauses are off: a dispatch that was answered with 500 may have started a run, so the next
try belongs to the outbox, which looks for that run first.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from controlplane.errors import AicdError, OutsideError
from functions._shared.pause import read_retry_after
from functions._shared.settings import GitHubSettings
from functions._shared.workflows.access import NEWEST_RUNS, TIMEOUT_SECONDS, GitHubAccess
from functions._shared.workflows.port import StartedRun, WorkflowRefused

if TYPE_CHECKING:
    from github.Repository import Repository
    from github.Workflow import Workflow

Value = TypeVar("Value")

_OVER = "completed"
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")


class GitHubWorkflows:
    """GitHub Actions as far as we have the right to it. Building it costs nothing; the first call does."""

    def __init__(self, settings: GitHubSettings, timeout_seconds: int = TIMEOUT_SECONDS) -> None:
        self._access = GitHubAccess(settings, timeout_seconds)

    def start_run(self, repo: str, workflow: str, ref: str, inputs: dict[str, str]) -> StartedRun | None:
        """Start the workflow on `ref`. None: GitHub started it without saying which run it is (an older server)."""

        def start() -> StartedRun | None:
            run = self._workflow(repo, workflow).create_dispatch(ref, inputs, throw=True, return_run_details=True)
            return None if isinstance(run, bool) else StartedRun(str(run.id), run.html_url)

        return self._call(start, repo, f"workflow {workflow}")

    def find_run(self, repo: str, workflow: str, run_id: str) -> StartedRun | None:
        """The newest run whose title holds our run id; the workflow's `run-name` puts it there."""

        def find() -> StartedRun | None:
            runs = self._workflow(repo, workflow).get_runs(event="workflow_dispatch")
            for run in itertools.islice(runs, NEWEST_RUNS):
                if run_id in (run.display_title or "") or run_id in (run.name or ""):
                    return StartedRun(str(run.id), run.html_url)
            return None

        return self._call(find, repo, f"workflow {workflow}")

    def cancel_run(self, repo: str, ci_run_id: str) -> bool:
        """Ask GitHub to stop a run. False: it is over. One that is gone is refused with `workflow-not-found`."""

        def cancel() -> bool:
            run = self._repository(repo).get_workflow_run(int(ci_run_id))
            if run.status == _OVER:
                return False
            status, headers, _ = run.requester.requestJson("POST", run.cancel_url)
            if status == 202:
                return True
            # Refused: it may have ended meanwhile.
            run.update()
            if run.status == _OVER:
                return False
            if status == 429 or status >= 500:
                raise translate_status(status, headers, f"{repo}: run {ci_run_id}")
            raise _unavailable(f"{repo}: run {ci_run_id} cannot be stopped now")

        return self._call(cancel, repo, f"run {ci_run_id}")

    def _workflow(self, repo: str, workflow: str) -> Workflow:
        return self._repository(repo).get_workflow(workflow)

    def _repository(self, repo: str) -> Repository:
        if not _REPO.fullmatch(repo):
            raise WorkflowRefused(
                f"{repo!r} is not a GitHub repository's name.", fix="Correct the project's repository."
            )
        return self._access.client_for(repo).get_repo(repo)

    def _call(self, call: Callable[[], Value], repo: str, what: str) -> Value:
        try:
            return _translated(call, f"{repo}: {what}")
        except AicdError:
            self._access.forget(repo)
            raise


def _translated(call: Callable[[], Value], subject: str) -> Value:
    import requests
    from github.GithubException import BadAttributeException, GithubException

    try:
        return call()
    except GithubException as error:
        raise translate_status(error.status, error.headers or {}, subject) from error
    except (requests.RequestException, OSError) as error:
        raise _unreachable() from error
    except (BadAttributeException, ValueError, KeyError, TypeError, AttributeError) as error:  # nonsense as an answer
        raise _unreachable() from error


def translate_status(status: int, headers: Mapping[str, Any], subject: str) -> AicdError:
    """404 and 422 stay as they are until somebody changes the project; everything else may heal."""
    if status == 404:
        return WorkflowRefused(
            f"{subject} was not found, or our token may not see it.",
            fix="Add the workflow to the repository's default branch (`aicd init`), and give our token access with "
            "the permission 'Actions: write'.",
            code="workflow-not-found",
        )
    if status == 422:
        return WorkflowRefused(
            f"{subject} cannot be started by us: it has no `workflow_dispatch` trigger with the inputs run-id, spec-id "
            "and correlation-id, or the branch does not exist.",
            fix="Bring the workflow up to date with `aicd init`, on the default branch.",
            code="workflow-refused",
        )
    if status == 401:
        return OutsideError(
            "GitHub does not accept what we prove ourselves by: it expired or was revoked.",
            fix="Set AICD_GITHUB_TOKEN or AICD_GITHUB_TOKENS to a live token, or AICD_GITHUB_APP_ID and its private "
            "key to those of a live app; the work is kept and tried again.",
            code="github-credentials",
        )
    return OutsideError(
        f"GitHub cannot serve us now (HTTP {status}).",
        fix="Wait; the work is kept and tried again. With HTTP 403, check that the token has 'Actions: write'.",
        code="github-unavailable",
        details={"retry_after_seconds": _read_pause(headers)},
    )


def _read_pause(headers: Mapping[str, Any]) -> float | None:
    """Retry-After, else the time to the rate limit's reset when nothing is left of it."""
    wish = read_retry_after(headers)
    fields = {name.lower(): str(value) for name, value in headers.items()}
    reset = fields.get("x-ratelimit-reset", "")
    if wish is None and fields.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return min(max(int(reset[:12]) - datetime.now(UTC).timestamp(), 1.0), 3_600.0)
    return wish


def _unavailable(what: str) -> OutsideError:
    return OutsideError(
        f"{what}.",
        fix="Wait; the work is kept and tried again. If it lasts, check that our token has 'Actions: write'.",
        code="github-unavailable",
    )


def _unreachable() -> OutsideError:
    return OutsideError(
        "GitHub did not answer, or broke off in the middle.",
        fix="Wait; the work is kept and tried again.",
        code="github-unreachable",
    )
