"""The action against the real database, gateway and GitHub double: one run, one result, whatever is repeated."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlplane.tokens import mint_token
from tests.contract.functions.conftest import REPO, ROOT, SPEC, Line

TOKEN = "ghs_0123456789abcdefghijABCDEFGHIJ01"
FILES = """
files:
  - path: greeting/__init__.py
    content: |
      def greet(name: str) -> str:
          return f"Hello, {name}"
  - path: tests/test_greeting.py
    content: |
      from greeting import greet


      def test_us1_1_greets():
          assert greet("Ada") == "Hello, Ada"
"""
VERBS = ("start", "plan", "build", "verify", "gate", "publish", "finish")


class Runner:
    """A CI run of this line's repository."""

    def __init__(self, line: Line, folder: Path) -> None:
        self.line = line
        self.folder = folder
        line.world.github.post("tokens", token=TOKEN)
        [[project]] = line.rows("select id::text from public.projects")
        self.token = mint_token(line.world.jwk, "aicd_runner", 600, project_id=project).token

    def call(self, verb: str, run_id: str, *, ci: str = "1", attempt: int = 1, **more: str) -> tuple[int, str]:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "AICD_RUN_DIR": str(self.folder / f"run-{ci}-{attempt}"),
            "AICD_RUN_ID": run_id,
            "AICD_SUPABASE_URL": self.line.world.api_url,
            "AICD_SUPABASE_PUBLISHABLE_KEY": self.line.world.publishable_key,
            "AICD_SUPABASE_TOKEN": self.token,
            "AICD_GITHUB_TOKEN": TOKEN,
            "GITHUB_API_URL": self.line.world.github.url,
            "GITHUB_SERVER_URL": self.line.world.github.url,
            "GITHUB_RUN_ID": ci,
            "GITHUB_RUN_ATTEMPT": str(attempt),
            **more,
        }
        command = [sys.executable, "-P", "-m", "action", verb]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout + done.stderr

    def pulls(self, spec_id: str) -> list[dict[str, Any]]:
        """Open pull requests of this specification; the double's repository outlives a test."""
        answer = httpx.get(
            f"{self.line.world.github.url}/repos/{REPO}/pulls", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return [pull for pull in found if pull["head"]["ref"].startswith(f"aicd/{spec_id[:8]}/")]


@pytest.fixture
def runner(line: Line) -> Iterator[Runner]:
    folder = Path(tempfile.mkdtemp(prefix="aicd-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield Runner(line, folder)
    shutil.rmtree(folder, ignore_errors=True)


def the_run(line: Line, run_id: str) -> dict[str, Any]:
    statement = "select result, branch, commit_sha, pull_request, summary_json from public.runs where id = %s"
    [row] = line.rows(statement, run_id)
    return dict(zip(("result", "branch", "commit", "pull", "summary"), row, strict=True))


def test_run_is_recorded_from_start_to_result(line: Line, runner: Runner) -> None:
    given = line.ingest(SPEC + FILES)
    run_id = given["run_id"]
    code, said = runner.call("deliver", run_id)
    assert code == 0, said
    run = the_run(line, run_id)
    assert (run["result"], run["summary"]["status"], run["summary"]["commit"]) == ("PASSED", "PASSED", run["commit"])
    [pull] = runner.pulls(given["spec_id"])
    assert (pull["html_url"], pull["head"]["sha"]) == (run["pull"]["url"], run["commit"])
    phases = [
        row[0]
        for row in line.rows("select phase from public.status_events where run_id = %s order by created_at", run_id)
    ]
    assert phases == ["PLANNING", "BUILD", "BUILD", "TESTING", "TESTS_PASSED", "PR_OPENED"]
    names = [row[0] for row in line.rows("select name from public.artifacts where run_id = %s", run_id)]
    assert {"report.html", "summary.json", "verdict.json", "change.patch", "base-tests.junit.xml"} - set(names) <= {
        "base-tests.junit.xml"
    }
    assert len(names) == len(set(names))
    assert line.rows("select state from public.sprints") == [("DONE",)]
    assert runner.token not in said


def test_second_workflow_run_of_the_same_run_does_nothing(line: Line, runner: Runner) -> None:
    given = line.ingest(SPEC + FILES)
    run_id = given["run_id"]
    assert runner.call("start", run_id, ci="1")[0] == 0
    code, said = runner.call("deliver", run_id, ci="2")
    assert (code, "Another workflow run" in said) == (0, True)
    assert the_run(line, run_id)["result"] is None
    assert runner.pulls(given["spec_id"]) == []


def test_finished_run_is_not_done_again(line: Line, runner: Runner) -> None:
    given = line.ingest(SPEC + FILES)
    run_id = given["run_id"]
    runner.call("deliver", run_id)
    before = the_run(line, run_id)
    code, said = runner.call("deliver", run_id, attempt=2)
    assert (code, "has its result already" in said) == (0, True)
    assert the_run(line, run_id) == before


@pytest.mark.parametrize("killed_after", ["build", "publish"])
def test_attempt_that_takes_over_gives_one_result(line: Line, runner: Runner, killed_after: str) -> None:
    """The runner is lost between two steps; GitHub's re-run begins anew on another one."""
    given = line.ingest(SPEC + FILES)
    run_id = given["run_id"]
    for verb in VERBS[: VERBS.index(killed_after) + 1]:
        assert runner.call(verb, run_id)[0] == 0
    code, said = runner.call("deliver", run_id, attempt=2)
    assert code == 0, said
    run = the_run(line, run_id)
    assert run["result"] == "PASSED"
    [pull] = runner.pulls(given["spec_id"])
    assert pull["head"]["sha"] == run["commit"]
    outbox = line.rows("select count(*) from public.outbox where kind = 'notify' and payload->>'template' = 'report'")
    assert outbox == [(1,)]


def test_run_that_cannot_be_built_fails_with_its_reason_in_the_summary(line: Line, runner: Runner) -> None:
    given = line.ingest(SPEC)
    run_id = given["run_id"]
    code, _ = runner.call("deliver", run_id)
    run = the_run(line, run_id)
    assert (code, run["result"], run["summary"]["failure"]["code"]) == (2, "FAILED", "no-agent")
    assert line.rows("select state from public.sprints") == [("FAILED",)]
    names = {row[0] for row in line.rows("select name from public.artifacts where run_id = %s", run_id)}
    assert "report.html" in names


def test_killed_run_is_finished_by_the_step_that_always_runs(line: Line, runner: Runner) -> None:
    given = line.ingest(SPEC + FILES)
    run_id = given["run_id"]
    for verb in ("start", "plan"):
        runner.call(verb, run_id)
    assert runner.call("finish", run_id)[0] == 1
    assert the_run(line, run_id)["summary"]["failure"]["code"] == "interrupted"
    assert runner.call("finish", run_id)[0] == 1
    assert the_run(line, run_id)["result"] == "FAILED"


def test_token_of_another_project_starts_nothing(line: Line, runner: Runner) -> None:
    given = line.ingest(SPEC + FILES)
    run_id = given["run_id"]
    runner.token = mint_token(
        line.world.jwk, "aicd_runner", 600, project_id="00000000-0000-4000-8000-000000000009"
    ).token
    code, said = runner.call("deliver", run_id)
    assert code == 1
    assert "Traceback" not in said
    assert the_run(line, run_id)["result"] is None
