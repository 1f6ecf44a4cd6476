"""Who gets in: the table of forged senders, and the honest mails that must pass beside them."""

# ruff: noqa: E501 - a row of a table stays on its line

from __future__ import annotations

import pytest

from functions._shared.mail import read_message

PASS = (
    "Authentication-Results: mx.google.com; dkim=pass header.i=@good.org;"
    " dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=good.org"
)
PASS_EVIL = PASS.replace("good.org", "evil.org")
ANN = "From: Ann <ann@good.org>"


def mail(*headers: str, body: str = "please build") -> bytes:
    return "\r\n".join([*headers, "Subject: x", "Message-ID: <1@good.org>", "", body]).encode()


def results(text: str) -> str:
    return f"Authentication-Results: {text}"


HONEST = {
    "gmail's own stamp": (PASS, ANN),
    "bare address": (PASS, "From: ann@good.org"),
    "comma in a quoted name": (PASS, 'From: "Doe, Ann" <ann@good.org>'),
    "encoded name": (PASS, "From: =?utf-8?q?J=C3=B6rg?= <ann@good.org>"),
    "comment after the address": (PASS, "From: ann@good.org (Ann)"),
    "name that is the address": (PASS, 'From: "ann@good.org" <ann@good.org>'),
    "other case": (PASS.replace("pass", "PASS"), "From: Ann <Ann@GOOD.org>"),
    "server's name in other case": (PASS.replace("mx.google.com", "MX.Google.com"), ANN),
    "version 1": (results("mx.google.com 1; dmarc=pass header.from=good.org"), ANN),
    "folded lines": (results("mx.google.com;\r\n\tdmarc=pass\r\n\theader.from=good.org"), ANN),
    "space around signs": (results("mx.google.com; dmarc = pass (x) header . from = good.org"), ANN),
    "semicolon in a comment": (
        results("mx.google.com; spf=pass (a; b=c) smtp.mailfrom=x@y; dmarc=pass header.from=good.org"),
        ANN,
    ),
    "trailing semicolon": (results("mx.google.com; dmarc=pass header.from=good.org;"), ANN),
    "base64 in a value": (results("mx.google.com; dkim=pass header.b=ab/+c=; dmarc=pass header.from=good.org"), ANN),
    "quoted value": (results('mx.google.com; dmarc=pass header.from="good.org"'), ANN),
    "another server's failure above": (results("mx.other.net; dmarc=fail header.from=good.org"), PASS, ANN),
    "sender header of somebody else": (PASS, "Sender: robot@evil.org", ANN),
    "arc says no": ("ARC-Authentication-Results: i=1; mx.google.com; dmarc=fail header.from=good.org", PASS, ANN),
    "international domain": (PASS.replace("good.org", "xn--bcher-kva.example"), "From: ann@bücher.example"),
}


@pytest.mark.parametrize("headers", HONEST.values(), ids=HONEST.keys())
def test_honest_sender_is_accepted(headers: tuple[str, ...]) -> None:
    message = read_message(mail(*headers))
    assert (message.accepted, message.reason) == (True, "ok")
    assert message.sender.startswith("ann@")
    assert message.sender == message.sender.lower()


FORGED = {
    "no results at all": ((ANN,), "no-authentication-results"),
    "only arc's results": ((PASS.replace("Authentication", "ARC-Authentication"), ANN), "no-authentication-results"),
    "results of another server": ((PASS.replace("mx.google.com", "mx.evil.org"), ANN), "no-authentication-results"),
    "server's name as a prefix": (
        (PASS.replace("mx.google.com", "mx.google.com.evil.org"), ANN),
        "no-authentication-results",
    ),
    "server's name in a comment": (
        (results("(mx.google.com) evil.org; dmarc=pass header.from=good.org"), ANN),
        "no-authentication-results",
    ),
    "server's name after text": (
        (results("evil.org mx.google.com; dmarc=pass header.from=good.org"), ANN),
        "no-authentication-results",
    ),
    "forged below a real failure": (
        (results("mx.google.com; dmarc=fail header.from=good.org"), PASS, ANN),
        "dmarc-fail",
    ),
    "forged below a real silence": ((results("mx.google.com; spf=pass smtp.mailfrom=good.org"), PASS, ANN), "no-dmarc"),
    "forged below another domain's pass": ((PASS_EVIL, PASS, ANN), "not-aligned"),
    "forged below a broken one": (
        (results("mx.google.com; dmarc=fail (never closed"), PASS, ANN),
        "malformed-authentication-results",
    ),
    "dmarc none": ((PASS.replace("dmarc=pass", "dmarc=none"), ANN), "dmarc-fail"),
    "dmarc bestguesspass": ((PASS.replace("dmarc=pass", "dmarc=bestguesspass"), ANN), "dmarc-fail"),
    "dkim of another domain": (
        (
            results(
                "mx.google.com; dkim=pass header.i=@evil.org; spf=pass smtp.mailfrom=evil.org; dmarc=fail header.from=good.org"
            ),
            ANN,
        ),
        "dmarc-fail",
    ),
    "pass in a comment": (
        (results("mx.google.com; spf=pass (dmarc=pass header.from=good.org) smtp.mailfrom=x"), ANN),
        "no-dmarc",
    ),
    "pass in a nested comment": (
        (results(r"mx.google.com; spf=pass (a (b\)) ; dmarc=pass header.from=good.org) smtp.mailfrom=x"), ANN),
        "no-dmarc",
    ),
    "pass in a comment with semicolons": (
        (results("mx.google.com; dmarc=fail (x; dmarc=pass header.from=good.org) header.from=good.org"), ANN),
        "dmarc-fail",
    ),
    "pass in a quoted local part": (
        (results('mx.google.com; spf=pass smtp.mailfrom="a; dmarc=pass header.from=good.org;"@evil.org'), ANN),
        "no-dmarc",
    ),
    "pass in an escaped quote": (
        (results(r'mx.google.com; spf=pass smtp.mailfrom="\"; dmarc=pass header.from=good.org; x=\""@evil.org'), ANN),
        "no-dmarc",
    ),
    "pass in reason": (
        (results('mx.google.com; dmarc=fail reason="dmarc=pass" header.from=good.org'), ANN),
        "dmarc-fail",
    ),
    "pass and fail": (
        (results("mx.google.com; dmarc=pass header.from=good.org; dmarc=fail header.from=good.org"), ANN),
        "dmarc-fail",
    ),
    "two passes, one of another domain": (
        (results("mx.google.com; dmarc=pass header.from=good.org; dmarc=pass header.from=evil.org"), ANN),
        "not-aligned",
    ),
    "two domains in one result": (
        (results("mx.google.com; dmarc=pass header.from=good.org header.from=evil.org"), ANN),
        "not-aligned",
    ),
    "no domain": ((results("mx.google.com; dmarc=pass"), ANN), "not-aligned"),
    "domain of the envelope": ((results("mx.google.com; dmarc=pass smtp.from=good.org"), ANN), "not-aligned"),
    "subdomain": ((PASS, "From: ann@sub.good.org"), "not-aligned"),
    "parent domain": ((PASS.replace("good.org", "sub.good.org"), ANN), "not-aligned"),
    "look-alike domain": ((PASS_EVIL, "From: ann@еvil.org"), "not-aligned"),
    "spoofed from": ((PASS_EVIL, ANN), "not-aligned"),
    "unknown version": (
        (results("mx.google.com 2; dmarc=pass header.from=good.org"), ANN),
        "malformed-authentication-results",
    ),
    "no result": ((results("mx.google.com; none"), ANN), "no-dmarc"),
    "several froms, good first": ((PASS, ANN, "From: eve@evil.org"), "several-from"),
    "several froms, good last": ((PASS_EVIL, "From: eve@evil.org", ANN), "several-from"),
    "from twice the same": ((PASS, ANN, ANN), "several-from"),
    "from in other case": ((PASS, ANN, "FROM: eve@evil.org"), "several-from"),
    "two addresses": ((PASS, "From: ann@good.org, eve@evil.org"), "several-from"),
    "two angles": ((PASS, "From: Ann <eve@evil.org> <ann@good.org>"), "several-from"),
    "group": ((PASS, "From: Team: ann@good.org;"), "several-from"),
    "empty group": ((PASS, "From: Undisclosed:;"), "several-from"),
    "source route": ((PASS, "From: <@evil.org:ann@good.org>"), "malformed-from"),
    "two at signs": ((PASS, "From: <ann@good.org@evil.org>"), "malformed-from"),
    "address as bare name": ((PASS_EVIL, "From: ann@good.org <eve@evil.org>"), "malformed-from"),
    "address as quoted name": ((PASS_EVIL, 'From: "ann@good.org" <eve@evil.org>'), "misleading-display-name"),
    "address in an encoded name": (
        (PASS_EVIL, "From: =?utf-8?b?YW5uQGdvb2Qub3Jn?= <eve@evil.org>"),
        "misleading-display-name",
    ),
    "address in full-width signs": ((PASS_EVIL, 'From: "ann＠good．org" <eve@evil.org>'), "misleading-display-name"),
    "encoded word in the address": ((PASS, "From: <=?utf-8?q?ann?=@good.org>"), "malformed-from"),
    "encoded word as the address": ((PASS, "From: =?utf-8?q?ann=40good.org?="), "malformed-from"),
    "quoted local part": ((PASS, 'From: "ann@good.org> x"@evil.org'), "malformed-from"),
    "text after the angle": ((PASS, "From: <ann@good.org> eve"), "malformed-from"),
    "quote never closed": ((PASS, 'From: "Ann <ann@good.org>'), "malformed-from"),
    "comment never closed": ((PASS, "From: (Ann <ann@good.org>"), "malformed-from"),
    "zero byte": ((PASS, "From: ann@good.org\0.evil.org"), "malformed-headers"),
    "bare carriage return": ((PASS, "X: y\rFrom: eve@evil.org", ANN), "malformed-headers"),
    "space before the colon": ((PASS, "From : eve@evil.org", ANN), "malformed-headers"),
    "line that is no header": ((PASS, ANN, "this is no header", "From: eve@evil.org"), "malformed-headers"),
    "empty from": ((PASS, "From:"), "malformed-from"),
    "no from": ((PASS,), "no-from"),
    "sender instead of from": ((PASS, "Sender: ann@good.org"), "no-from"),
    "domain without a dot": ((PASS.replace("good.org", "good"), "From: ann@good"), "malformed-from"),
    "address literal": ((PASS, "From: ann@[192.0.2.1]"), "malformed-from"),
}


@pytest.mark.parametrize(("headers", "reason"), FORGED.values(), ids=FORGED.keys())
def test_forged_sender_is_refused(headers: tuple[str, ...], reason: str) -> None:
    message = read_message(mail(*headers))
    assert (message.accepted, message.reason) == (False, reason)


def test_results_in_the_body_do_not_count() -> None:
    assert read_message(mail(ANN, body=f"{PASS}\r\n\r\nhello")).reason == "no-authentication-results"


def test_results_inside_an_attached_mail_do_not_count() -> None:
    raw = f"{ANN}\r\nContent-Type: message/rfc822\r\n\r\n{PASS}\r\n{ANN}\r\n\r\nhello".encode()
    assert not read_message(raw).accepted


def test_another_trusted_server_replaces_the_usual_one() -> None:
    raw = mail(PASS.replace("mx.google.com", "mx.ours.net"), ANN)
    assert read_message(raw, trusted_authserv_id="mx.ours.net").accepted
    assert not read_message(mail(PASS, ANN), trusted_authserv_id="mx.ours.net").accepted


def test_forged_mail_keeps_its_claimed_sender_for_the_record() -> None:
    assert read_message(mail(ANN)).sender == "ann@good.org"
