"""Forwarded mail: what somebody else wrote is part of what its sender asks for, as each client marks it."""

from __future__ import annotations

import base64

import pytest

from functions._shared.mail import read_message

HEAD = """\
Authentication-Results: mx.google.com; dmarc=pass header.from=example.org
From: Ada <ada@example.org>
To: specs@inbox.example
Subject: {subject}
Message-ID: <1@example.org>
"""
WISH = "The shop needs a function that sums prices."
SPEC = "meta:\n  project: greeting\n  repo: acme/greeting\nplanning:\n  epics: []\n"
GMAIL = (
    "---------- Forwarded message ---------\nFrom: Bob <bob@c.example>\nDate: Fri, Nov 20, 2026\nSubject: x\nTo: A\n\n"
)
CLIENTS = {
    "gmail": ("Fwd: x", f"{GMAIL}{{wish}}\n"),
    "apple": (
        "Fwd: x",
        "Begin forwarded message:\n\n> From: Bob <bob@c.example>\n> Subject: x\n> To: A\n> \n> {wish}\n",
    ),
    "thunderbird": (
        "Fwd: x",
        "-------- Forwarded Message --------\nSubject: \tx\nFrom: \tBob <b@c.example>\n\n{wish}\n",
    ),
    "outlook": ("FW: x", "________________________________\nFrom: Bob\nSent: Friday\nTo: Ada\nSubject: x\n\n{wish}\n"),
    "outlook-de": ("WG: x", "Von: Bob\nGesendet: Freitag\nAn: Ada\nBetreff: x\n\n{wish}\n"),
    "outlook-old": ("FW: x", "-----Original Message-----\nFrom: Bob\nSent: Friday\nTo: Ada\nSubject: x\n\n{wish}\n"),
    "german": ("Fwd: x", "-------- Weitergeleitete Nachricht --------\nBetreff: \tx\nVon: \tBob\n\n{wish}\n"),
    "apple-quoted": (
        "Fwd: x",
        "> Begin forwarded message:\n> \n> From: Bob <bob@c.example>\n> Subject: x\n> To: A\n> \n> {wish}\n",
    ),
    "proton": (
        "Fw: x",
        "------- Forwarded Message -------\nFrom: Bob <bob@c.example>\nSubject: x\nTo: A\n\n> {wish}\n",
    ),
    "yahoo": (
        "Fw: x",
        "   ----- Forwarded Message ----- From: Bob <bob@c.example>To: A <a@x>Sent: MondaySubject: x\n {wish}\n",
    ),
    "french": ("TR: x", "De : Bob\nEnvoyé : vendredi\nÀ : Ada\nObjet : x\n\n{wish}\n"),
}


def read(body: str, subject: str = "Fwd: x", extra: str = "") -> str:
    raw = (HEAD.format(subject=subject) + extra + "\n" + body).replace("\n", "\r\n").encode()
    return read_message(raw).body_text


@pytest.mark.parametrize("client", CLIENTS)
def test_forwarded_wish_follows_what_its_sender_adds(client: str) -> None:
    subject, form = CLIENTS[client]
    found = read("Please build this.\n\n" + form.format(wish=WISH), subject).split("\n\n")
    assert [paragraph.strip() for paragraph in found] == ["Please build this.", WISH]


@pytest.mark.parametrize("client", CLIENTS)
def test_wish_that_is_forwarded_without_a_word_is_the_letter(client: str) -> None:
    subject, form = CLIENTS[client]
    assert read(form.format(wish=WISH), subject) == WISH


def test_forwarded_specification_is_found() -> None:
    raw = (HEAD.format(subject="Fwd: x") + "\nSee below.\n\n" + GMAIL + SPEC).replace("\n", "\r\n").encode()
    [spec] = read_message(raw).specs
    assert (spec.format, spec.content.decode().strip()) == ("yaml", SPEC.strip())


def test_mail_that_comes_along_as_an_attachment_is_part_of_the_letter() -> None:
    body = f"""\
--b
Content-Type: text/plain

Please build what Bob wants.
--b
Content-Type: message/rfc822

From: Bob <bob@c.example>
Subject: prices
Content-Type: text/plain

{WISH}
--b--
"""
    extra = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n"
    assert read(body, extra=extra).split("\n\n") == ["Please build what Bob wants.", WISH]


@pytest.mark.parametrize("subject", ["Re: x", "AW: x", "x", "Forward planning"])
def test_same_block_in_an_answer_is_a_quotation(subject: str) -> None:
    block = CLIENTS["outlook"][1].format(wish=WISH)
    assert WISH not in read("Thanks, go on.\n\n" + block, subject)


def test_sender_is_who_forwards_and_never_who_is_forwarded() -> None:
    raw = (HEAD.format(subject="Fwd: x") + "\n" + GMAIL + WISH).replace("\n", "\r\n").encode()
    assert read_message(raw).sender == "ada@example.org"


def test_forward_that_html_quotes_as_a_whole_is_read() -> None:
    html = (
        "<html><body>Please build this.<br><br><blockquote type=cite><div>Begin forwarded message:</div><br>"
        "<div><b>From: </b>Bob &lt;bob@c.example&gt;</div><div><b>Subject: </b>x</div><br>"
        f"<div>{WISH}</div></blockquote></body></html>"
    )
    extra = "MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n"
    assert read(html, extra=extra).split("\n\n") == ["Please build this.", WISH]


def test_words_below_a_forward_that_is_quoted_as_a_whole_are_kept() -> None:
    text = f"Please build this.\n\n{CLIENTS['apple-quoted'][1].format(wish=WISH)}\nIn blue, please.\n"
    assert read(text).split("\n") == ["Please build this.", "", "In blue, please.", "", WISH]


def test_forward_that_an_answer_quotes_is_part_of_the_quotation() -> None:
    quoted = "".join(f"> {line}\n" for line in CLIENTS["apple"][1].format(wish=WISH).splitlines())
    text = f"Yes.\n\nOn Mon, 30 Nov 2026 at 10:00 aicd <a@x.org> wrote:\n\n{quoted}"
    assert read(text, "Re: x") == "Yes."


@pytest.mark.parametrize(
    "part",
    [
        "Content-Type: message/rfc822; name=prices.eml\nContent-Disposition: attachment",
        "Content-Type: application/octet-stream; name=prices.eml\nContent-Disposition: attachment",
    ],
)
def test_mail_that_was_saved_as_a_file_and_attached_is_opened(part: str) -> None:
    inner = base64.encodebytes(f"From: Bob <b@c.example>\nContent-Type: text/plain\n\n{WISH}\n".encode()).decode()
    body = f"--b\n\nPlease build this.\n--b\n{part}\nContent-Transfer-Encoding: base64\n\n{inner}\n--b--\n"
    extra = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n"
    assert read(body, extra=extra).split("\n\n") == ["Please build this.", WISH]


def test_mails_in_mails_as_files_are_bounded() -> None:
    raw = b"From: a@b.org\n\nhi"
    for _ in range(12):
        raw = (
            b"From: a@b.org\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
            + base64.encodebytes(raw)
        )
    message = read_message(raw)
    assert (message.accepted, message.reason) == (False, "too-large")


def test_long_text_with_many_headings_is_read_in_time() -> None:
    assert read("From: a\n" * 20_000, "FW: x") is not None
