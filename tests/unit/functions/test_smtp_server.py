"""AICD_SMTP_URL: where the mail goes out, and never a password in what is told."""

from __future__ import annotations

import pytest

from functions._shared.notices.senders.smtp_server import read_smtp_server
from functions._shared.outbox.telling import TellingSettings
from functions._shared.settings import Environment, GoogleSettings, Misconfigured


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("smtps://u%40x.org:p%3A%2F%40@mail.example", ("mail.example", 465, "tls", "u@x.org", "p:/@")),
        ("smtp+starttls://mail.example", ("mail.example", 587, "starttls", "", "")),
        ("SMTPS://u:p@[2001:db8::1]:2465/", ("2001:db8::1", 2465, "tls", "u", "p")),
        ("smtp://127.0.0.1:1025", ("127.0.0.1", 1025, "none", "", "")),
        ("smtp://[::1]", ("::1", 25, "none", "", "")),
        ("smtp://localhost:1025", ("localhost", 1025, "none", "", "")),
    ],
)
def test_address_says_where_how_and_who(url: str, place: tuple[str, int, str, str, str]) -> None:
    environment = Environment({"AICD_SMTP_URL": url})
    server = read_smtp_server(environment)
    environment.check()
    found = (server.host, server.port, server.security, server.user, server.password.get_secret_value())
    assert found == place
    assert "p:/@" not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        "", "mail.example:465", "https://u:canary@mail.example", "smtps://", "smtps://u:canary@", "smtps://u@mail.example",
        "smtps://:canary@mail.example", "smtp://u:canary@mail.example", "smtp://mail.example", "smtp://10.0.0.1",
        "smtp://127.0.0.1.evil.example", "smtps://u:canary@mail.example/x", "smtps://u:canary@mail.example?tls=no",
        "smtps://u:canary@mail.example#x", "smtps://u:canary@mail.example:99999", "smtps://u:canary@mail.example:x",
        "smtps://u:can%0d%0aary@mail.example", "smtps://u:canary%00@mail.example", "smtps://u:c%C3%A4nary@mail.example",
        "smtps://u:canary#1@mail.example",
    ],
)  # fmt: skip
def test_address_that_cannot_be_meant_is_refused_without_being_shown(url: str) -> None:
    environment = Environment({"AICD_SMTP_URL": url})
    read_smtp_server(environment)
    with pytest.raises(Misconfigured, match="AICD_SMTP_URL") as caught:
        environment.check()
    assert "anary" not in str(caught.value)


def sender(**values: str) -> type:
    environment = Environment({"GMAIL_CLIENT_ID": "i", "GMAIL_CLIENT_SECRET": "s", "GMAIL_REFRESH_TOKEN": "t"} | values)
    chosen = TellingSettings.read(environment).sender
    environment.check()
    return type(chosen)


def test_gmail_sends_unless_there_is_a_server_or_smtp_is_asked_for() -> None:
    server = {"AICD_SMTP_URL": "smtps://u:p@mail.example"}
    assert sender() is GoogleSettings
    assert sender(**server) is not GoogleSettings
    assert sender(**server, AICD_MAIL_SENDER="gmail") is GoogleSettings
    for wrong in ({"AICD_MAIL_SENDER": "smtp"}, {"AICD_MAIL_SENDER": "pigeon"}):
        with pytest.raises(Misconfigured, match=r"AICD_(SMTP_URL is not set|MAIL_SENDER is neither)"):
            sender(**wrong)


def test_smtp_needs_nothing_of_googles() -> None:
    environment = Environment({"AICD_SMTP_URL": "smtps://u:p@mail.example"})
    TellingSettings.read(environment)
    environment.check()
