"""The header section of a mail or of a part, exactly as written: order, duplicates and irregularities are kept.

RFC 5322 §2.2. The standard library's parser is not used here: it takes quadratic time for some headers, and it hides
the irregularities by which two readers of one mail can see two different senders.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from functions._shared.mail.limits import MAX_HEADER_BYTES, MAX_HEADER_LENGTH, MAX_HEADERS

_END = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(r"(?P<name>[!-9;-~]+)(?P<space>[ \t]*):(?P<value>.*)", re.DOTALL)
_UNFOLDED = re.compile(r"\r?\n(?=[ \t])")


class TooLarge(Exception):
    """The mail exceeds a bound; the message names it. Never leaves this package."""


@dataclass(frozen=True)
class Headers:
    """Fields in the order written, names in lower case, values unfolded. `irregular` says what is ambiguous, if so."""

    fields: tuple[tuple[str, str], ...] = ()
    irregular: str = ""

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(value for field, value in self.fields if field == name)

    def first(self, name: str) -> str:
        """The topmost one, empty if there is none."""
        return next((value for field, value in self.fields if field == name), "")

    def has(self, name: str) -> bool:
        return any(field == name for field, _ in self.fields)


def split_headers(raw: bytes, start: int, end: int) -> tuple[Headers, int]:
    """The headers of `raw[start:end]`, and where its body begins. Raises `TooLarge`."""
    window = raw[start : min(end, start + MAX_HEADER_BYTES + 4)]
    if window[:1] == b"\n" or window[:2] == b"\r\n":
        return Headers(), start + (1 if window[:1] == b"\n" else 2)
    blank = _END.search(window)
    if blank:
        return parse_headers(window[: blank.start()]), start + blank.end()
    if end - start > MAX_HEADER_BYTES:
        raise TooLarge(f"The mail's headers are longer than {MAX_HEADER_BYTES // 1024} KiB.")
    return parse_headers(window.rstrip(b"\r\n")), end


def parse_headers(block: bytes) -> Headers:
    """The fields of a header section that has no blank line. Raises `TooLarge`."""
    irregular = ""
    if b"\0" in block or re.search(rb"\r(?!\n)", block):
        irregular = "a header holds a control character"
        block = block.replace(b"\0", b" ").replace(b"\r\n", b"\n").replace(b"\r", b" ")
    fields = []
    lines = re.split(r"\r?\n(?![ \t])", _decode(block))
    if len(lines) > MAX_HEADERS:
        raise TooLarge(f"The mail has more than {MAX_HEADERS} headers.")
    for position, line in enumerate(lines):
        match = _FIELD.fullmatch(line)
        if match and not line[:1].isspace():
            irregular = irregular or ("a header has a space before its ':'" if match["space"] else "")
            value = _UNFOLDED.sub("", match["value"]).strip()
            if len(value) > MAX_HEADER_LENGTH:
                irregular = irregular or "a header is too long"
                value = value[:MAX_HEADER_LENGTH]
            fields.append((match["name"].lower(), value))
        elif not (position == 0 and line.startswith(("From ", ">From "))):  # mbox puts such a line on top
            irregular = irregular or "a line among the headers is no header"
    return Headers(tuple(fields), irregular)


def _decode(block: bytes) -> str:
    """UTF-8 as RFC 6532 allows it; older mail with raw bytes is shown as Latin-1."""
    try:
        return block.decode("utf-8")
    except UnicodeDecodeError:
        return block.decode("latin-1")
