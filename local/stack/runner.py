"""A self-hosted runner for the GitHub double: takes queued workflow runs and carries them out.

With `act` on the machine the repository's own workflow runs, on the host, and in it the action exactly as a consumer
of it would see it. Without act the action's verbs run in their order, with the same inputs; the stack says which.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import httpx
import structlog

from local.stack.identity import StackIdentity
from local.stack.jobs import JobOutcome, find_act, run_with_act, run_with_verbs
from local.stack.places import shipped
from local.stack.warden import MARKER

POLL_SECONDS = 0.1
PARALLEL_JOBS = 2
# What the action consists of on a runner; the copy is what `uses: aicd/aicd@v1` resolves to.
SHIPPED = ("action.yml", "action", "controlplane", "requirements")

log = structlog.get_logger()

Mode = Literal["act", "verbs"]


def choose_mode() -> Mode:
    return "act" if find_act() else "verbs"


def copy_action(target: Path) -> Path:
    """Copy what a published version of the action would hold."""
    target.mkdir(parents=True, exist_ok=True)
    for name in SHIPPED:
        source = shipped(name)
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            shutil.copy2(source, target / name)
    return target


def copy_log(source: Path, target: Path) -> None:
    """Keep a job's log without act's lines about secrets to be masked: act writes the secret into them."""
    with source.open("rb") as written, target.open("wb") as kept:
        kept.writelines(line for line in written if b"add-mask" not in line)


class Runner:
    """Polls the double for queued runs until stopped; each job has its own folder, removed when it ended."""

    def __init__(
        self,
        identity: StackIdentity,
        mode: Mode,
        folder: Path,
        variables: dict[str, str],
        environment: dict[str, str] | None = None,
        secrets: dict[str, str] | None = None,
    ) -> None:
        """`variables` and `secrets` are GitHub's, named by workflows, a repository's own secrets before these;
        `environment` is the runner's own, given to every job."""
        self._secrets = secrets or {}
        self._environment = environment or {}
        self._identity = identity
        self._mode = mode
        self._variables = variables
        self._folder = folder
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(PARALLEL_JOBS, thread_name_prefix="runner")
        self._client = httpx.Client(base_url=identity.url("github"), timeout=10)
        self._action = copy_action(folder / "action")
        self._taken: set[int] = set()

    def start(self) -> None:
        threading.Thread(target=self._poll, name="runner", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _poll(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            try:
                queued = self._client.get("/_double/runs", params={"status": "queued"}).json()
            except (httpx.HTTPError, ValueError):
                continue
            for run in queued:
                if run["id"] not in self._taken:
                    self._taken.add(run["id"])
                    self._pool.submit(self._carry_out, run)

    def _carry_out(self, run: dict[str, Any]) -> None:
        number = run["id"]
        job = self._folder / f"job-{number}"
        job.mkdir(parents=True, exist_ok=True)
        self._report(number, "in_progress", None)
        try:
            outcome = self._execute(run, job)
        except (OSError, subprocess.SubprocessError, httpx.HTTPError, KeyError, ValueError) as error:
            log.exception("runner-failed", ci_run_id=number, error=type(error).__name__)
            outcome = JobOutcome(conclusion="failure", log=str(error))
        finally:
            self._keep_log(job, number)
        self._report(number, "completed", outcome.conclusion)

    def _execute(self, run: dict[str, Any], job: Path) -> JobOutcome:
        repository = run["repository"]
        secrets = self._client.get(f"/_double/repos/{repository}/secrets").raise_for_status().json()
        settings = {"secrets": {**self._secrets, **secrets}, "variables": self._variables}
        execute = run_with_act if self._mode == "act" else run_with_verbs
        environ = self._job_environment(run, job)
        return execute(
            run, settings, job=job, action=self._action, environ=environ, asked=lambda: self._is_cancelled(run["id"])
        )

    def _is_cancelled(self, number: int) -> bool:
        try:
            running = self._client.get("/_double/runs", params={"status": "in_progress"}).json()
        except (httpx.HTTPError, ValueError):
            return False
        return any(run["id"] == number and run["cancel_requested"] for run in running)

    def _job_environment(self, run: dict[str, Any], job: Path) -> dict[str, str]:
        """A runner's environment: nothing of ours but what GitHub itself would set, and where the doubles are."""
        github = self._identity.url("github")
        (job / "home").mkdir(exist_ok=True)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(job / "home"),
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            MARKER: self._identity.id,
            "AICD_PYTHON": sys.executable,
            "AICD_CACHE_DIR": os.environ.get("AICD_CACHE_DIR", ""),
            "GITHUB_API_URL": github,
            "GITHUB_SERVER_URL": github,
            "GITHUB_RUN_ID": str(run["id"]),
            "GITHUB_RUN_ATTEMPT": str(run["attempt"]),
            "GITHUB_REPOSITORY": run["repository"],
            **self._environment,
            **self._identity_access(run),
        }

    def _identity_access(self, run: dict[str, Any]) -> dict[str, str]:
        """How a job asks GitHub for its ID token; every job may, since act does not read `permissions`."""
        access = self._client.post(f"/_double/runs/{run['id']}/oidc", json={}).raise_for_status().json()
        return {"ACTIONS_ID_TOKEN_REQUEST_URL": access["url"], "ACTIONS_ID_TOKEN_REQUEST_TOKEN": access["token"]}

    def _keep_log(self, job: Path, number: int) -> None:
        kept = self._folder / "logs"
        kept.mkdir(exist_ok=True)
        if (job / "job.log").exists():
            copy_log(job / "job.log", kept / f"{number}.log")
        shutil.rmtree(job, ignore_errors=True)

    def _report(self, number: int, status: str, conclusion: str | None) -> None:
        try:
            self._client.post(f"/_double/runs/{number}", json={"status": status, "conclusion": conclusion})
        except httpx.HTTPError as error:
            log.warning("runner-report-lost", ci_run_id=number, error=type(error).__name__)
