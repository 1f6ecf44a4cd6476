"""Reads the few header fields that a mail server looks at, from bytes that may be anything.

Only the first part of a header block is looked at, so hostile mail costs no more than honest mail.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import policy
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from email.utils import getaddresses

LOOKED_AT = 262_144
_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_REPLY_PREFIX = re.compile(r"^\s*(?:(?:re|fwd?|aw|wg|sv|antw)(?:\[\d+\])?\s*:\s*)+", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,990}>")


@dataclass(frozen=True)
class Headers:
    """Header fields as written, in order; names are compared without case."""

    fields: tuple[tuple[str, str], ...]

    def first(self, name: str) -> str:
        return next((value for key, value in self.fields if key.lower() == name.lower()), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def addresses(self, *names: str) -> list[str]:
        """The addresses of these fields, in lower case; unreadable ones are left out."""
        values = [value for name in names for value in self.all(name)]
        return [address.lower() for value in values for address in _plain_address(value)]

    def message_ids(self, name: str) -> list[str]:
        return [found for value in self.all(name) for found in _MESSAGE_ID.findall(value)]


def read_headers(raw: bytes) -> Headers:
    """The header block's fields, unfolded; never raises."""
    end = re.search(rb"\r?\n\r?\n", raw[:LOOKED_AT])
    block = raw[: end.start() + 2] if end else raw[:LOOKED_AT]
    try:
        parsed = BytesHeaderParser(policy=policy.compat32).parsebytes(block)
        pairs = [(name, _unfold(str(value))) for name, value in parsed.items()]
    except Exception:  # noqa: BLE001 - the stdlib parser has raised half a dozen kinds of error on hostile bytes
        return Headers(())
    return Headers(tuple(pairs))


def _unfold(value: str) -> str:
    return re.sub(r"\r?\n(?=[ \t])", "", value).strip()


def _plain_address(value: str) -> list[str]:
    try:
        found = getaddresses([value])
    except Exception:  # noqa: BLE001 - see read_headers
        return []
    return [address for _, address in found if split_address(address) is not None]


def split_address(address: str) -> tuple[str, str] | None:
    """Local part and domain in plain ASCII, or None when that is not what it is."""
    local, at, domain = address.rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode("ascii") if not domain.isascii() else domain
    except UnicodeError:
        return None
    if not at or not _DOMAIN.fullmatch(ascii_domain) or not _LOCAL.fullmatch(local):
        return None
    return local, ascii_domain.lower()


def decode_text(value: str) -> str:
    """An encoded-word header (RFC 2047) as text; what cannot be decoded stays as it is."""
    try:
        return str(make_header(decode_header(value)))
    except Exception:  # noqa: BLE001 - see read_headers
        return value


def bare_subject(headers: Headers) -> str:
    """The subject by which conversations are kept together: no reply prefixes, no case, single spaces."""
    text = _REPLY_PREFIX.sub("", decode_text(headers.first("Subject")))
    return " ".join(text.split()).casefold()
