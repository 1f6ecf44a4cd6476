"""What one mail costs in requests to Supabase, counted on the wire of the real intake: each is a round trip."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

MOST_PER_MAIL = 3


@pytest.fixture
def sent(line: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Method and path of every request to Supabase from now on, repeated ones too."""
    asked: list[str] = []
    send = httpx.Client.send

    def counting(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        if str(request.url).startswith(line.world.api_url):
            asked.append(f"{request.method} {request.url.path}")
        return send(client, request, **options)

    monkeypatch.setattr(httpx.Client, "send", counting)
    return asked


@pytest.fixture
def watched(line: Any) -> Any:
    """The line with a cursor: what arrives from now on is news."""
    line.deliver(b"From: x@example.org\r\nSubject: before the watch\r\n\r\nhello\r\n")
    newest = line.world.google.get(f"mailbox/{line.mailbox}/messages")[-1]["history_id"]
    [(mailbox_id,)] = line.rows("select id::text from public.mailboxes")
    line.store.renew_mailbox(mailbox_id, newest, "2026-12-01T00:00:00Z")
    return line


def test_mail_costs_at_most_three_requests(watched: Any, letter: Any, sent: list[str]) -> None:
    watched.deliver(letter())
    assert watched.push(watched.function("gmail_push")).status_code == 204
    print(f"{len(sent)} requests for one mail: {', '.join(sent)}")
    assert watched.rows("select state from public.messages") == [("ACCEPTED",)]
    assert len(sent) <= MOST_PER_MAIL, sent


def test_refused_mail_costs_no_more(watched: Any, letter: Any, sent: list[str]) -> None:
    watched.deliver(letter(sender="mallory@elsewhere.example"))
    watched.push(watched.function("gmail_push"))
    assert watched.rows("select state from public.messages") == [("REFUSED",)]
    assert len(sent) <= MOST_PER_MAIL, sent


def test_mails_that_come_together_share_the_first_request(watched: Any, letter: Any, sent: list[str]) -> None:
    for number in range(4):
        watched.deliver(letter(subject=f"Greeting {number}"))
    watched.push(watched.function("gmail_push"))
    assert len(watched.rows("select from public.messages where state = 'ACCEPTED'")) == 4
    print(f"{len(sent)} requests for four mails")
    assert len(sent) <= 4 * 2 + 2, sent
    assert len([one for one in sent if one.endswith("known_messages_v2")]) == 1, "asked once for all"
