"""`aicd send`: mails and projects that we did not ship, good and bad."""

from __future__ import annotations

import email
import email.policy
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import Aicd, compose

pytestmark = pytest.mark.acceptance

SPEC = """\
meta:
  project: greeter
  repo: grace/greeter
planning:
  epics:
    - id: E1
      sprints:
        - id: greet
          goals: [Greet people]
          user_stories:
            - id: US1
              as: a visitor
              want: to be greeted by name
              so_that: I feel welcome
              acceptance: [The greeting holds my name]
          dod: {unit_pass: true, coverage_min: 0.9, tests_min: 1}
files:
  - path: greeter.py
    content: |
      def greet(name: str) -> str:
          return f"Hello, {name}!"
  - path: tests/test_greeter.py
    content: |
      from greeter import greet


      def test_greeting_holds_the_name() -> None:
          assert greet("Ada") == "Hello, Ada!"
"""


def write(folder: Path, raw: bytes) -> str:
    path = folder / "mail.eml"
    path.write_bytes(raw)
    return str(path)


def text_of(reply: str) -> str:
    body = email.message_from_bytes(Path(reply).read_bytes(), policy=email.policy.default).get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def test_mail_with_a_good_spec_becomes_a_pull_request_once(stack: Aicd, tmp_path: Path) -> None:
    file = write(tmp_path, compose(message_id="good", attachment=SPEC))
    first = stack.json("send", file)
    assert first["accepted"], first
    assert [run["result"] for run in first["runs"]] == ["PASSED"]
    run = first["runs"][0]
    assert run["sprint"] == "greet"
    assert run["verdict"]["tests"]["passed"] == 1
    assert run["pull_request_url"].startswith("http")
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", run["branch"]],
        cwd=first["repository"], check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert {"greeter.py", "tests/test_greeter.py"} <= set(listed.stdout.split())
    assert len(first["replies"]) == 2, "a receipt and a report"

    again = stack.json("send", file)
    assert not again["accepted"]
    assert again["reason"] == "duplicate"
    assert {run["run_id"] for run in again["runs"]} <= {run["run_id"]}
    assert again["spec_id"] in (None, first["spec_id"])


def test_change_that_misses_its_definition_of_done_is_reported_as_failed(stack: Aicd, tmp_path: Path) -> None:
    spec = SPEC.replace("grace/greeter", "grace/rude").replace('"Hello, {name}!"', '"Go away!"')
    outcome = stack.json("send", write(tmp_path, compose(message_id="rude", attachment=spec)))
    assert outcome["accepted"]
    assert [run["result"] for run in outcome["runs"]] == ["FAILED"]
    failing = {row["id"] for row in outcome["runs"][0]["verdict"]["criteria"] if row["status"] != "passed"}
    assert "unit_pass" in failing
    assert "test_greeting_holds_the_name" in text_of(outcome["replies"][-1])


def test_wrong_spec_is_answered_with_line_and_column_and_nothing_is_built(stack: Aicd, tmp_path: Path) -> None:
    spec = SPEC.replace("coverage_min: 0.9", "coverage_min: 90")
    outcome = stack.json("send", write(tmp_path, compose(message_id="wrong", attachment=spec)))
    assert not outcome["accepted"]
    assert outcome["runs"] == []
    assert len(outcome["replies"]) == 1
    answer = text_of(outcome["replies"][0])
    assert "line 16" in answer
    assert "column" in answer
    assert "coverage_min" in answer


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [("stranger", ["--stranger"], "unknown-sender"), ("forged", ["--unauthenticated"], "dmarc-fail")],
)
def test_mail_of_a_stranger_or_a_forger_is_recorded_and_gets_no_answer(
    stack: Aicd, tmp_path: Path, name: str, options: list[str], reason: str
) -> None:
    outcome = stack.json("send", write(tmp_path, compose(message_id=name, attachment=SPEC)), *options)
    assert not outcome["accepted"]
    assert outcome["reason"] == reason
    assert outcome["spec_id"] is None
    assert outcome["runs"] == []
    assert outcome["replies"] == []


def test_refused_mail_does_not_shadow_a_later_honest_one(stack: Aicd, tmp_path: Path) -> None:
    spec = SPEC.replace("grace/greeter", "grace/shadow")
    file = write(tmp_path, compose(message_id="shadow", attachment=spec))
    assert not stack.json("send", file, "--unauthenticated")["accepted"]
    assert stack.json("send", file)["accepted"]


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("empty", b""),
        ("no-headers", b"just some text, no headers at all"),
        ("broken-mime", b"From: g@requests.example\r\nContent-Type: multipart/mixed;boundary=x\r\n\r\n--x\r\nContent-"),
        ("wrong-charset", compose(message_id="charset").replace(b'"utf-8"', b'"klingon-8"')),
        ("nested-brackets", compose(message_id="brackets", attachment="a: " + "[" * 1_000_000)),
        ("big", compose(message_id="big", attachment="# " + "x" * 30_000_000)),
        ("no-spec", compose(message_id="no-spec", text="")),
    ],
)  # fmt: skip
def test_hostile_or_broken_mail_gets_a_reason_and_never_a_run(
    stack: Aicd, tmp_path: Path, name: str, raw: bytes
) -> None:
    outcome = stack.json("send", write(tmp_path, raw))
    assert not outcome["accepted"], name
    assert outcome["reason"]
    assert outcome["runs"] == []


def test_letter_to_a_stack_without_a_planner_is_answered_at_once_and_nothing_is_built(
    stack: Aicd, tmp_path: Path
) -> None:
    letter = "repository: grace/wishes\n\nHello,\n\nplease greet people by their name.\n"
    outcome = stack.json("send", write(tmp_path, compose(message_id="wish", text=letter)))
    assert (outcome["accepted"], outcome["reason"], outcome["runs"]) == (False, "planning-off", [])
    assert "at least one sprint" in text_of(outcome["replies"][0])


def test_mail_whose_sprint_waits_for_approval_is_no_success_and_says_how_it_goes_on(
    stack: Aicd, tmp_path: Path
) -> None:
    spec = SPEC.replace("grace/greeter", "grace/waiting") + "policies: {approval: required}\n"
    done = stack.run("send", write(tmp_path, compose(message_id="waiting", attachment=spec)))
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "accepted")
    assert "greet waits for approval, nothing was built: aicd sprint approve " in done.stderr


def test_mail_without_a_sender_is_refused_with_what_to_write(stack: Aicd, tmp_path: Path) -> None:
    raw = b"".join(line for line in compose(message_id="nobody").splitlines(keepends=True) if line[:5] != b"From:")
    done = stack.run("send", write(tmp_path, raw))
    assert (done.returncode, "Fix: Write `From: NAME <ADDRESS>`" in done.stderr) == (1, True), done.stderr


def test_send_without_a_stack_says_how_to_start_one(tmp_path: Path) -> None:
    done = Aicd(tmp_path / "empty").run("send", write(tmp_path, compose(message_id="x")), "--json")
    assert done.returncode == 4
    assert "aicd up" in done.stderr


def test_send_of_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    assert Aicd(tmp_path).run("send", str(tmp_path / "none.eml")).returncode == 2
