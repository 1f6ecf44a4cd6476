"""Proof by the mail's own DKIM signature, for mailboxes whose server says nothing of DMARC (docs/gmail.md).

Stricter than RFC 6376 asks, because here a signature stands for the sender: it must be of exactly the From domain, sign
what says who wrote, what about and under which id, and cover the whole body; and none of these headers may be there
twice, since a signature covers the lowest and a reader shows the topmost one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from controlplane.message import KEY_UNAVAILABLE
from functions._shared.mail.address import normal_domain
from functions._shared.mail.headers import Headers

# The text of a TXT record; None where there is none. Raises KeyUnavailable when nobody could be asked.
LookUp = Callable[[str], bytes | None]

DNS_SECONDS = 1.5
# The library's canonicalisation takes a second for 1.5 megabytes, and the square of the length for a run of spaces.
MOST_SIGNATURES = 2
MOST_BYTES = 1_600_000
LONG_RUN = re.compile(rb"[ \t]{500}")
MIN_KEY_BITS = 1024
ALGORITHMS = frozenset({"rsa-sha256", "ed25519-sha256"})  # rsa-sha1 proves nothing any more: RFC 8301
SIGNED = ("from", "subject", "message-id")
ONCE = ("from", "subject", "message-id", "date", "content-type", "content-transfer-encoding", "mime-version")
_TAG = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*=([^;]*)(?:;|$)")
_SELECTOR = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9_])?")
_TESTING = re.compile(rb"(?:^|;)\s*t\s*=[^;]*\by\b")


class KeyUnavailable(Exception):
    """The domain's key could not be asked for. Never leaves this package."""


@dataclass(frozen=True)
class SignatureProof:
    """`prove` says `ok`, or why the mail's signature proves nothing. `look_up` asks the DNS, if not told otherwise."""

    look_up: LookUp = field(default_factory=lambda: look_up_txt)
    now: Callable[[], float] = time.time

    def prove(self, raw: bytes, headers: Headers, domain: str) -> str:
        """Whether this very mail was signed by the domain, which is the one of its only From address."""
        if not headers.has("dkim-signature"):
            return "dkim-no-signature"
        if any(len(headers.all(name)) > 1 for name in ONCE):
            return "dkim-ambiguous"
        if len(raw) > MOST_BYTES or LONG_RUN.search(raw):
            return "dkim-too-large"
        reason = "dkim-not-aligned"
        tried = 0
        for index, written in enumerate(headers.all("dkim-signature")):
            tags = read_tags(written)
            if normal_domain(tags.get("d", "")) != domain:
                continue
            tried += 1
            if tried > MOST_SIGNATURES:
                break
            found = self._find_weakness(tags, headers) or self._verify(raw, index)
            if found == "ok":
                return found
            # A second signature that fails does not say that the first one would have.
            reason = reason if reason == KEY_UNAVAILABLE else found
        return reason

    def _find_weakness(self, tags: dict[str, str], headers: Headers) -> str:
        """Why the signature would not count even if it were right."""
        signed = {name.strip().lower() for name in tags.get("h", "").split(":")}
        named = tags.get("i", f"@{tags['d']}").rpartition("@")[2]
        expires = tags.get("x", "")
        if tags.get("a", "").lower() not in ALGORITHMS or not _SELECTOR.fullmatch(tags.get("s", "")):
            return "dkim-weak"
        if "l" in tags or normal_domain(named) != normal_domain(tags["d"]):
            return "dkim-weak"
        if any(headers.has(name) and name not in signed for name in SIGNED):
            return "dkim-weak"
        if expires and not (expires.isdecimal() and len(expires) < 16 and int(expires) > self.now()):
            return "dkim-expired"
        return ""

    def _verify(self, raw: bytes, index: int) -> str:
        import dkim

        def ask(name: bytes | str, timeout: float = DNS_SECONDS) -> bytes | None:  # noqa: ARG001 - dkimpy's own seam
            record = self.look_up((name.decode("ascii") if isinstance(name, bytes) else name).rstrip("."))
            # A domain that tests its keys wants its mail to be treated as unsigned: RFC 6376 section 3.6.1.
            return None if record is not None and _TESTING.search(record) else record

        try:
            verified = dkim.DKIM(raw, minkey=MIN_KEY_BITS).verify(idx=index, dnsfunc=ask)
        except KeyUnavailable:
            return KEY_UNAVAILABLE
        except Exception:  # noqa: BLE001 - the library raises many kinds for hostile input; each means: not proven
            return "dkim-fail"
        return "ok" if verified is True else "dkim-fail"


def read_tags(written: str) -> dict[str, str]:
    """The tags of a signature, white space removed; none for a tag that is written twice (RFC 6376 section 3.2)."""
    found: dict[str, str] = {}
    for match in _TAG.finditer(written[:16_384]):
        name, value = match[1], "".join(match[2].split())
        if name in found:
            return {}
        found[name] = value
    return found


def look_up_txt(name: str) -> bytes | None:
    """One TXT record, its strings joined; several are none (RFC 6376 section 3.6.2.2). Raises KeyUnavailable."""
    import dns.exception
    import dns.name
    import dns.resolver

    try:
        asked = dns.name.from_text(name)
    except dns.exception.DNSException:  # whoever wrote the signature chose a name that nobody can ask for
        return None
    try:
        answer: Any = dns.resolver.resolve(asked, "TXT", lifetime=DNS_SECONDS, search=False, raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        return None
    except dns.exception.DNSException as error:
        raise KeyUnavailable from error
    records = [b"".join(record.strings) for record in answer.rrset or ()]
    return records[0] if len(records) == 1 else None
