"""`--json` prints one JSON document on stdout, also when the answer is that it cannot be done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.cli import run


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "junit.xml").write_text('<testsuite><testcase name="a"/></testsuite>')
    (tmp_path / "bad.yml").write_text("coverage_min: 85\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AICD_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.parametrize(
    ("argv", "exit_code", "code", "says"),
    [
        (["gate", "--dod", "bad.yml", "--reports", "junit.xml"], 1, "invalid-dod", "line 1"),
        (["gate", "--dod", "none.yml", "--reports", "junit.xml"], 2, "usage", "none.yml"),
        (["gate", "--dod", "bad.yml"], 2, "usage", "--reports"),
        (["evidence", "none.xml"], 2, "usage", "none.xml"),
        (["evidence", "junit.xml", "--colour"], 2, "usage", "--colour"),
        (["spec", "check", "none.yml"], 2, "usage", "none.yml"),
        (["mail", "check", "none.eml"], 2, "usage", "none.eml"),
        (["send", "none.eml"], 2, "usage", "none.eml"),
    ],
)
def test_refusal_with_json_is_one_document_that_says_why(
    argv: list[str], exit_code: int, code: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*argv, "--json"]) == exit_code
    told = capsys.readouterr()
    [error] = json.loads(told.out)["errors"]
    assert error["code"] == code
    assert says in error["message"]
    assert error["fix"]
    assert error["message"] in told.err


def test_refusal_without_json_leaves_stdout_empty(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evidence", "none.xml"]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("argv", [["ledger", "extra"], ["sprint", "list", "--state", "NOPE"], ["gate"]])
def test_wrong_usage_is_told_in_sentences(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(argv) == 2
    told = capsys.readouterr().err
    assert ". Fix: " in told
    assert "Value error" not in told


GROUPS = ("gmail", "key", "mail", "member", "outbox", "project", "retention", "sender", "spec", "sprint", "token")


@pytest.mark.parametrize("verb", GROUPS)
def test_verb_without_its_command_names_the_commands(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb]) == 2
    told = capsys.readouterr().err
    assert f"aicd {verb}: a command is missing: " in told
    if verb == "sender":
        assert "missing: allow, remove, list. Fix: " in told


@pytest.mark.parametrize(("setting", "value"), [("approval=maybe", "required"), ("dependencies=deny", "allow")])
def test_policy_with_one_value_only_says_how_it_is_taken_away(
    setting: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["project", "policy", "acme/shop", setting]) == 2
    key = setting.partition("=")[0]
    assert f"Fix: The only value is `{value}`; take it away with --unset {key}." in capsys.readouterr().err
