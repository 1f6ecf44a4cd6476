"""A Slack-compatible channel is told from the outbox: by a row of its own, whatever becomes of the mail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.functions.conftest import REPO
from tests.contract.functions.slack_server import SlackServer

SEND = "gmail.users.messages.send"


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as running:
        yield running
        assert running.problems == []


def outbox(line: Any, channel: str) -> tuple[str, int, str, Any]:
    [row] = line.rows(
        "select state, attempts, coalesce(last_error, ''), result from public.outbox"
        " where kind = 'notify' and coalesce(payload ->> 'channel', 'mail') = %s",
        channel,
    )
    return tuple(row)  # type: ignore[return-value]


def test_receipt_goes_to_the_requester_and_to_the_channel(line: Any, slack: SlackServer) -> None:
    line.ingest()
    data = line.call(line.function("notify", AICD_SLACK_WEBHOOK_URL=slack.url)).json["data"]
    assert (data["finished"], len(line.sent()), len(slack.shown)) == (2, 1, 1)
    assert slack.shown[0]["text"] == f"Received, the work has begun: {REPO}"
    assert outbox(line, "slack")[3] == {"outcome": "sent", "channel": "slack", "template": "spec_received"}


def test_report_shows_verdict_state_and_pull_request(line: Any, slack: SlackServer) -> None:
    made = line.ingest()
    summary = {"pull_request_url": "https://github.example/acme/greeting/pull/7?a=1&b=2", "verdict": {"criteria": [
        {"id": "unit_pass", "required": True, "actual": True, "status": "passed", "reason": "all pass"},
        {"id": "coverage_min", "required": 0.8, "actual": 0.5, "status": "failed", "reason": "<!channel> too low"},
    ]}}  # fmt: skip
    client = line.function("notify", AICD_SLACK_WEBHOOK_URL=slack.url)
    line.call(client)
    line.database.execute(
        "update public.runs set result = 'FAILED', finished_at = now(), summary_json = %s", (json.dumps(summary),)
    )
    line.database.execute(
        "insert into public.outbox (kind, payload, idempotency_key) values ('notify', %s, 'report')",
        (json.dumps({"template": "report", "run_id": made["run_id"], "spec_id": made["spec_id"]}),),
    )
    line.call(client)
    told = slack.shown[-1]
    assert told["text"].startswith(f"Not done, 1 of 2 criteria open: {REPO}\nPull request: https://github.example/")
    words = [block["text"]["text"] for block in told["blocks"] if "text" in block]
    assert any("Line coverage: not met" in each and "&lt;!channel&gt; too low" in each for each in words)
    assert any("[x] Unit tests pass: met" in each for each in words)
    assert "<https://github.example/acme/greeting/pull/7?a=1&amp;b=2|Pull request>" in words


def test_channel_that_fails_repeats_no_mail(line: Any, slack: SlackServer) -> None:
    line.ingest()
    client = line.function("notify", AICD_SLACK_WEBHOOK_URL=slack.url)
    slack.faults = [(500, "rollup_error", {}), (503, "", {})]
    for _ in range(3):
        line.call(client)
        line.make_due()
    assert (len(line.sent()), len(slack.shown)) == (1, 1)
    assert outbox(line, "mail")[:2] == ("DONE", 1)
    assert outbox(line, "slack")[:2] == ("DONE", 3)


def test_mail_that_fails_keeps_nothing_from_the_channel_and_is_told_there_once(line: Any, slack: SlackServer) -> None:
    line.ingest()
    client = line.function("notify", AICD_SLACK_WEBHOOK_URL=slack.url)
    line.world.google.break_(SEND, status=503, times=2)
    for _ in range(3):
        line.call(client)
        line.make_due()
    assert (len(line.sent()), len(slack.shown)) == (1, 1)


def test_each_repository_has_its_own_channel_or_none(line: Any, slack: SlackServer) -> None:
    own = json.dumps({REPO.upper(): slack.url, "acme/other": ""})
    line.ingest()
    line.call(line.function("notify", AICD_SLACK_WEBHOOKS=own, AICD_SLACK_WEBHOOK_URL="https://hooks.invalid/x"))
    assert len(slack.shown) == 1
    line.ingest()
    silent = json.dumps({REPO: ""})
    line.call(line.function("notify", AICD_SLACK_WEBHOOKS=silent, AICD_SLACK_WEBHOOK_URL=slack.url))
    assert (len(slack.shown), len(line.sent())) == (1, 2)


def test_without_a_webhook_no_row_is_written(line: Any) -> None:
    line.ingest()
    line.call(line.function("notify"))
    assert line.rows("select count(*) from public.outbox where kind = 'notify'") == [(1,)]


def test_tick_tells_the_channel_too(line: Any, slack: SlackServer) -> None:
    line.ingest()
    line.call(line.function("tick", AICD_SLACK_WEBHOOK_URL=slack.url))
    assert (len(line.sent()), len(slack.shown)) == (1, 1)


def test_row_whose_webhook_was_taken_away_is_finished(line: Any, slack: SlackServer) -> None:
    line.ingest()
    slack.faults = [(500, "", {})]
    line.call(line.function("notify", AICD_SLACK_WEBHOOK_URL=slack.url))
    line.make_due()
    line.call(line.function("notify", AICD_SLACK_WEBHOOK_URL=""))
    assert outbox(line, "slack")[3] == {"outcome": "not-configured", "channel": "slack"}


def test_busy_channel_is_left_alone_for_as_long_as_it_asked(line: Any, slack: SlackServer) -> None:
    line.ingest()
    slack.faults = [(429, "rate_limited", {"Retry-After": "900"})]
    line.call(line.function("notify", AICD_SLACK_WEBHOOK_URL=slack.url))
    [(seconds,)] = line.rows(
        "select extract(epoch from next_attempt_at - now())::int from public.outbox where payload ? 'channel'"
    )
    assert 850 < seconds < 910
    assert outbox(line, "slack")[:2] == ("PENDING", 1)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ((404, "no_service", {}), "no_service"), ((403, "invalid_token", {}), "invalid_token"),
        ((410, "channel_is_archived", {}), "channel_is_archived"), ((400, "invalid_blocks", {}), "invalid_blocks"),
        ((200, "<html>Log in</html>", {}), "HTTP 200)"), ((204, "", {}), "HTTP 204)"),
        ((302, "", {"Location": "/elsewhere"}), "HTTP 302)"), ((307, "", {"Location": "/elsewhere"}), "HTTP 307)"),
    ],
)  # fmt: skip
def test_refusal_that_no_try_could_heal_is_a_dead_letter_at_once(
    line: Any, slack: SlackServer, fault: Any, reason: str, said: Callable[[], str]
) -> None:
    line.ingest()
    slack.faults = [fault]
    line.call(line.function("notify", AICD_SLACK_WEBHOOK_URL=slack.url))
    state, attempts, error, _ = outbox(line, "slack")
    assert (state, attempts, len(slack.paths)) == ("DEAD", 1, 1)
    assert reason in error
    assert "canary" not in error + said()
    assert len(line.sent()) == 1


def test_answer_that_was_lost_shows_the_message_twice_at_most(line: Any, slack: SlackServer) -> None:
    line.ingest()
    client = line.function("notify", AICD_SLACK_WEBHOOK_URL=slack.url)
    slack.faults = ["cut"]
    for _ in range(3):
        line.call(client)
        line.make_due()
    assert (len(slack.shown), len(line.sent())) == (2, 1)


def test_webhook_that_is_away_is_tried_again_and_never_shown(
    line: Any, slack: SlackServer, said: Callable[[], str]
) -> None:
    with SlackServer() as gone:
        url = gone.url
    line.ingest()
    line.call(line.function("notify", AICD_SLACK_WEBHOOK_URL=url))
    state, _, error, _ = outbox(line, "slack")
    assert (state, error.partition(":")[0]) == ("PENDING", "slack-unreachable")
    assert "canary" not in error + said()
