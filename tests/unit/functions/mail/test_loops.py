"""Mail that no person wrote to us is refused although its sender is proven."""

from __future__ import annotations

import pytest

from functions._shared.mail import read_message

PROVEN = "Authentication-Results: mx.google.com; dmarc=pass header.from=good.org"
OWN = frozenset({"Specs@good.org"})

LOOPS = {
    "automatic reply": (("Auto-Submitted: auto-replied",), "auto-reply"),
    "generated with a parameter": (("Auto-Submitted: auto-generated; x=y",), "auto-reply"),
    "vacation": (("Precedence: auto_reply",), "auto-reply"),
    "exchange says do not answer": (("X-Auto-Response-Suppress: DR, OOF, AutoReply",), "auto-reply"),
    "autoresponder": (("X-Autoreply: yes",), "auto-reply"),
    "null sender": (("Return-Path: <>",), "bounce"),
    "delivery report": (("Content-Type: multipart/report; report-type=delivery-status; boundary=x",), "bounce"),
    "failed recipients": (("X-Failed-Recipients: a@b.org",), "bounce"),
    "list": (("List-Id: <announce.good.org>",), "mailing-list"),
    "bulk": (("Precedence: bulk", "List-Unsubscribe: <mailto:x@good.org>"), "mailing-list"),
    "our header": (("X-Aicd-Notice: 1",), "own-mail"),
    "our message id": (("Message-ID: <7@notices.aicd.invalid>",), "own-mail"),
}


@pytest.mark.parametrize(("headers", "reason"), LOOPS.values(), ids=LOOPS.keys())
def test_machine_mail_is_refused(headers: tuple[str, ...], reason: str) -> None:
    raw = "\r\n".join([PROVEN, "From: ann@good.org", *headers, "", "hello"]).encode()
    message = read_message(raw, own_addresses=OWN)
    assert (message.accepted, message.reason) == (False, reason)


@pytest.mark.parametrize("sender", ["specs@good.org", "SPECS@GOOD.ORG"])
def test_mail_from_our_own_address_is_refused(sender: str) -> None:
    raw = f"{PROVEN}\r\nFrom: {sender}\r\n\r\nhello".encode()
    assert read_message(raw, own_addresses=OWN).reason == "own-mail"


NOTICE = "5d0c7d1e-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("message_id", "reason"),
    [
        (f"<{NOTICE}@notices.acme.example>", "own-mail"),
        (f"<{NOTICE}@Notices.Acme.Example>", "own-mail"),
        (f"<{NOTICE}@acme.example>", "ok"),
        (f"<{NOTICE}@x.notices.acme.example>", "ok"),
        ("<CAF-a1@notices.acme.example>", "ok"),
    ],
)
def test_own_mail_is_known_by_the_ids_of_our_notices(message_id: str, reason: str) -> None:
    raw = f"{PROVEN}\r\nFrom: ann@good.org\r\nMessage-ID: {message_id}\r\n\r\nhello".encode()
    assert read_message(raw, notice_domain="notices.acme.example").reason == reason


@pytest.mark.parametrize("robot", ["MAILER-DAEMON", "postmaster"])
def test_mail_from_a_mail_system_is_a_bounce(robot: str) -> None:
    assert read_message(f"{PROVEN}\r\nFrom: <{robot}@good.org>\r\n\r\nx".encode()).reason == "bounce"


def test_mail_without_any_sender_is_no_bounce() -> None:
    assert read_message(f"{PROVEN}\r\nReturn-Path: <>\r\n\r\n\x00\x01".encode()).reason == "no-from"


def test_person_who_says_auto_submitted_no_is_accepted() -> None:
    raw = f"{PROVEN}\r\nFrom: ann@good.org\r\nAuto-Submitted: no\r\nReturn-Path: <ann@good.org>\r\n\r\nhello".encode()
    assert read_message(raw, own_addresses=OWN).accepted
