"""Several mailboxes, each by its own right, through the functions as deployed."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions._shared.gmail.client import GmailClient
from functions._shared.gmail.errors import MailboxUnusable
from functions._shared.settings import Environment, GoogleSettings
from local.administration import Administration

SCOPES = ["https://www.googleapis.com/auth/gmail.readonly", "https://www.googleapis.com/auth/gmail.send"]


def second_mailbox(line: Any) -> dict[str, Any]:
    """Another mailbox of ours, with an account of its own under the same OAuth client."""
    email = f"second-{uuid.uuid4().hex[:8]}@inbox.example"
    with Administration(line.world.db_url) as operator:
        operator.create_mailbox(email)
    return dict(line.world.google.post("accounts", email=email))


def outcomes(line: Any) -> list[tuple[Any, ...]]:
    return list(
        line.rows(
            "select email, state from public.messages join public.mailboxes on mailbox_id = mailboxes.id order by 1"
        )
    )


def fall_silent(line: Any) -> None:
    """No push came for an hour, so that every mailbox is polled."""
    line.database.execute("update public.mailboxes set last_push_at = now() - interval '1 hour'")


def service_account(line: Any, scopes: list[str] = SCOPES) -> dict[str, str]:
    key = line.world.google.post("service-accounts", client_email="sa@p.iam.gserviceaccount.com", scopes=scopes)
    return {
        **dict.fromkeys(("GMAIL_CLIENT_ID", "GMAIL_CLIENT_SECRET", "GMAIL_REFRESH_TOKEN"), ""),
        "GMAIL_SERVICE_ACCOUNT": json.dumps(key),
    }


def test_service_account_reads_watches_and_answers_for_every_mailbox_of_its_domain(line: Any, letter: Any) -> None:
    other = second_mailbox(line)
    tick = line.function("tick", **service_account(line))
    data = line.call(tick).json["data"]
    assert data["mailboxes"] == {"watches_renewed": 2, "polled": 2, "failed": 0, "resting": 0}
    line.deliver(letter())
    line.world.google.client.post("/_double/deliver", content=bytes(letter()), params={"mailbox": other["email"]})
    fall_silent(line)
    assert line.call(tick).json["data"]["mailboxes"]["polled"] == 2
    assert outcomes(line) == sorted([(line.mailbox, "ACCEPTED"), (other["email"], "ACCEPTED")])
    senders = {mail["mailbox"] for mail in line.world.google.get("sent")}
    assert {line.mailbox, other["email"]} <= senders


@pytest.mark.parametrize(
    ("scopes", "mailbox", "says"),
    [(SCOPES[:1], "", "Domain-wide delegation"), (SCOPES, "nobody@inbox.example", "the domain has no such user")],
    ids=["scope", "user"],
)
def test_service_account_that_may_not_is_told_what_is_missing(
    line: Any, scopes: list[str], mailbox: str, says: str
) -> None:
    environment = {**line.environment, **service_account(line, scopes)}
    client = GmailClient(GoogleSettings.read(Environment(environment)), mailbox or line.mailbox)
    with pytest.raises(MailboxUnusable) as caught:
        client.fetch_history_id()
    assert says in str(caught.value)
    line.world.google.problems()


def test_token_of_another_mailbox_reads_nothing(line: Any, letter: Any) -> None:
    """One refresh token and two mailboxes: what it opens is not taken for the other's mail."""
    other = second_mailbox(line)
    tick = line.function("tick")
    line.call(tick)
    line.deliver(letter())
    fall_silent(line)
    answer = line.call(tick)
    assert answer.status_code == 503
    assert answer.json["data"]["mailboxes"]["polled"] == 1
    assert outcomes(line) == [(line.mailbox, "ACCEPTED")]
    [(error, fix)] = line.rows(
        "select last_error, last_error_fix from public.mailboxes where email = %s", other["email"]
    )
    assert f"opens the mailbox {line.mailbox}" in error
    assert "GMAIL_REFRESH_TOKENS" in fix


def test_dead_mailbox_does_not_keep_the_others_from_their_mail_and_is_healed(line: Any, letter: Any) -> None:
    other = second_mailbox(line)
    accounts = [line.world.google.post("accounts", email=line.mailbox, revoked=True), other]
    fields = ("refresh_token", "client_id", "client_secret")
    tokens = {account["email"]: {name: account[name] for name in fields} for account in accounts}
    without = dict.fromkeys(("GMAIL_CLIENT_ID", "GMAIL_CLIENT_SECRET", "GMAIL_REFRESH_TOKEN"), "")
    changes = {**without, "GMAIL_REFRESH_TOKENS": json.dumps(tokens)}
    tick = line.function("tick", **changes)
    line.call(tick)
    line.world.google.client.post("/_double/deliver", content=bytes(letter()), params={"mailbox": other["email"]})
    fall_silent(line)
    data = line.call(tick).json["data"]["mailboxes"]
    assert (data["polled"], data["failed"]) == (1, 1)
    assert outcomes(line) == [(other["email"], "ACCEPTED")]
    trouble = "select last_error is not null from public.mailboxes where email = %s"
    assert line.rows(trouble, line.mailbox) == [(True,)]
    line.world.google.post("accounts", email=line.mailbox)
    assert line.call(tick).json["data"]["mailboxes"]["failed"] == 0
    assert line.rows(trouble, line.mailbox) == [(False,)]
    line.deliver(letter())
    fall_silent(line)
    line.call(tick)
    assert outcomes(line) == sorted([(line.mailbox, "ACCEPTED"), (other["email"], "ACCEPTED")])
    line.world.google.problems()


def test_topic_without_publisher_is_recorded_and_the_mail_is_polled_meanwhile(line: Any, letter: Any) -> None:
    line.deliver(letter(subject="of the time before us"))
    line.world.google.break_("gmail.users.watch", status=403, times=9)
    tick = line.function("tick")
    answer = line.call(tick)
    assert answer.json["errors"][0]["code"] == "gmail-topic"
    assert outcomes(line) == []
    line.deliver(letter())
    line.call(tick)
    assert outcomes(line) == [(line.mailbox, "ACCEPTED")]
    [(error, fix)] = line.rows("select last_error, last_error_fix from public.mailboxes")
    assert "may not publish to the topic" in error
    assert "roles/pubsub.publisher" in fix
    line.world.google.post("faults")
    line.call(tick)
    assert line.rows("select last_error from public.mailboxes") == [(None,)]


@pytest.mark.parametrize(
    ("reason", "status", "passes", "says"),
    [
        ("accessNotConfigured", 403, False, "Enable the Gmail API"),
        ("insufficientPermissions", 403, False, "Authorise the mailbox again"),
        ("rateLimitExceeded", 403, True, "more quota"),
        ("userRateLimitExceeded", 429, True, "more quota"),
    ],
)
def test_googles_word_decides_in_whichever_form_it_is_sent(
    line: Any, letter: Any, reason: str, status: int, passes: bool, says: str
) -> None:
    """Google sends it in two forms at once, and its client shows one of them."""
    line.call(line.function("tick"))
    line.deliver(letter())
    line.world.google.break_("gmail.users.history.list", status=status, reason=reason, times=9)
    answer = line.push(line.function("gmail_push"))
    assert answer.status_code == (503 if passes else 204)
    fall_silent(line)
    answer = line.call(line.function("tick"))
    assert says in answer.json["errors"][0]["message"]
    assert says in line.rows("select last_error_fix from public.mailboxes")[0][0]


def test_wish_to_be_left_alone_is_kept_by_tick_and_push_until_its_time(line: Any, letter: Any) -> None:
    tick, push = line.function("tick"), line.function("gmail_push")
    line.call(tick)
    line.deliver(letter())
    fall_silent(line)
    line.world.google.break_("gmail.users.history.list", status=429, retry_after=120, times=1)
    assert line.call(tick).status_code == 503
    asked = line.world.google.get("problems")
    assert line.call(tick).json["data"]["mailboxes"]["resting"] == 1
    assert line.push(push).status_code == 204
    assert outcomes(line) == []
    assert line.world.google.get("problems") == asked
    [(left,)] = line.rows("select retry_at - now() from public.mailboxes")
    assert timedelta(seconds=60) < left <= timedelta(seconds=120)
    line.database.execute("update public.mailboxes set retry_at = %s", (datetime.now(UTC) - timedelta(seconds=1),))
    assert line.call(tick).json["data"]["mailboxes"]["polled"] == 1
    assert outcomes(line) == [(line.mailbox, "ACCEPTED")]
    assert line.rows("select last_error, retry_at from public.mailboxes") == [(None, None)]
