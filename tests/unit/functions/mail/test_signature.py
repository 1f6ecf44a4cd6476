"""DKIM verified by ourselves where the server says nothing of DMARC: real signatures, and what can be done to them."""

from __future__ import annotations

import base64
import random
import time
from functools import cache
from typing import Any

import dkim
import nacl.signing
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from functions._shared.mail import read_message
from functions._shared.mail.signature import KeyUnavailable, SignatureProof, look_up_txt

HEADERS = [b"from", b"to", b"subject", b"message-id", b"date", b"mime-version", b"content-type"]
MAIL = b"""\
From: Ada <ada@example.org>\r
To: specs@inbox.example\r
Subject: Prices\r
Message-ID: <1@example.org>\r
Date: Sat, 21 Nov 2026 10:00:00 +0000\r
MIME-Version: 1.0\r
Content-Type: text/plain; charset=utf-8\r
\r
Please sum the prices.\r
"""


@cache
def key(bits: int = 1024) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def private(bits: int = 1024) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key(bits).private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def record(bits: int = 1024, extra: bytes = b"") -> bytes:
    der = (
        key(bits).public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return b"v=DKIM1; k=rsa; " + extra + b"p=" + base64.b64encode(der)


def sign(mail: bytes = MAIL, domain: str = "example.org", bits: int = 1024, **options: Any) -> bytes:
    given = {"include_headers": HEADERS, "canonicalize": (b"relaxed", b"relaxed"), **options}
    signature: bytes = dkim.sign(mail, b"s1", domain.encode(), private(bits), **given)
    return signature + mail


def read(raw: bytes, records: dict[str, bytes | None] | None = None, **options: Any) -> Any:
    asked = {"s1._domainkey.example.org": record()} if records is None else records
    proof = SignatureProof(look_up=lambda name: asked.get(name), **options)
    return read_message(raw, prove_signature=proof.prove)


def test_own_signature_of_the_from_domain_is_proof() -> None:
    message = read(sign())
    assert (message.accepted, message.reason, message.sender) == (True, "ok", "ada@example.org")


def test_nothing_is_asked_unless_it_is_configured() -> None:
    message = read_message(sign())
    assert (message.accepted, message.reason) == (False, "no-authentication-results")


@pytest.mark.parametrize(
    "results",
    ["dmarc=fail header.from=example.org", "dmarc=none header.from=example.org", "dmarc=pass header.from=x.org"],
)
def test_server_that_speaks_of_dmarc_has_the_last_word(results: str) -> None:
    stamped = f"Authentication-Results: mx.google.com; {results}\r\n".encode() + sign()
    assert not read(stamped).accepted


def test_server_that_speaks_of_other_things_leaves_it_to_the_signature() -> None:
    stamped = b"Authentication-Results: mx.google.com; spf=pass smtp.mailfrom=example.org\r\n" + sign()
    assert read(stamped).accepted


SIGNED = sign()
FORGERIES: dict[str, tuple[bytes, str]] = {
    "unsigned": (MAIL, "dkim-no-signature"),
    "another text": (SIGNED.replace(b"sum the prices", b"drop all tables"), "dkim-fail"),
    "text added": (SIGNED + b"And pay Eve.\r\n", "dkim-fail"),
    "another subject": (SIGNED.replace(b"Subject: Prices", b"Subject: Wages"), "dkim-fail"),
    "a subject on top": (b"Subject: Wages\r\n" + SIGNED, "dkim-ambiguous"),
    "an id on top": (b"Message-ID: <2@example.org>\r\n" + SIGNED, "dkim-ambiguous"),
    "a type on top": (b"Content-Type: text/html\r\n" + SIGNED, "dkim-ambiguous"),
    "another address": (SIGNED.replace(b"ada@example.org", b"eve@example.org"), "dkim-fail"),
    "signed by another domain": (sign(domain="evil.example"), "dkim-not-aligned"),
    "signed by the parent": (sign(domain="org"), "dkim-not-aligned"),
    "signed by a subdomain": (sign(domain="mail.example.org"), "dkim-not-aligned"),
    "a part of the text signed": (sign(length=True), "dkim-weak"),
    "subject not signed": (sign(include_headers=[b"from", b"message-id"]), "dkim-weak"),
    "id not signed": (sign(include_headers=[b"from", b"subject"]), "dkim-weak"),
    "an old algorithm": (SIGNED.replace(b"a=rsa-sha256", b"a=rsa-sha1"), "dkim-weak"),
    "a tag twice": (SIGNED.replace(b" d=example.org;", b" d=example.org; d=example.org;"), "dkim-not-aligned"),
    "i of a subdomain": (sign(identity=b"@x.example.org"), "dkim-weak"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_signature_that_proves_nothing_is_refused_with_the_reason(name: str) -> None:
    raw, reason = FORGERIES[name]
    records = {
        f"s1._domainkey.{domain}": record() for domain in ("example.org", "evil.example", "org", "mail.example.org")
    }
    message = read(raw, records)
    assert (message.accepted, message.reason) == (False, reason)


@pytest.mark.parametrize(
    ("published", "reason"),
    [
        (None, "dkim-fail"),
        (b"", "dkim-fail"),
        (b"v=DKIM1; p=", "dkim-fail"),
        (b"v=DKIM1; p=AAAA", "dkim-fail"),
        (b"\xff\xfe", "dkim-fail"),
        (b"x" * 100_000, "dkim-fail"),
        (record(extra=b"t=y; "), "dkim-fail"),
        (record(extra=b"t=s:y; "), "dkim-fail"),
    ],
    ids=["none", "empty", "revoked", "no-key", "bytes", "long", "testing", "testing-and-strict"],
)
def test_record_that_holds_no_valid_key_proves_nothing(published: bytes | None, reason: str) -> None:
    message = read(sign(), {"s1._domainkey.example.org": published})
    assert (message.accepted, message.reason) == (False, reason)


def test_short_key_proves_nothing() -> None:
    message = read(sign(bits=512), {"s1._domainkey.example.org": record(512)}) if _can(512) else None
    assert message is None or not message.accepted


def _can(bits: int) -> bool:
    """Newer versions of the library make no such key at all."""
    try:
        key(bits)
    except ValueError:
        return False
    return True


def test_dns_that_does_not_answer_refuses_and_names_it() -> None:
    def look_up(_: str) -> bytes | None:
        raise KeyUnavailable

    message = read_message(sign(), prove_signature=SignatureProof(look_up=look_up).prove)
    assert (message.accepted, message.reason) == (False, "dkim-key-unavailable")


def test_second_signature_that_fails_does_not_hide_that_the_first_could_not_be_judged() -> None:
    second = SIGNED[: SIGNED.index(b"From: ")].replace(b"s=s1;", b"s=s2;")

    def look_up(name: str) -> bytes | None:
        if name.startswith("s1."):
            raise KeyUnavailable
        return None

    message = read_message(
        SIGNED[: SIGNED.index(b"From: ")] + second + MAIL, prove_signature=SignatureProof(look_up).prove
    )
    assert message.reason == "dkim-key-unavailable"


def test_signature_by_an_ed25519_key_is_proof() -> None:
    secret = nacl.signing.SigningKey.generate()
    coded = base64.b64encode(bytes(secret))
    signature: bytes = dkim.sign(
        MAIL, b"s1", b"example.org", coded, include_headers=HEADERS, signature_algorithm=b"ed25519-sha256"
    )
    published = b"v=DKIM1; k=ed25519; p=" + base64.b64encode(bytes(secret.verify_key))
    records: dict[str, bytes | None] = {"s1._domainkey.example.org": published}
    assert read(signature + MAIL, records).accepted
    assert not read(signature + MAIL.replace(b"sum the prices", b"drop all tables"), records).accepted
    assert not read(signature + MAIL, {"s1._domainkey.example.org": record()}).accepted


def test_signature_past_its_time_proves_nothing() -> None:
    expires = b" x=" + str(int(time.time()) + 60).encode() + b";"
    unsigned = sign().replace(b" d=example.org;", b" d=example.org;" + expires)
    assert read(unsigned).reason == "dkim-fail", "an x= that was added breaks the signature"
    later = SignatureProof(look_up=lambda _: record(), now=lambda: time.time() + 120)
    assert read_message(unsigned, prove_signature=later.prove).reason == "dkim-expired"


def test_second_signature_counts_where_the_first_is_broken() -> None:
    broken = SIGNED[: SIGNED.index(b"From: ")].replace(b"bh=", b"bh=AAAA")
    assert read(broken + SIGNED).accepted


def test_flood_of_signatures_is_not_tried_to_the_end() -> None:
    asked: list[str] = []

    def look_up(name: str) -> bytes | None:
        asked.append(name)
        return None

    flood = SIGNED[: SIGNED.index(b"From: ")] * 40 + MAIL
    message = read_message(flood, prove_signature=SignatureProof(look_up=look_up).prove)
    assert not message.accepted
    assert len(asked) <= 2


def test_flipped_bytes_of_a_signed_mail_never_raise_and_never_let_another_text_in() -> None:
    chance = random.Random(7)
    honest = read(SIGNED).body_text
    accepted = 0
    for _ in range(400):
        raw = bytearray(SIGNED)
        raw[chance.randrange(len(raw))] = chance.randrange(256)
        message = read(bytes(raw))
        accepted += message.accepted
        assert not message.accepted or message.body_text.split() == honest.split()
    assert accepted < 40


@pytest.mark.parametrize(
    "body",
    [b"x\r\n" * 500_000, (b" " * 70 + b"a\r\n") * 21_000, b" \t" * 500_000, b"a" * 1_500_000, b"a" * 12_000_000],
    ids=["lines", "spaces", "run", "one-line", "large"],
)
def test_mail_made_to_be_slow_is_judged_in_time(body: bytes) -> None:
    signature = SIGNED[: SIGNED.index(b"From: ")]
    began = time.process_time()
    assert not read(signature * 30 + MAIL + body).accepted
    assert time.process_time() - began < 2


@pytest.mark.parametrize("name", ["a..b._domainkey.example.org", f"{'s' * 64}.example.org", f"{'s.' * 120}example.org"])
def test_name_that_nobody_can_ask_for_has_no_key_instead_of_one_that_is_away(name: str) -> None:
    """A forger chooses the selector, and a mail whose key is away holds its mailbox's cursor for a day."""
    assert look_up_txt(name) is None
