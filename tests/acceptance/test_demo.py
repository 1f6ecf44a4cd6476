"""`aicd demo`: what a stranger sees first."""

from __future__ import annotations

import email
import email.policy
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from local.stack.warden import MARKER
from tests.acceptance.conftest import ROOT, Aicd

pytestmark = pytest.mark.acceptance


def processes_of(home: Path) -> list[str]:
    """Command lines of processes that still have to do with a state folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            seen = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(home).encode() in seen and MARKER.encode() in seen:
            found.append((entry / "cmdline").read_text().replace("\0", " "))
    return found


def leftovers(home: Path) -> list[str]:
    """What a killed demo must not leave: processes, and the data of its stack."""
    return processes_of(home) + [str(entry) for entry in home.glob("demo-*")]


def test_demo_ends_with_a_pull_request_that_met_its_definition_of_done(state_folder: Path, tmp_path: Path) -> None:
    aicd = Aicd(state_folder / "demo-home")
    document = aicd.json("demo")
    assert set(document) == {
        "result", "spec_id", "run_id", "pull_request_url", "repository", "branch",
        "commit", "report_mail", "verdict", "iterations", "duration_seconds",
    }  # fmt: skip
    assert document["result"] == document["verdict"]["result"] == "PASSED"
    assert document["iterations"] == 2, "the first attempt must miss coverage, the second meet it"
    asked = {row["id"]: row for row in document["verdict"]["criteria"]}
    assert {
        "unit_pass",
        "coverage_min",
        "tests_min",
        "lint_pass",
        "type_check",
        "acceptance_traced",
        "integrity",
    } <= set(asked)
    assert {row["status"] for row in asked.values()} == {"passed"}
    assert document["verdict"]["coverage"] >= asked["coverage_min"]["required"]

    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "-b", document["branch"], document["repository"], str(clone)], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, check=True, capture_output=True, text=True)
    assert head.stdout.strip() == document["commit"]
    assert tomllib.loads((clone / "pyproject.toml").read_text())["project"]["name"] == "fairsplit"
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=clone, env={"PYTHONPATH": "src", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert tests.returncode == 0, tests.stdout

    mail = email.message_from_bytes(Path(document["report_mail"]).read_bytes(), policy=email.policy.default)
    assert mail["In-Reply-To"] == "<weighted-shares@customer.example>"
    assert mail["To"] == "ada@customer.example"
    page = mail.get_body(("html",))
    assert page is not None
    assert document["pull_request_url"] in page.get_content()
    assert processes_of(aicd.home) == []


def test_demo_with_claude_plans_a_letter_and_builds_it(state_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real Claude Code from a letter in plain words; without a key a double of the API stands for the model."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    aicd = Aicd(state_folder / "claude-home")
    document = aicd.json("demo", "--agent", "claude")
    assert document["result"] == document["verdict"]["result"] == "PASSED"
    assert {"coverage_min", "acceptance_traced"} <= {row["id"] for row in document["verdict"]["criteria"]}
    show = ["git", "log", "-1", "--format=%B", document["commit"]]
    said = subprocess.run(show, cwd=document["repository"], check=True, capture_output=True, text=True).stdout
    assert "by agent 'claude'" in said
    assert f"Aicd-Run: {document['run_id']}" in said
    assert processes_of(aicd.home) == []


@pytest.mark.parametrize("seconds", [0.4, 1.5, 6.0])
def test_demo_killed_at_any_moment_leaves_no_process_and_no_broken_state(state_folder: Path, seconds: float) -> None:
    aicd = Aicd(state_folder / f"killed-{seconds}")
    demo = subprocess.Popen(
        [sys.executable, "-m", "local", "demo", "--json"],
        env=aicd.environ(), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(seconds)
    demo.send_signal(signal.SIGKILL)
    demo.wait()
    deadline = time.monotonic() + 15
    while (left := leftovers(aicd.home)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
