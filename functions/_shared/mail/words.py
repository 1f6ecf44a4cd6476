"""Turning what headers and parts say into text: encoded words, charsets, parameters. Nothing here raises."""

from __future__ import annotations

import codecs
import re
from email.header import decode_header
from email.message import Message as StandardMessage
from email.utils import collapse_rfc2231_value

_LONGEST_DECODED = 2_000
_LONGEST_PARAMETERS = 4_000
# Text charsets in Python's eyes, and yet slow, dangerous or not of mail.
_REFUSED_CHARSETS = frozenset(
    {"punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined", "utf-7", "mbcs", "oem"}
)
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def decode_words(value: str) -> str:
    """A header's text with RFC 2047 encoded words decoded, on one line, without control characters."""
    text = value[:_LONGEST_DECODED]
    try:
        pieces = decode_header(text) if "=?" in text else [(text, None)]
        text = "".join(
            decode_charset(piece, charset or "latin-1")[0] if isinstance(piece, bytes) else piece
            for piece, charset in pieces
        )
    except Exception:  # noqa: BLE001 - decode_header raises whatever its codecs raise; the raw text is still shown
        text = value[:_LONGEST_DECODED]
    return clean_line(text)


def clean_line(text: str) -> str:
    """One line that can stand in a header, a log or a page: no control, no invisible character."""
    visible = strip_invisible(text)
    return " ".join("".join(c if c.isprintable() or c.isspace() else "�" for c in visible).split())


def strip_invisible(text: str) -> str:
    """Without characters that no reader sees: they are how a text says one thing to people, another to programs."""
    return _INVISIBLE.sub("", text)


def decode_charset(data: bytes, charset: str) -> tuple[str, bool]:
    """The text, and whether the declared charset was right; otherwise UTF-8, then Windows' Western one, are tried."""
    try:
        info = codecs.lookup(charset.strip().lower()[:40] or "us-ascii")
        if info._is_text_encoding and info.name.replace("-", "_") not in {
            c.replace("-", "_") for c in _REFUSED_CHARSETS
        }:
            return str(data.decode(info.name)), True
    except Exception:  # noqa: BLE001, S110 - codecs raise many kinds; every one means: not this charset
        pass
    for guess in ("utf-8", "cp1252"):
        try:
            return data.decode(guess), False
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1"), False


def parameters(name: str, value: str) -> StandardMessage:
    """A message with this one header, for the standard library's reading of its parameters (RFC 2045, RFC 2231)."""
    message = StandardMessage()
    message[name] = value[:_LONGEST_PARAMETERS].replace("\r", " ").replace("\n", " ")
    return message


def parameter(message: StandardMessage, header: str, name: str) -> str:
    """One parameter as text, empty if absent or unreadable."""
    try:
        found = message.get_param(name, header=header)
        return collapse_rfc2231_value(found).strip() if found else ""
    except Exception:  # noqa: BLE001 - broken RFC 2231 raises many kinds; every one means: no such parameter
        return ""
