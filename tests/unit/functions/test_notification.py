"""The push's body: both spellings, and every kind of nonsense told apart."""

from __future__ import annotations

import base64
import json

import pytest

from functions._shared.intake.notification import UnusableNotification, parse_notification


def push(data: object, **message: object) -> bytes:
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return json.dumps({"message": {"data": base64.b64encode(text).decode(), **message}, "subscription": "s"}).encode()


@pytest.mark.parametrize("spelling", ["messageId", "message_id"])
@pytest.mark.parametrize("history_id", ["12", 12])
def test_both_spellings_and_both_kinds_of_history_id_are_read(spelling: str, history_id: object) -> None:
    found = parse_notification(push({"emailAddress": "In@Box.example", "historyId": history_id}, **{spelling: "7"}))
    assert (found.email, found.push_id) == ("in@box.example", "7")


def test_base64url_without_padding_is_read() -> None:
    data = base64.urlsafe_b64encode(b'{"emailAddress":"a@b.c","x":"\xc3\xbf\xc3\xbe??>>"}').decode().rstrip("=")
    assert parse_notification(json.dumps({"message": {"data": data}}).encode()).email == "a@b.c"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "envelope-not-json"),
        (b"\xff\xfe", "envelope-not-json"),
        (b"[" * 100_000, "envelope-not-json"),
        (b"[]", "envelope-not-json"),
        (b"{}", "no-message"),
        (b'{"message": []}', "no-message"),
        (b'{"message": {}}', "no-data"),
        (b'{"message": {"data": 5}}', "no-data"),
        (b'{"message": {"data": "%%%"}}', "data-not-base64"),
        (b'{"message": {"data": "a"}}', "data-not-base64"),
        (push(b"nonsense"), "data-not-json"),
        (push([1]), "data-not-json"),
        (push({}), "no-mailbox"),
        (push({"emailAddress": None}), "no-mailbox"),
        (push({"emailAddress": "a@b\n"}), "no-mailbox"),
        (push({"emailAddress": "a" * 500 + "@b.c"}), "no-mailbox"),
    ],
)
def test_nonsense_is_named(body: bytes, reason: str) -> None:
    with pytest.raises(UnusableNotification) as caught:
        parse_notification(body)
    assert caught.value.code == reason
