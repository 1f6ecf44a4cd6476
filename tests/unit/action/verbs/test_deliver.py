"""The verbs in their order, as processes, on a real repository, without a control plane."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from controlplane.s3 import S3Keys, parse_store, presign
from tests.unit.action.conftest import ROOT, Verb, run_git

SPEC = """
meta: {project: calc, repo: acme/calc, requester_email: ada@example.com}
planning:
  epics:
    - sprints:
        - id: S1
          goals: [Subtract]
          user_stories: [{id: US1, as: user, want: subtract, acceptance: [2-1 is 1]}]
          dod: {tests_min: NEEDED, acceptance_traced: true}
"""
FILES = """
files:
  - path: calc/sub.py
    content: |
      def sub(a, b):
          return a - b
  - path: tests/test_sub.py
    content: |
      from calc.sub import sub


      def test_us1_1_sub():
          assert sub(2, 1) == 1
"""


def write_spec(area: Path, *, needed: int = 2, files: str = FILES) -> None:
    (area / "spec.yaml").write_text(SPEC.replace("NEEDED", str(needed)) + files)


def summary(area: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((area / "run" / "report" / "summary.json").read_text())
    return document


def failure(area: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((area / "run" / "failure.json").read_text())
    return document


def fetch_kept(s3: str, place: dict[str, str], said: dict[str, Any]) -> dict[str, bytes]:
    """By name, what the bucket holds of the artifacts that the summary lists."""
    store, keys = parse_store(place["STORE"], s3), S3Keys("us", SecretStr(place["SECRET"]))
    listed = {one["name"]: one["id"] for one in said["artifacts"] if one["id"]}
    links = {name: presign(store, keys, "GET", f"{said['run_id']}/{one}", 60) for name, one in listed.items()}
    return {name: httpx.get(link).raise_for_status().content for name, link in links.items()}


def test_deliver_of_files_that_meet_the_dod_pushes_a_branch_with_our_trailers(
    area: Path, origin: Path, call_verb: Verb
) -> None:
    write_spec(area)
    done = call_verb("deliver")
    assert done.returncode == 0, done.stdout + done.stderr
    said = summary(area)
    assert (said["status"], said["tests"]["python"]) == ("PASSED", {"passed": 2, "failed": 0, "coverage": 1.0})
    assert run_git(origin, "rev-parse", said["branch"]) == said["commit"]
    trailers = run_git(origin, "log", "-1", "--format=%(trailers)", said["commit"])
    assert {line.split(":")[0] for line in trailers.splitlines()} == {"Aicd-Run", "Aicd-Spec", "Aicd-Sprint"}
    assert {"verdict.json", "report.html", "summary.json", "change.patch"} <= {a["name"] for a in said["artifacts"]}


def test_deliver_that_misses_the_dod_still_publishes_and_exits_with_one(
    area: Path, origin: Path, call_verb: Verb, s3: str
) -> None:
    """Also the artifacts, here to a bucket, which needs no control plane."""
    write_spec(area, needed=9)
    place = {"STORE": "s3://reports/ci", "SECRET": "canary-0123456789abcdef"}
    done = call_verb("deliver", AICD_ARTIFACT_STORE=place["STORE"], AICD_S3_ENDPOINT=s3, AICD_S3_ACCESS_KEY_ID="us",
                     AICD_S3_SECRET_ACCESS_KEY=place["SECRET"])  # fmt: skip
    assert done.returncode == 1
    said = summary(area)
    kept = fetch_kept(s3, place, said)
    assert {"verdict.json", "report.html", "evidence-bundle.zip", "change.patch"} <= kept.keys()
    assert json.loads(kept["verdict.json"])["result"] == "FAILED"
    assert all(
        hashlib.sha256(kept[one["name"]]).hexdigest() == one["sha256"] for one in said["artifacts"] if one["sha256"]
    )
    assert place["SECRET"].encode() not in b"".join(kept.values())
    assert (said["status"], said["verdict"]["result"], said["failure"]) == ("FAILED", "FAILED", None)
    assert run_git(origin, "rev-parse", said["branch"]) == said["commit"]


def test_deliver_twice_replaces_its_own_branch_and_nobody_elses(area: Path, origin: Path, call_verb: Verb) -> None:
    write_spec(area)
    assert call_verb("deliver").returncode == 0
    assert call_verb("deliver", GITHUB_RUN_ID="78").returncode == 0
    branch = summary(area)["branch"]
    run_git(area / "clone", "push", "-q", "--force", "origin", f"HEAD~0:refs/heads/{branch}")
    (area / "clone" / "human.txt").write_text("work of somebody else\n")
    run_git(area / "clone", "add", "-A")
    run_git(area / "clone", "commit", "-qm", "Mine")
    run_git(area / "clone", "push", "-q", "--force", "origin", f"HEAD:refs/heads/{branch}")
    theirs = run_git(origin, "rev-parse", branch)
    assert call_verb("deliver", GITHUB_RUN_ID="79").returncode == 1
    assert failure(area)["code"] == "branch-taken"
    assert run_git(origin, "rev-parse", branch) == theirs


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("meta: [\n", "spec-invalid"),
        ("Dear team,\nplease build me a calculator.\nIt is for acme/calc.\n", "planner-not-configured"),
        (SPEC.replace("NEEDED", "1"), "no-agent"),
    ],
)
def test_deliver_of_what_cannot_be_built_reports_why(area: Path, call_verb: Verb, text: str, code: str) -> None:
    name = "letter.txt" if code == "planner-not-configured" else "spec.yaml"
    (area / name).write_text(text)
    done = call_verb("deliver", AICD_SPEC_PATH=str(area / name))
    assert done.returncode in (1, 2)
    assert failure(area)["code"] == code
    assert "Traceback" not in done.stdout + done.stderr


def test_deliver_of_a_change_that_holds_a_secret_keeps_nothing_of_it(area: Path, origin: Path, call_verb: Verb) -> None:
    """Neither branch nor patch, whatever the agent was ordered to write down and wherever it had it from."""
    canary = "ghs_canary_a1b2c3d4e5"
    write_spec(area, files="")
    command = f"mkdir -p notes; echo 'token {canary}' > notes/all.txt"
    given = {"AICD_AGENT": "command", "AICD_AGENT_COMMAND": command, "AICD_GITHUB_TOKEN": canary}
    done = call_verb("deliver", **given, AICD_MAX_ITERATIONS="1")
    assert (failure(area)["code"], done.returncode) == ("secret-in-change", 1), done.stdout
    assert "notes/all.txt" in failure(area)["message"]
    assert run_git(origin, "branch", "--list", "aicd/*") == ""
    run = area / "run"
    holding = [path for path in run.rglob("*") if path.is_file() and canary.encode() in path.read_bytes()]
    assert holding == []
    assert canary not in done.stdout + done.stderr


def test_deliver_without_a_difference_fails_and_pushes_nothing(area: Path, origin: Path, call_verb: Verb) -> None:
    (area / "spec.yaml").write_text(SPEC.replace("NEEDED", "1"))
    done = call_verb("deliver", AICD_AGENT="none")
    assert done.returncode == 1
    assert failure(area)["code"] == "no-change"
    assert run_git(origin, "for-each-ref", "--format=%(refname)") == "refs/heads/main"
    assert "no-change" in (area / "run" / "report" / "summary.json").read_text()


def test_finish_after_a_killed_build_says_what_was_interrupted(area: Path, call_verb: Verb) -> None:
    """What GitHub does on a cancel when seven seconds were not enough: SIGKILL, then the `always()` steps."""
    write_spec(area)
    assert call_verb("start").returncode == 0
    assert call_verb("plan").returncode == 0
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "AICD_RUN_DIR": str(area / "run")}
    build = subprocess.Popen(
        [sys.executable, "-P", "-m", "action", "build"],
        env={**environment, "AICD_AGENT_COMMAND": "sleep 60"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    verbs, deadline = area / "run" / "verbs.jsonl", time.monotonic() + 20
    while '"build"' not in verbs.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    build.send_signal(signal.SIGKILL)
    build.wait()
    assert call_verb("finish").returncode == 1
    assert (failure(area)["code"], failure(area)["message"].count("`build`")) == ("interrupted", 1)
    assert summary(area)["status"] == "FAILED"


def test_verdict_that_was_never_published_is_no_result(area: Path, origin: Path, call_verb: Verb) -> None:
    write_spec(area)
    for verb in ("start", "plan", "build", "verify", "gate"):
        assert call_verb(verb).returncode == 0
    assert call_verb("finish").returncode == 1
    assert (summary(area)["status"], summary(area)["verdict"]["result"]) == ("FAILED", "PASSED")
    assert failure(area)["code"] == "interrupted"


def test_finish_twice_gives_one_answer(area: Path, call_verb: Verb) -> None:
    write_spec(area)
    call_verb("deliver")
    first = summary(area)
    assert call_verb("finish").returncode == 0
    assert summary(area) == first


def test_cancelled_build_ends_quickly_and_says_so(area: Path, call_verb: Verb) -> None:
    write_spec(area)
    call_verb("start")
    call_verb("plan")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "AICD_RUN_DIR": str(area / "run")}
    build = subprocess.Popen(
        [sys.executable, "-P", "-m", "action", "build"],
        env={**environment, "AICD_AGENT_COMMAND": "touch started; sleep 61"},
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(1.5)
    build.send_signal(signal.SIGINT)
    began = time.monotonic()
    build.communicate(timeout=15)
    assert time.monotonic() - began < 7  # GitHub's patience
    assert build.returncode == 4
    assert failure(area)["code"] == "cancelled"
    assert subprocess.run(["pgrep", "-f", "sleep 61"], capture_output=True, check=False).returncode == 1


HANDED = {"AICD_AGENT": "command", "AICD_AGENT_OPENAI_API_KEY": "sk-canary-0123456789", "GITHUB_ACTIONS": "true"}
WORKS = "cp $AICD_TASK_FILE task.md; printenv OPENAI_API_KEY"


def test_key_that_is_handed_to_a_command_is_in_nothing_that_leaves(area: Path, call_verb: Verb) -> None:
    (area / "spec.yaml").write_text(SPEC.replace("NEEDED", "1"))
    done = call_verb("deliver", AICD_AGENT_COMMAND=WORKS, **HANDED)
    written = b"".join(path.read_bytes() for path in (area / "run").rglob("*") if path.is_file())
    shown = done.stdout.replace("::add-mask::sk-canary-0123456789", "masked")
    assert "masked" in shown
    assert "canary" not in shown + done.stderr
    assert b"sk-canary" not in written
    assert "***" in (area / "run" / "agent-logs" / "agent-1.log").read_text()
    assert any("Unmetered" in note for note in json.loads((area / "run" / "build.json").read_text())["notes"])
    assert "Unmetered" in (area / "run" / "report" / "report.html").read_text()


def test_key_that_a_command_writes_into_its_work_goes_no_further(area: Path, origin: Path, call_verb: Verb) -> None:
    (area / "spec.yaml").write_text(SPEC.replace("NEEDED", "1"))
    done = call_verb("deliver", AICD_AGENT_COMMAND=f"{WORKS}; printenv OPENAI_API_KEY > .env", **HANDED)
    assert done.returncode == 1
    assert (failure(area)["code"], ".env" in failure(area)["message"]) == ("secret-in-change", True)
    assert run_git(origin, "for-each-ref", "--format=%(refname)") == "refs/heads/main"
    assert not (area / "run" / "change.json").exists()


def test_word_that_is_handed_to_a_command_by_a_plain_name_may_stand_in_its_work(area: Path, call_verb: Verb) -> None:
    (area / "spec.yaml").write_text(SPEC.replace("NEEDED", "1"))
    handed = {"AICD_AGENT": "command", "AICD_AGENT_OPENAI_MODEL": "gpt-canary-codex"}
    call_verb("deliver", AICD_AGENT_COMMAND="cp $AICD_TASK_FILE task.md; printenv OPENAI_MODEL > model.txt", **handed)
    assert "model.txt" in json.loads((area / "run" / "change.json").read_text())["files"]


def test_repository_with_a_folder_named_like_our_modules_shadows_nothing(area: Path, call_verb: Verb) -> None:
    for name in ("action", "controlplane", "pydantic"):
        (area / name).mkdir()
        (area / name / "__init__.py").write_text("raise SystemExit('shadowed')\n")
    (area / "junit.xml").write_text('<testsuite><testcase classname="a" name="b"/></testsuite>')
    done = call_verb("gate", AICD_DOD="tests_min: 1", AICD_REPORTS="junit.xml")
    assert (done.returncode, "Verdict: PASSED" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"AICD_DOD": "coverage_min: 7", "AICD_REPORTS": "x.xml"}, "coverage_min"),
        ({"AICD_DOD": "missing.yaml", "AICD_REPORTS": "x.xml"}, "missing.yaml"),
        ({"AICD_REPORTS": "x.xml"}, "dod"),
        ({"AICD_DOD": "tests_min: 1"}, "reports"),
    ],
)
def test_gate_that_was_told_nonsense_says_what_is_wrong(call_verb: Verb, variables: dict[str, str], word: str) -> None:
    done = call_verb("gate", **variables)
    assert done.returncode in (1, 2)
    assert word in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_gate_over_a_report_that_is_not_there_is_a_verdict_that_says_no(call_verb: Verb) -> None:
    done = call_verb("gate", AICD_DOD="tests_min: 1", AICD_REPORTS="nowhere/*.xml")
    assert (done.returncode, "Verdict: FAILED" in done.stdout) == (1, True)


def test_verify_then_gate_judge_the_checked_out_change(area: Path, call_verb: Verb) -> None:
    clone = area / "clone"
    (clone / "tests" / "test_more.py").write_text("def test_more():\n    assert True is not False\n")
    run_git(clone, "add", "-A")
    run_git(clone, "commit", "-qm", "More")
    where = {"GITHUB_WORKSPACE": str(clone), "AICD_DOD": "tests_min: 2"}
    assert call_verb("verify", AICD_BASE="HEAD~1", **where).returncode == 0
    done = call_verb("gate", **where)
    assert "integrity" in done.stdout
    assert done.returncode == 0, done.stdout


def test_verify_warns_of_a_policy_that_it_does_not_understand(area: Path, call_verb: Verb) -> None:
    clone = area / "clone"
    (clone / ".aicd.yml").write_text("integrity: {alow: [test-failed]}\n")
    run_git(clone, "add", "-A")
    run_git(clone, "commit", "-qm", "Policy")
    where = {"GITHUB_WORKSPACE": str(clone), "AICD_DOD": "tests_min: 1", "GITHUB_ACTIONS": "true"}
    done = call_verb("verify", AICD_BASE="HEAD", **where)
    warnings = [line for line in done.stdout.splitlines() if line.startswith("::warning")]
    assert [".aicd.yml: 'integrity.alow' is read by nothing; did you mean allow?" in line for line in warnings] == [
        True
    ]


def test_unknown_verb_is_a_usage_error(call_verb: Verb) -> None:
    assert call_verb("frobnicate").returncode == 2
