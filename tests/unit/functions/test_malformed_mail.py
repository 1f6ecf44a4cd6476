"""Broken mail of a proven, listed sender, up to the row that would be stored: never an exception, always a reason.

The reader alone is not enough: whoever is let in has his words checked, placed and written down.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from controlplane.specfile import check_spec
from functions._shared.gmail.port import RawMail
from functions._shared.intake.envelope import Envelope
from functions._shared.intake.letters import is_mere_thanks, may_be_answer, place_letters
from functions._shared.intake.reading import Reader
from functions._shared.intake.records import message_row, spec_row
from functions._shared.intake.take_in import judge
from functions._shared.mail import read_message

PROOF = b"Authentication-Results: mx.google.com; dmarc=pass header.from=good.org\r\nFrom: Ann <ann@good.org>\r\n"
SENDERS = ("ann@good.org",)
MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n"
PART = MIXED + b"\r\n--b\r\n"
CODED = b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
YAML = b"meta:\r\n  project: shop\r\n  repo: acme/shop\r\n"
MALFORMED = {
    "no body": b"Subject: x",
    "no blank line": b"Subject: x\r\nplease build a shop",
    "bare line feeds": b"Subject: x\n\nplease build a shop",
    "bare carriage returns": b"Subject: x\r\n\r\nplease\rbuild\ra shop",
    "zero bytes": b"\r\n\r\nplease \x00 build \x00 a shop",
    "bytes of no charset": b"Content-Type: text/plain; charset=utf-8\r\n\r\n\xff\xfe\x80 please build a shop",
    "a charset that is none": b"Content-Type: text/plain; charset=\"utf-8; x\"\r\n\r\nb\xc3\xa4cker",
    "UTF-16 that ends too soon": b"Content-Type: text/plain; charset=utf-16\r\n\r\n\xff\xfea",
    "UTF-7": b"Content-Type: text/plain; charset=utf-7\r\n\r\n+ADw-script+AD4- please",
    "base64 that is none": b"Content-Transfer-Encoding: base64\r\n\r\n!!!! please =====",
    "quoted-printable that is none": b"Content-Transfer-Encoding: quoted-printable\r\n\r\nplease =ZZ build =",
    "an encoding that is none": b"Content-Transfer-Encoding: 9bit\r\n\r\nplease build a shop",
    "a type that is none": b"Content-Type: ;;;\r\n\r\nplease build a shop",
    "two types": b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n<p>please build</p>",
    "multipart without boundary": b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nplease build a shop",
    "boundary that never comes": MIXED + b"\r\nplease build a shop",
    "part without an end": PART + b"Content-Type: text/plain\r\n\r\nplease build",
    "part without a blank line": PART + b"please build a shop\r\n--b--",
    "boundary of a part is the outer one": PART + b"" + PART + b"\r\nhi\r\n--b--\r\n--b--",
    "alternative of nothing": b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b--\r\n",
    "name with broken RFC 2231": PART + b"Content-Type: text/x; name*0*=utf-8''%FF%; name*2=.yaml\r\n\r\n" + YAML,
    "name of another charset": PART + b"Content-Type: text/x; name==?x-none?b?/w==?=\r\n\r\n" + YAML + b"--b--",
    "name of half a character": PART + b"Content-Type: text/x; name*=utf-8''%ED%A0%80.yaml\r\n\r\n" + YAML,
    "subject of half a character": b"Subject: =?utf-8?b?7aCA?= =?utf-16?q?=D8?=\r\n\r\nplease build a shop",
    "subject of control characters": b"Subject: =?utf-8?q?=00=0A=1B[31m?=\r\n\r\nplease build a shop",
    "id that never ends": b"Message-ID: <" + b"a" * 5_000 + b"\r\n\r\nplease build a shop",
    "references without end": b"References: " + b"<a@b> " * 2_000 + b"\r\n\r\nplease build a shop",
    "mail in a mail without headers": b"Content-Type: message/rfc822\r\n\r\nplease build a shop",
    "mail as a file that is none": PART
    + b"Content-Type: application/x; name=a.eml" + CODED + b"/////w==\r\n--b--",
    "mail as a file that is cut off": PART
    + b"Content-Type: message/rfc822; name=a.eml" + CODED + b"RnJvbTog\r\n--b--",
    "archive that is cut off": PART + b"Content-Type: application/zip; name=a.zip\r\n\r\nPK\x03\x04\x14\r\n--b--",
    "broken HTML": b"Content-Type: text/html\r\n\r\n<p <b>please</i> build <a href='x>a shop<!--",
    "entities that are none": b"Content-Type: text/html\r\n\r\n<p>&#xD800;&#1114112;&bogus;&#0; please build</p>",
    "cells without a row": b"Content-Type: text/html\r\n\r\n</tr></td><td>a<td>b</tr><th>c</table>please",
    "YAML of half characters": b'\r\nmeta:\r\n  project: "\\ud800"\r\n  repo: acme/shop\r\n',
    "YAML of control characters": b"\r\n" + YAML + b"  title: a\x1b[31m\x0bb\r\n",
    "JSON that never ends": b'\r\n{"meta": {"project": ' + b"[" * 300,
    "Markdown front that never ends": b"\r\nHello,\r\n\r\n---\r\nproject: shop\r\nrepo: acme/shop\r\n## Sprint 1\r\n",
    "armour that never ends": b"\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\n",
    "forward of nothing": b"Subject: Fwd:\r\n\r\n> Begin forwarded message:\r\n>\r\n",
    "nothing but a signature": b"\r\n-- \r\nAnn\r\n",
    "nothing but a quotation": b"In-Reply-To: <a@b>\r\n\r\n> hello\r\n",
    "flowed into nothing": b"Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\n \r\n> \r\n-- \r\n",
}  # fmt: skip


class Desk:
    """The database's answer for somebody with one repository."""

    def find_repository(self, *_: str) -> dict[str, Any]:
        return {"repo": "acme/shop", "planner": None, "repositories": ["acme/shop"], "total": 1}


@pytest.mark.parametrize("rest", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_mail_of_a_known_sender_is_decided_and_can_be_written_down(rest: bytes) -> None:
    mail = RawMail(gmail_id="g1", thread_id="g1", labels=frozenset(), raw=PROOF + rest)
    envelope = Envelope("9f5d0d1e-0000-4000-8000-000000000001", mail, None)
    message, decision = judge(envelope, SENDERS, Reader(read_message, check_spec))
    assert decision.state.value in ("ACCEPTED", "INVALID", "REFUSED")
    assert decision.reason
    may_be_answer(envelope, message, decision)
    is_mere_thanks(envelope, message, decision)
    placed = place_letters(envelope, message, decision, Desk(), plans_letters=True)  # type: ignore[arg-type]
    rows = [message_row(envelope, message, placed), *(spec_row("s", "s/source", checked) for checked in placed.specs)]
    written = json.dumps(rows, ensure_ascii=False)
    assert len(written.encode("utf-8")) < 262_144
    assert "\\x00" not in repr(rows)


def test_most_of_it_is_understood_nevertheless() -> None:
    """Who writes with a broken program still gets his letter built, or an answer; refused is what nobody can read."""
    reader = Reader(read_message, check_spec)
    envelopes = [
        Envelope("m-1", RawMail(gmail_id="g1", thread_id="g1", labels=frozenset(), raw=PROOF + rest), None)
        for rest in MALFORMED.values()
    ]
    states = [judge(envelope, SENDERS, reader)[1].state.value for envelope in envelopes]
    assert states.count("REFUSED") <= 4
    assert states.count("ACCEPTED") >= 20
