"""Bombs and broken bytes: a clear reason, in bounded time, and never an exception. Small forms of the full table."""

from __future__ import annotations

import base64
import io
import random
import time
import zipfile

import pytest

from functions._shared.mail import read_message

HEAD = b"From: a@b.org\r\nMIME-Version: 1.0\r\n"
MIXED = HEAD + b"Content-Type: multipart/mixed; boundary=X\r\n\r\n"
HTML = HEAD + b"Content-Type: text/html\r\n\r\n"
RESULTS = b"Authentication-Results: mx.google.com; "
LONGEST_SECONDS = 2.0


def nested(levels: int) -> bytes:
    opens = (b"Content-Type: multipart/mixed; boundary=B%d\r\n\r\n--B%d\r\n" % (n, n) for n in range(levels))
    return HEAD + b"".join(opens) + b"\r\nhi\r\n"


def zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for position in range(5):
            archive.writestr(f"{position}.yaml", bytes(10_000_000))
    coded = base64.encodebytes(buffer.getvalue())
    part = b"Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return MIXED + b"--X\r\n" + part + coded + b"\r\n--X--\r\n"


BOMBS = {
    "37 MB": (b"x" * 37_000_000, "too-large"),
    "300 KiB header": (HEAD + b"X: " + b"a" * 300_000 + b"\r\n\r\nhi", "too-large"),
    "many headers": (HEAD + b"X: a\r\n" * 1000 + b"\r\nhi", "too-large"),
    "many parts": (MIXED + b"--X\r\n\r\nhi\r\n" * 100_000, "too-large"),
    "false borders": (MIXED + b"--Xa\r\n" * 500_000, "too-large"),
    "deep parts": (nested(10_000), "too-large"),
    "deep mails": (HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 10_000, "too-large"),
    "open comments": (RESULTS + b"(" * 16_000 + b"\r\n" + HEAD + b"\r\nhi", "malformed-authentication-results"),
    "many results": (RESULTS + b"a=b;" * 4_000 + b"\r\n" + HEAD + b"\r\nhi", "no-dmarc"),
    "nothing": (b"", "unreadable"),
    "no headers": (b"\r\n\r\nhello", "unreadable"),
}

SLOW_TEXTS = {
    "zip": zip_bomb(),
    "open tags": HTML + b"<a " * 60_000,
    "open comments": HTML + b"<!--" * 40_000,
    "half entities": HTML + b"&#" * 90_000,
    "deep quotes": HTML + b"<blockquote>" * 8_000 + b"x<br>" * 20_000,
    "attribution lines": HEAD + b"\r\n" + b"On a b c d e f g h i j k l m n o p q r s t\n" * 20_000,
    "disclaimers": HEAD + b"\r\n" + (b"Disclaimer: " + b"a mail " * 30 + b"\n") * 4_000,
    "headers in the text": HEAD + b"\r\n" + b"From: a\n" * 100_000,
    "forwards": HEAD + b"\r\n" + b"---------- Forwarded message\nFrom: x\n" * 20_000,
    "fences": HEAD + b"\r\n" + b"```yaml\n" * 100_000,
    "blank lines": HEAD + b"\r\n" + b"\n" * 1_000_000,
    "flowed": HEAD + b"Content-Type: text/plain; format=flowed\r\n\r\n" + b"a \n" * 300_000,
    "farewells": HEAD + b"\r\n" + b"Best regards,\n" * 60_000,
    "farewells far apart": HEAD + b"\r\n" + (b"Best regards,\n" + b"\n" * 9_000) * 100,
    "delimiters": HEAD + b"\r\n" + b"--\n" * 300_000,
    "laws": HEAD + b"\r\n-- \n" + b"this e-mail is \n" * 60_000,
    "answers between quotations": HEAD
    + b"In-Reply-To: <a@b>\r\n\r\n"
    + (b"On 1 Jan 2026 Bob <b@x.org> wrote:\n> a\n" + b"On a b c d e f 1 g h i j\n" * 98) * 6
    + b"From: a\n" * 40_000,
    "quoted forwards": HEAD + b"Subject: Fwd:\r\n\r\n" + b"> Begin forwarded message:\n> From: x\n" * 20_000,
    "files typed in": HEAD + b"\r\n" + b"begin 644 a\n" * 40_000 + b"M" * 400_000 + b"\nend",
    "armours": HEAD + b"\r\n" + b"-----BEGIN PGP SIGNATURE-----\n" * 30_000,
    "headers of an armour": HEAD + b"\r\n-----BEGIN PGP SIGNED MESSAGE-----\n" + b"Hash: x\n" * 120_000,
    "curly quotes": HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\nmeta:\n" + b" - \xe2\x80\x9ca" * 140_000,
    "keys": HEAD + b"\r\nhello\n\n" + b"sprints:\n" * 100_000,
    "cells": HTML + b"<table><tr>" + b"<td>a" * 30_000,
    "rows": HTML + b"<tr><td>a<td>b" * 11_000,
    "broken lines": HTML + b"<br>\n" * 30_000,
    "lines between tags": HTML + b"<table>" + b"</td>\n" * 25_000,
    "line breaks as characters": HTML + b"&#10;" * 30_000,
    "thirty long texts": MIXED + (b"--X\r\n\r\n" + b">\n" * 500_000 + b"\r\n") * 30 + b"--X--\r\n",
    "base64 of nothing": HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=" * 3_000_000,
}


@pytest.mark.parametrize(("raw", "reason"), BOMBS.values(), ids=BOMBS.keys())
def test_bomb_is_refused_with_its_reason_in_time(raw: bytes, reason: str) -> None:
    started = time.process_time()
    message = read_message(raw)
    assert time.process_time() - started < LONGEST_SECONDS
    assert (message.accepted, message.reason) == (False, reason)


@pytest.mark.parametrize("raw", SLOW_TEXTS.values(), ids=SLOW_TEXTS.keys())
def test_hostile_text_is_read_in_time(raw: bytes) -> None:
    read_message(HEAD + b"\r\nwarm up the lazy imports")
    started = time.process_time()
    assert not read_message(raw).accepted
    assert time.process_time() - started < LONGEST_SECONDS


def test_texts_are_read_as_far_as_they_are_not_too_long_together() -> None:
    """Each was bounded and their number was not: one mail took a gigabyte, and the function with it."""
    texts = [b"a" * 600_000, b"b" * 600_000, b"c" * 300_000]
    raw = MIXED + b"".join(b"--X\r\n\r\n" + text + b"\r\n" for text in texts) + b"--X--\r\n"
    found = read_message(raw)
    assert (found.body_text.count("a"), found.body_text.count("b"), found.body_text.count("c")) == (600_000, 0, 300_000)
    assert found.problems == ("The mail's text is longer than 1 MiB; not all of it was read.",)


def test_flipped_bytes_never_raise_and_never_let_in() -> None:
    """A mail that proves evil.org must not become one of good.org by any broken byte."""
    raw = (
        b"Authentication-Results: mx.google.com; spf=pass (x) smtp.mailfrom=a@evil.org;\r\n"
        b" dmarc=pass (p=NONE) header.from=evil.org\r\nReferences: <a@b> <c@d>\r\n"
        b'From: "Eve" <eve@evil.org>\r\nSubject: =?utf-8?q?h=C3=A9?=\r\nMIME-Version: 1.0\r\n'
        b'Content-Type: multipart/mixed; boundary="XX"\r\n\r\n--XX\r\nContent-Type: text/html; charset=utf-8\r\n\r\n'
        b"<p>Hi <b>there</b> &amp; you</p>\r\n--XX\r\nContent-Type: application/yaml; name*=utf-8''a%20b.yaml\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nbWV0YToKICBwcm9qZWN0OiB4Cg==\r\n--XX--\r\n"
    )
    luck = random.Random(7)
    for _ in range(400):
        broken = bytearray(raw)
        for _ in range(luck.choice((1, 1, 2, 8))):
            broken[luck.randrange(len(broken))] = luck.randrange(256)
        message = read_message(bytes(broken))
        assert not (message.accepted and message.sender.endswith("@good.org"))


def test_every_prefix_of_a_mail_is_read() -> None:
    raw = nested(3) + b"--B2--\r\n--B1\r\nContent-Type: text/plain; charset*0=utf; charset*1=-8\r\n\r\nhello\r\n--B1--"
    for end in range(0, len(raw), 3):
        assert not read_message(raw[:end]).accepted


def test_too_large_mail_of_a_proven_sender_keeps_him_so_that_he_can_be_told() -> None:
    proven = b"Authentication-Results: mx.google.com; dmarc=pass header.from=a.example\r\nFrom: x@a.example\r\n\r\n"
    message = read_message(proven + b"x" * 37_000_000)
    assert (message.accepted, message.sender, message.specs) == (True, "x@a.example", ())
    assert "37,000,0" in message.problems[0]
    forged = read_message(proven.replace(b"dmarc=pass", b"dmarc=fail") + b"x" * 37_000_000)
    assert (forged.accepted, forged.reason) == (False, "dmarc-fail")
