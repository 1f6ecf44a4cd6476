"""What agents say, ask and check through the MCP function: the official client, the real verbs, the real mail."""

from __future__ import annotations

import email
import email.policy
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from action.gate.dodfile import load_dod
from local.administration import Administration
from tests.contract.functions.test_mcp import Door, door  # noqa: F401 - a fixture

BOTH = ["specs:read", "specs:write"]
SAYING: dict[str, dict[str, Any]] = {
    "report_progress": {"text": "Half of it is there."},
    "record_decision": {"title": "SQLite", "reason": "One writer."},
    "ask_requester": {"questions": [{"text": "Which colour?"}]},
}


def wait_for_approval(door: Door) -> str:  # noqa: F811
    """A second specification, whose sprint has no run; the first one's has."""
    door.line.database.execute('update public.projects set policy = \'{"approval": "required"}\'')
    spec_id = str(door.line.ingest()["spec_id"])
    door.line.call(door.line.function("notify"))
    return spec_id


@pytest.mark.parametrize("who", ["key", "developer"])
def test_agent_says_how_it_goes_and_everybody_sees_it(door: Door, who: str) -> None:  # noqa: F811
    bearer = door.key(scopes=BOTH) if who == "key" else door.member("developer")
    for tool in ("report_progress", "record_decision"):
        answer = door.call(bearer, tool, spec_id=door.spec_id, **SAYING[tool])
        assert not answer.is_error, answer.content
    shown = door.call(door.member("viewer"), "get_spec", spec_id=door.spec_id).structured_content
    said = [event["message"] for event in shown["events"] if event["phase"] == "BUILD"]
    assert said == ["Agent: Half of it is there.", "Decision: SQLite"]


@pytest.mark.parametrize("tool", SAYING)
def test_who_may_only_look_says_and_asks_nothing(door: Door, tool: str) -> None:  # noqa: F811
    with Administration(door.line.world.db_url) as operator:
        operator.create_project({"repo": "acme/other", "default_branch": "main"})
    refusals = {
        door.key(): "specs:write",
        door.member("viewer"): "developers",
        door.member(None): "no such specification",
        door.key(scopes=BOTH, repo="acme/other"): "no such specification",
    }
    for bearer, said in refusals.items():
        answer = door.call(bearer, tool, spec_id=door.spec_id, **SAYING[tool])
        assert answer.is_error
        assert said in answer.content[0].text
        nowhere = door.call(bearer, tool, spec_id=str(uuid.uuid4()), **SAYING[tool])
        assert nowhere.is_error
        if "no such" in said:
            assert nowhere.content[0].text == answer.content[0].text
    events = door.line.rows("select count(*) from public.status_events where metadata ? 'by'")
    assert events == [(0,)]


def test_key_that_is_revoked_says_nothing_any_more(door: Door) -> None:  # noqa: F811
    key = door.key(scopes=BOTH)
    door.line.database.execute("update public.api_keys set revoked_at = now()")
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
               "params": {"name": "report_progress", "arguments": {"spec_id": door.spec_id, "text": "x"}}}  # fmt: skip
    assert door.post(message, key).status_code == 401


def test_question_may_be_a_text_and_another_thing_is_refused_with_what_is_expected(door: Door) -> None:  # noqa: F811
    spec_id, key = wait_for_approval(door), door.key(scopes=BOTH)
    refused = door.call(key, "ask_requester", spec_id=spec_id, questions=[7])
    assert refused.is_error
    assert 'each a text, or {"text": "…", "blocking": false}' in refused.content[0].text
    answer = door.call(key, "ask_requester", spec_id=spec_id, questions=["Which colour?"])
    assert not answer.is_error, answer.content
    spec = door.call(key, "get_spec", spec_id=spec_id).structured_content
    [question] = spec["sprints"][0]["open_questions"]
    assert (question["text"], question["blocking"]) == ("Which colour?", True)


def test_question_is_mailed_in_the_thread_and_says_that_approval_follows(door: Door) -> None:  # noqa: F811
    spec_id, key = wait_for_approval(door), door.key(scopes=BOTH)
    answer = door.call(key, "ask_requester", spec_id=spec_id, questions=[{"text": "Which colour?"}])
    assert not answer.is_error, answer.content
    assert answer.structured_content["state"] == "NEEDS_INPUT"
    assert door.line.call(door.line.function("notify")).json["data"]["finished"] == 1
    sent = door.line.sent()[-1]
    raw = door.line.world.google.client.get(f"/_double/sent/{sent['id']}.eml").content
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    for kind in ("plain", "html"):
        text = " ".join(mail.get_body((kind,)).get_content().split())  # type: ignore[union-attr]
        assert "Which colour?" in text
        assert "until a maintainer agrees to the plan" in text
        assert "goes on by itself" not in text
    again = door.call(key, "ask_requester", spec_id=spec_id, questions=[{"text": "How large?"}])
    assert again.is_error
    assert "has not answered yet" in again.content[0].text


def test_question_beside_an_open_run_is_refused_with_the_reason(door: Door) -> None:  # noqa: F811
    answer = door.call(door.key(scopes=BOTH), "ask_requester", spec_id=door.spec_id, questions=[{"text": "Which one?"}])
    assert answer.is_error
    assert "A run of the sprint S1 is under way" in answer.content[0].text


def test_definition_of_done_is_told_with_the_verdict_and_how_to_measure(door: Door, tmp_path: Path) -> None:  # noqa: F811
    key = door.key()
    told = door.call(key, "check_dod", spec_id=door.spec_id).structured_content
    [sprint] = told["sprints"]
    assert (sprint["verdict"], sprint["open_run_id"]) == (None, door.run_id)
    assert "Nothing was measured" in told["measured"]
    assert "aicd verify" in told["measured"]
    # What it says how to measure by can be read by what measures.
    (tmp_path / "dod.json").write_text(json.dumps(sprint["dod"]))
    assert load_dod(tmp_path / "dod.json").coverage_min == 0.8
    criterion = {"id": "coverage_min", "required": 0.8, "actual": 0.4, "status": "failed", "reason": "Half."}
    summary = {"verdict": {"criteria": [criterion]}, "commit": "c0ffee"}
    door.line.database.execute(
        "update runs set result = 'FAILED', finished_at = now(), summary_json = %s", (json.dumps(summary),)
    )
    [sprint] = door.call(key, "check_dod", spec_id=door.spec_id, sprint="S1").structured_content["sprints"]
    assert (sprint["verdict"]["commit"], sprint["verdict"]["criteria"]) == ("c0ffee", [criterion])
    missing = door.call(key, "check_dod", spec_id=door.spec_id, sprint="S9")
    assert missing.is_error
    assert "It has: S1." in missing.content[0].text


def test_saying_too_much_is_a_tool_error_with_the_arguments_name(door: Door) -> None:  # noqa: F811
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("report_progress", {"text": "x" * 1_001}, "text"),
        ("report_progress", {"text": " "}, "text"),
        ("record_decision", {"title": "x"}, "reason"),
        ("ask_requester", {"questions": []}, "questions"),
        ("ask_requester", {"questions": [{"text": "Which one?"}] * 6}, "questions"),
        ("report_progress", {"text": "x", "phase": "DEPLOYED"}, "phase"),
    ]
    key = door.key(scopes=BOTH)
    for tool, arguments, says in wrong:
        answer = door.call(key, tool, spec_id=door.spec_id, **arguments)
        assert answer.is_error
        assert says in answer.content[0].text
