"""Bytes → text, or the one problem that says why these bytes are no text."""

from __future__ import annotations

import codecs

from controlplane.spec_limits import MAX_BYTES, MAX_LINES
from controlplane.specfile.tree import Place, Unreadable

# The longer marks first: UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_KNOWN_BINARIES = (
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a zip archive or an office document"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"\x1f\x8b", "a compressed file"),
    (b"{\\rtf", "a formatted document (RTF)"),
)


def decode_text(data: bytes) -> str:
    """The text of a document, without its byte order mark. Raises `Unreadable`."""
    if len(data) > MAX_BYTES:
        raise Unreadable(
            f"The document is longer than {MAX_BYTES:,} bytes (1 MiB), the most that is read. Split it into several."
        )
    for magic, what in _KNOWN_BINARIES:
        if data.startswith(magic):
            raise Unreadable(f"This is {what}, not text. Send the specification as YAML, JSON, Markdown or plain text.")
    text = _decode(data)
    if not text.strip():
        raise Unreadable("The document is empty.", Place(1, 1))
    if "\0" in text:
        raise Unreadable("This is not text: it holds zero bytes. Save it as plain text in UTF-8.")
    if text.count("\n") + text.count("\r") > 2 * MAX_LINES or len(text.splitlines()) > MAX_LINES:
        raise Unreadable(f"The document has more than {MAX_LINES:,} lines. Split it into several.")
    return text


def _decode(data: bytes) -> str:
    for mark, charset in _MARKS:
        if data.startswith(mark):
            return _strictly(data[len(mark) :], charset)
    # Western text in UTF-16 without a mark has a zero in every second byte.
    if len(data) >= 4 and len(data) % 2 == 0 and b"\0" in data[:4]:
        return _strictly(data, "utf-16-le" if data[1] == 0 else "utf-16-be")
    return _strictly(data, "utf-8")


def _strictly(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(charset, "replace")
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise Unreadable(
            f"The document is not {charset.upper()} text from here on. Save it with the encoding UTF-8.", place
        ) from error
