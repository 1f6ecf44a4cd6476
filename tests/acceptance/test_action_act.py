"""The action as a consumer sees it: its workflow, `uses: owner/aicd@v1`, run by act on this host."""

from __future__ import annotations

import json
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

from tests.acceptance.acting import ACT, ROOT, copy_action, make_consumer, run_act

pytestmark = [pytest.mark.acceptance, pytest.mark.skipif(not ACT.exists(), reason="act is not installed")]

TOKEN = "ghs_0123456789abcdefghijABCDEFGHIJ01"
CANARY = "sbt_canary_0123456789abcdef_0123456789"

GATE = """
name: gate
on: workflow_dispatch
permissions: {}
jobs:
  judge:
    runs-on: [self-hosted, Linux, ARM64]
    steps:
      - uses: actions/checkout@v5
      - id: aicd
        uses: ai-continuous-delivery/aicd@v1
        with: { mode: gate, dod: dod.yaml, reports: reports/ }
"""
DELIVER = """
name: deliver
on: workflow_dispatch
permissions: {}
jobs:
  deliver:
    runs-on: [self-hosted, Linux, ARM64]
    steps:
      - uses: actions/checkout@v5
      - id: aicd
        uses: ai-continuous-delivery/aicd@v1
        with:
          spec-path: spec.yaml
          agent: ${{ vars.AGENT }}
          github-token: ${{ secrets.GITHUB_TOKEN }}
"""
SPEC = """
meta: {project: calc, repo: acme/calc, requester_email: ada@example.com}
planning:
  epics:
    - sprints:
        - id: S1
          goals: ["Subtract; $(touch /tmp/aicd-pwned) @octocat fixes #1 ${{ github.token }}"]
          user_stories:
            - {id: US1, as: user, want: subtract, acceptance: ["2-1 is 1"]}
          dod: {coverage_min: COVERAGE, tests_min: 2}
files:
  - path: calc/sub.py
    content: |
      def sub(a, b):
          if a == 99:
              return 0
          return a - b
  - path: tests/test_sub.py
    content: |
      from calc.sub import sub


      def test_us1_1_sub():
          assert sub(2, 1) == 1
"""
PRODUCT = {
    "calc/__init__.py": "def add(a, b):\n    return a + b\n",
    "tests/test_add.py": "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
}
# Folders of a repository that would shadow our modules, if the working directory were on the path.
SHADOWS = {f"{name}/__init__.py": "raise SystemExit('shadowed')\n" for name in ("action", "controlplane", "pydantic")}


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """Where the users of the sandbox can come to, which pytest's own folder is not."""
    folder = Path(tempfile.mkdtemp(prefix="aicd-act-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def action(scratch: Path) -> Path:
    return copy_action(scratch / "action")


@pytest.fixture(scope="module")
def github(scratch: Path) -> Iterator[httpx.Client]:
    """The GitHub double, with the repository acme/calc."""
    environment = {**os.environ, "AICD_GITHUB_DOUBLE_PORT": "0", "AICD_GITHUB_DOUBLE_STATE": str(scratch / "github")}
    process = subprocess.Popen(
        [sys.executable, "-m", "local.doubles.github"],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = json.loads(process.stdout.readline())
    with httpx.Client(base_url=address["ready"]["url"], timeout=30) as client:
        client.post("/_double/tokens", json={"token": TOKEN}).raise_for_status()
        yield client
        assert client.get("/_double/problems").json() == []
    process.terminate()
    process.wait(10)
    process.stdout.close()


def make_repository(github: httpx.Client, name: str) -> str:
    order = {"owner": "acme", "name": name, "files": PRODUCT}
    github.post("/_double/repos", json=order).raise_for_status()
    return f"acme/{name}"


def pulls(github: httpx.Client, repository: str) -> list[dict[str, Any]]:
    answer = github.get(f"/repos/{repository}/pulls", headers={"Authorization": f"Bearer {TOKEN}"})
    found: list[dict[str, Any]] = answer.raise_for_status().json()
    return found


@pytest.mark.parametrize(("needed", "job", "result"), [(1, "success", "PASSED"), (2, "failure", "FAILED")])
def test_gate_judges_reports_without_anything_else(
    scratch: Path, action: Path, needed: int, job: str, result: str
) -> None:
    files = {
        ".github/workflows/gate.yml": GATE,
        "dod.yaml": f"tests_min: {needed}\n",
        "reports/junit.xml": '<testsuite><testcase classname="a" name="b"/></testsuite>',
        **SHADOWS,
    }
    consumer = make_consumer(scratch / f"gate-{needed}", files)
    seen = run_act(consumer, action, scratch / f"gate-{needed}-act")
    assert seen.job_results == [job], seen.log
    outputs = seen.outputs("aicd")
    assert outputs["result"] == result
    assert json.loads(outputs["verdict"])["result"] == result
    assert "tests\\_min" in seen.summaries


def test_deliver_of_a_spec_that_meets_its_dod_opens_a_draft(scratch: Path, action: Path, github: httpx.Client) -> None:
    repository = make_repository(github, "calc")
    files = {".github/workflows/deliver.yml": DELIVER, "spec.yaml": SPEC.replace("COVERAGE", "0.5"), **SHADOWS}
    consumer = make_consumer(scratch / "deliver", files)
    servers = {"GITHUB_API_URL": str(github.base_url), "AICD_GITHUB_SERVER_URL": str(github.base_url)}
    for _attempt in (1, 2):  # again: the branch is replaced, the pull request is found and not made twice
        seen = run_act(consumer, action, scratch / "deliver-act", secrets={"GITHUB_TOKEN": TOKEN}, environment=servers)
        assert seen.job_results == ["success"], seen.log
    outputs = seen.outputs("aicd")
    assert (outputs["result"], outputs["branch"]) == ("PASSED", outputs["branch"])
    [pull] = pulls(github, repository)
    assert pull["draft"] is True
    assert pull["head"]["sha"] == outputs["commit"]
    assert pull["html_url"] == outputs["pull-request-url"]
    assert "coverage\\_min" in pull["body"]
    assert "@octocat" not in pull["body"] + pull["title"]
    assert not Path("/tmp/aicd-pwned").exists()
    assert TOKEN not in seen.log


def test_deliver_that_misses_its_dod_fails_the_job_and_marks_the_draft(
    scratch: Path, action: Path, github: httpx.Client
) -> None:
    repository = make_repository(github, "missed")
    spec = SPEC.replace("COVERAGE", "1.0").replace("acme/calc", repository)
    consumer = make_consumer(scratch / "missed", {".github/workflows/deliver.yml": DELIVER, "spec.yaml": spec})
    servers = {"GITHUB_API_URL": str(github.base_url), "AICD_GITHUB_SERVER_URL": str(github.base_url)}
    seen = run_act(consumer, action, scratch / "missed-act", secrets={"GITHUB_TOKEN": TOKEN}, environment=servers)
    assert seen.job_results == ["failure"], seen.log
    steps = seen.step_results()
    assert (steps["gate"], steps["publish"], steps["finish"]) == ("success", "success", "failure")
    [pull] = pulls(github, repository)
    assert pull["draft"] is True
    assert pull["title"].startswith("[not done]")
    assert "calc/sub.py" in pull["body"]


def test_deliver_of_a_broken_spec_names_line_and_column_and_builds_nothing(scratch: Path, action: Path) -> None:
    consumer = make_consumer(scratch / "broken", {".github/workflows/d.yml": DELIVER, "spec.yaml": "meta: [\n"})
    seen = run_act(consumer, action, scratch / "broken-act", secrets={"GITHUB_TOKEN": TOKEN})
    assert seen.job_results == ["failure"]
    assert "build" not in seen.step_results()
    assert "line 2" in seen.log
    assert seen.outputs("aicd")["result"] == "FAILED"
