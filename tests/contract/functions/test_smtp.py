"""Answers by SMTP, from the functions as deployed to a real server on a real socket; nothing is asked of Gmail."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from controlplane.errors import OutsideError
from functions._shared.notices.senders import smtp_server
from functions._shared.notices.senders.smtp import SmtpSender
from functions._shared.outbox.drain import GivenUp
from tests.contract.functions.smtp_server import PASSWORD, USER, SmtpServer, make_certificate

WITHOUT_GMAIL = dict.fromkeys(("GMAIL_CLIENT_ID", "GMAIL_CLIENT_SECRET", "GMAIL_REFRESH_TOKEN"), "")
MAIL = b"From: specs@inbox.example\r\nTo: ada@example.org\r\nMessage-ID: <1@d.example>\r\n\r\n.hello\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(certificate: Path) -> Iterator[SmtpServer]:
    with SmtpServer(certificate) as running:
        yield running
        assert running.problems == []


def notify(line: Any, server: SmtpServer, function: str = "notify", **changes: str) -> Any:
    """The function, told to answer by that server, whose certificate it is told to believe."""
    told = {"AICD_SMTP_URL": server.url("smtp+starttls"), "SSL_CERT_FILE": str(server.certificate)}
    return line.function(function, **{**(WITHOUT_GMAIL if function == "notify" else {}), **told, **changes})


def outbox(line: Any) -> tuple[str, int, str]:
    [(state, attempts, error)] = line.rows(
        "select state, attempts, coalesce(last_error, '') from public.outbox where kind = 'notify'"
    )
    return state, attempts, error


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_receipt_goes_out_over_tls_with_the_headers_of_its_thread(line: Any, certificate: Path, security: Any) -> None:
    made = line.ingest(subject="Grüße 😀", references="<root@example.org>")
    scheme = {"tls": "smtps", "starttls": "smtp+starttls"}[security]
    with SmtpServer(certificate, security) as server:
        client = notify(line, server, AICD_SMTP_URL=server.url(scheme))
        assert line.call(client).json["data"]["finished"] == 1
        [mail] = server.received
        assert server.problems == []
    assert (mail.sender, mail.recipients, mail.secured, mail.user) == (line.mailbox, ("ada@example.org",), True, USER)
    [(outbox_id, result)] = line.rows("select id::text, result from public.outbox where kind = 'notify'")
    message = mail.message
    assert (message["From"], message["To"], message["Subject"]) == (line.mailbox, "ada@example.org", "Re: Grüße 😀")
    assert message["Message-ID"] == f"<{outbox_id}@notices.aicd.invalid>"
    assert message["In-Reply-To"] == f"<{made['message_id']}@example.org>"
    assert message["References"].strip() == f"<root@example.org> <{made['message_id']}@example.org>"
    assert result == {"outcome": "sent", "sent_id": "2.0.0 Ok: queued as 4Xy7Qz", "template": "spec_received"}
    assert line.sent() == []


def test_mail_that_gmail_read_is_answered_by_smtp(line: Any, letter: Any, server: SmtpServer) -> None:
    line.call(line.function("tick"))
    original = letter(subject="Please build this")
    line.deliver(original)
    assert line.push(line.function("gmail_push")).status_code == 204
    line.call(notify(line, server, AICD_MAIL_SENDER="smtp"))
    [mail] = server.received
    assert mail.message["In-Reply-To"] == original["Message-ID"]
    assert line.sent() == []


def test_tick_sends_by_the_same_way(line: Any, server: SmtpServer) -> None:
    line.ingest()
    line.call(notify(line, server, "tick"))
    assert len(server.received) == 1
    assert line.sent() == []


def test_gmail_sends_where_it_is_chosen_although_there_is_a_server(line: Any, server: SmtpServer) -> None:
    line.ingest()
    line.call(line.function("notify", AICD_MAIL_SENDER="gmail", AICD_SMTP_URL=server.url("smtps")))
    assert (len(line.sent()), server.commands) == (1, [])


def test_server_whose_certificate_nobody_vouches_for_is_told_nothing(
    line: Any, server: SmtpServer, said: Callable[[], str]
) -> None:
    line.ingest()
    line.call(notify(line, server, SSL_CERT_FILE=""))
    state, _, error = outbox(line)
    assert (state, error.partition(":")[0]) == ("PENDING", "smtp-certificate")
    assert server.commands == ["EHLO", "STARTTLS"]
    assert "canary" not in said() + error


def test_certificate_of_another_host_is_not_believed(line: Any, tmp_path: Path) -> None:
    line.ingest()
    with SmtpServer(make_certificate(tmp_path, "127.0.0.9")) as server:
        line.call(notify(line, server))
        assert server.commands == ["EHLO", "STARTTLS"]
    assert "smtp-certificate" in outbox(line)[2]


def test_server_without_starttls_gets_neither_password_nor_mail(line: Any, certificate: Path) -> None:
    line.ingest()
    with SmtpServer(certificate, "none") as server:
        line.call(notify(line, server))
        assert server.commands == ["EHLO", "QUIT"]
    assert outbox(line)[2].startswith("smtp-unusable: ")


def test_wrong_password_is_tried_again_and_told_of_without_itself(
    line: Any, server: SmtpServer, said: Callable[[], str]
) -> None:
    line.ingest()
    client = notify(line, server, AICD_SMTP_URL=server.url("smtp+starttls", password="wr0ng-canary"))
    assert line.call(client).json["data"]["retried"] == 1
    state, _, error = outbox(line)
    assert (state, "535" in error, "AICD_SMTP_URL" in error) == ("PENDING", True, True)
    told = error + said()
    assert not any(secret in told for secret in ("canary", "AHNlbmRlckBpbmJveC5leGFtcGxlAHdyMG5nLWNhbmFyeQ"))


@pytest.mark.parametrize(
    ("step", "reply"),
    [("MAIL", "553 5.7.1 Not yours"), ("RCPT", "550 5.1.1 No such user"), ("CONTENT", "554 5.6.0 Not wanted")],
)
def test_mail_that_is_refused_for_good_is_a_dead_letter_with_the_servers_reason(
    line: Any, server: SmtpServer, step: str, reply: str
) -> None:
    line.ingest()
    server.faults[step] = [reply]
    assert line.call(notify(line, server)).json["data"]["dead"] == 1
    state, attempts, error = outbox(line)
    assert (state, attempts) == ("DEAD", 1)
    assert error.startswith("smtp-refused: ")
    assert reply in error
    assert server.received == []


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ("GREETING", "421 4.3.2 Closing"), ("GREETING", "554 5.3.2 Not today"), ("GREETING", "cut"),
        ("GREETING", "hello there"), ("EHLO", "421 4.3.2 Closing"), ("STARTTLS", "454 4.7.0 Not now"),
        ("AUTH", "454 4.7.0 Not now"), ("AUTH", "cut"), ("MAIL", "421 4.3.2 Closing"), ("MAIL", "530 5.7.0 Log in"),
        ("RCPT", "450 4.2.1 Greylisted"), ("RCPT", "cut"), ("DATA", "451 4.3.0 Later"), ("DATA", "what?"),
        ("MIDDLE", "cut"), ("CONTENT", "452 4.3.1 Full"), ("CONTENT", "421 4.3.2 Closing"), ("CONTENT", "999 no"),
    ],
)  # fmt: skip
def test_mail_that_was_not_taken_is_sent_later_and_once(line: Any, server: SmtpServer, step: str, fault: str) -> None:
    line.ingest()
    client = notify(line, server)
    server.faults[step] = [fault]
    assert line.call(client).json["data"]["retried"] == 1
    assert server.received == []
    line.make_due()
    assert line.call(client).json["data"]["finished"] == 1
    assert len(server.received) == 1


def test_mail_whose_reply_was_lost_goes_out_twice_at_most_and_is_one_mail_by_its_message_id(
    line: Any, server: SmtpServer
) -> None:
    line.ingest()
    client = notify(line, server)
    server.faults["CONTENT"] = ["cut"]
    assert line.call(client).json["data"]["retried"] == 1
    for _ in range(3):
        line.make_due()
        line.call(client)
    ids = [mail.message["Message-ID"] for mail in server.received]
    assert len(ids) == 2
    assert len(set(ids)) == 1
    assert outbox(line)[:2] == ("DONE", 2)


def test_goodbye_that_is_not_answered_does_not_repeat_the_mail(line: Any, certificate: Path) -> None:
    line.ingest()
    with SmtpServer(certificate) as server:
        server.faults["CONTENT"] = ["250 2.0.0 Ok\r\n421 4.3.2 Bye"]
        assert line.call(notify(line, server)).json["data"]["finished"] == 1


def test_nothing_from_outside_breaks_out_of_header_or_envelope(line: Any, server: SmtpServer) -> None:
    evil = "x\r\nBcc: victim@example.org\r\n\r\n.\r\nMAIL FROM:<evil@example.org>\r\n"
    line.ingest(subject=evil, references=f"<a@b>{evil}", rfc_message_id=f"<{uuid.uuid4()}@example.org>{evil}")
    line.call(notify(line, server))
    [mail] = server.received
    assert (mail.sender, mail.recipients) == (line.mailbox, ("ada@example.org",))
    assert mail.message["Bcc"] is None
    assert [name for name in server.commands if name in ("MAIL", "RCPT", "DATA")] == ["MAIL", "RCPT", "DATA"]


def sender(server: SmtpServer, whole_seconds: float = 5.0) -> SmtpSender:
    place = smtp_server.SmtpServer("127.0.0.1", server.port, "none", USER, SecretStr(PASSWORD))
    return SmtpSender(place, "specs@inbox.example", whole_seconds)


@pytest.mark.parametrize("recipient", ["j\u00fcrgen@example.org", "a@example.org, b@example.org", "undisclosed:;"])
def test_address_that_no_command_can_carry_is_given_up_before_anything_is_said(recipient: str) -> None:
    with SmtpServer(security="none") as server:
        with pytest.raises(GivenUp, match="SMTPUTF8"):
            sender(server).send(MAIL.replace(b"ada@example.org", recipient.encode()), None)
        assert server.commands == []


def test_line_that_begins_with_a_full_stop_arrives_as_it_was_written() -> None:
    with SmtpServer(security="none") as server:
        sender(server).send(MAIL, "thread")
        assert server.problems == []
        assert server.received[0].raw.endswith(MAIL)


@pytest.mark.parametrize("step", ["MAIL", "CONTENT"])
def test_server_that_never_answers_is_left_when_the_time_is_up(step: str) -> None:
    with SmtpServer(security="none") as server:
        server.faults[step] = ["hang"]
        began = time.monotonic()
        with pytest.raises(OutsideError, match="did not answer"):
            sender(server, 0.5).send(MAIL, None)
        assert time.monotonic() - began < 4


def test_server_that_speaks_a_letter_at_a_time_is_left_when_the_time_is_up() -> None:
    with SmtpServer(security="none") as server:
        server.faults["MAIL"] = ["dribble"]
        began = time.monotonic()
        with pytest.raises(OutsideError, match="did not answer"):
            sender(server, 0.5).send(MAIL, None)
        assert time.monotonic() - began < 4
