"""What a channel is told: within Slack's limits, escaped, and nothing of a stranger's that could be more than words."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from controlplane.logs import redact
from functions._shared.notices.notice import read_announcement
from functions._shared.settings import Environment, Misconfigured
from functions._shared.slack import post
from functions._shared.slack.hooks import SlackHooks, read_slack_hooks
from functions._shared.slack.message import TOLD, bounded, compose_message
from tests.contract.functions.slack_server import check_message
from tests.unit.functions.test_notices import PLAN, QUESTIONS, WAITING, description

EVIL = "<!channel> @here <https://evil.example|Pull request> https://evil.example *b* :tada: & <@U1>"


def told(**over: Any) -> dict[str, Any]:
    return compose_message(read_announcement("1", description(recipient=None, mailbox_email=None, **over)))


def texts(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [text for block in message["blocks"] for text in block.get("elements", [block.get("text")])]


def everything(words: str) -> dict[str, Any]:
    """A description that says these words wherever a person or his repository could put them."""
    criterion = dict.fromkeys(("id", "required", "actual", "reason"), words) | {"status": "failed"}
    summary = {"verdict": {"criteria": [criterion | {"status": status} for status in ("failed", "passed", words)] * 20}}
    summary |= {"error": {"message": words}, "pull_request_url": "https://github.example/o/r/pull/1?a=|b&c"}
    sprint = {"id": words, "label": words, "state": "NEEDS_APPROVAL"}
    return {
        "reason": words,
        "spec": {"id": words, "repo": "o/r", "title": words, "sprints": [sprint] * 20},
        "sprint": sprint,
        "run": {
            "id": "r",
            "result": "FAILED",
            "branch": words,
            "summary_json": summary,
            "ci_url": f"https://x/{words}",
        },
        "questions": [{"id": "Q1", "text": words}] * 30,
        "planning": PLAN | {"sprints": [{"label": words, "goals": [words] * 20}] * 20},
    }


@pytest.mark.parametrize("template", sorted(TOLD))
@pytest.mark.parametrize("words", [EVIL, "&" * 4_000, "😀" * 4_000, "x" * 4_000, "", "\ud800\u202e\x00"])
def test_message_keeps_slacks_limits_and_lets_nothing_through(template: str, words: str) -> None:
    message = told(template=template, **everything(words))
    assert check_message(message) == []
    linked = [text["text"] for text in texts(message) if text["type"] == "mrkdwn"]
    assert not any("evil" in text for text in linked)
    assert "evil" not in message["text"]
    assert "@" not in message["text"]
    assert all(text.get("verbatim") is True for text in texts(message) if text["type"] == "mrkdwn")


def test_report_has_the_verdict_the_reason_and_the_facts() -> None:
    message = told()
    assert message["text"] == "Not done, 2 of 3 criteria open: o/r\nPull request: https://github.example/o/r/pull/1"
    title, unmet, met, links, facts = (text["text"] for text in texts(message)[1:])
    assert title == "Greeting"
    assert unmet == (
        "[ ] Line coverage: not met (required 0.8, measured 0.5)\n      too low\n"
        "[ ] End-to-end tests pass: not measured (required yes, measured nothing)\n      no report"
    )
    assert met == "[x] Unit tests pass: met (required yes, measured yes)"
    assert links == "<https://github.example/o/r/pull/1|Pull request>"
    assert facts == "Sprint S1 · Branch aicd/12/S1 · Time 1 min 15 s · Cost US$ 0.50 · Specification s-1"


@pytest.mark.parametrize(
    ("over", "headline", "words"),
    [
        ({"template": "report", "run": {"result": "PASSED"}}, "Done, every criterion met: o/r", "Greeting"),
        ({"template": "report", "run": {"result": "FAILED", "summary_json": {"error": {"message": "No workflow."}}}},
         "Not done: o/r", "No workflow."),
        ({"template": "spec_cancelled", "reason": "Not needed."}, "Cancelled: o/r", "Not needed."),
        ({"template": "needs_input", "questions": QUESTIONS[:1]}, "Waits for an answer to a question: o/r", "3. Which"),
        ({"template": "needs_input", "questions": QUESTIONS}, "Waits for an answer to 2 questions: o/r", "4. Round"),
        ({"template": "needs_approval", "planning": PLAN, "spec": WAITING},
         "A plan waits for a maintainer's approval: o/r", "aicd sprint approve 7e3a"),
    ],
)  # fmt: skip
def test_each_event_says_what_it_is_and_what_it_waits_for(over: dict[str, Any], headline: str, words: str) -> None:
    message = told(**over)
    assert message["text"].splitlines()[0] == headline
    assert any(words in text["text"] for text in texts(message))
    assert not any("artifact" in text["text"] or "token=" in text["text"] for text in texts(message))


@pytest.mark.parametrize(
    ("words", "most", "cut"), [("a&b", 7, "a&amp;b"), ("a&b", 6, "a…"), ("a😀b", 3, "a…"), ("ab", 2, "ab")]
)
def test_text_is_cut_between_characters(words: str, most: int, cut: str) -> None:
    assert bounded(words, most) == cut


def hooks(**values: str) -> SlackHooks:
    environment = Environment(values)
    found = read_slack_hooks(environment)
    environment.check()
    return found


def test_repositorys_own_webhook_comes_before_the_one_for_all() -> None:
    named = json.dumps({"Acme/Shop": "https://hooks.example/own", "acme/quiet": ""})
    found = hooks(AICD_SLACK_WEBHOOK_URL="https://hooks.example/all", AICD_SLACK_WEBHOOKS=named)
    addresses = {
        repo: (hook := found.of(repo)) and hook.get_secret_value() for repo in ("acme/shop", "a/b", "ACME/quiet")
    }
    assert addresses == {
        "acme/shop": "https://hooks.example/own",
        "a/b": "https://hooks.example/all",
        "ACME/quiet": None,
    }
    assert "hooks.example" not in repr(found)
    assert hooks().of("a/b") is None


def test_address_is_blanked_out_of_whatever_is_logged() -> None:
    hooks(AICD_SLACK_WEBHOOK_URL="https://hooks.example/services/T1/B1/canary-one")
    hooks(AICD_SLACK_WEBHOOKS=json.dumps({"a/b": "https://hooks.example/services/T1/B1/canary-two"}))
    told = "POST https://hooks.example/services/T1/B1/canary-one and /services/T1/B1/canary-two"
    assert "services" not in redact(told)


@pytest.mark.parametrize(
    "address",
    [
        "http://hooks.example/canary", "http://127.0.0.1.evil.example/canary", "ftp://hooks.example/canary", "canary",
        "https://", "https://u:canary@hooks.example/", "https://hooks.example/canary#x", "https://hooks.example:x/canary",
        "https://hooks.example/can ary", "https://hooks.example/c\u00e4nary", "https://hooks.example/can\r\nary",
    ],
)  # fmt: skip
def test_address_that_is_no_webhooks_is_refused_without_being_shown(address: str) -> None:
    for values in ({"AICD_SLACK_WEBHOOK_URL": address}, {"AICD_SLACK_WEBHOOKS": json.dumps({"a/b": address})}):
        with pytest.raises(Misconfigured, match=next(iter(values))) as caught:
            hooks(**values)
        assert "anary" not in str(caught.value)


@pytest.mark.parametrize("written", ["[]", "{", '{"a/b": 1}', '{"a/b": null}', "x", "[" * 100_000])
def test_what_is_no_map_of_webhooks_is_refused(written: str) -> None:
    with pytest.raises(Misconfigured, match="AICD_SLACK_WEBHOOKS"):
        hooks(AICD_SLACK_WEBHOOKS=written)


def test_reply_that_comes_letter_by_letter_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each letter in time, a thousand of them would outlive the lease of the row."""
    monkeypatch.setattr(post, "MOST_REPLY_SECONDS", 0.1)
    server = (time.sleep(0.05) or b"o" for _ in range(1_000))
    started = time.monotonic()
    assert set(post._read_word(server)) == {"o"}
    assert time.monotonic() - started < 2
