"""The MIME tree of a mail as a flat list of leaves, cut by offsets: no part is copied before somebody wants it.

RFC 2046 §5.1. The standard library's parser needs ten times a mail's size and recurses over nested parts, so a single
36 MB attachment would already break the memory bound.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from functions._shared.mail.headers import Headers, TooLarge, split_headers
from functions._shared.mail.limits import MAX_DEPTH, MAX_PARTS, MAX_TOTAL_BYTES
from functions._shared.mail.words import clean_line, decode_words, parameter, parameters

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))
_MOST_LOOKALIKES = 1000  # nested parts have borders that begin alike, but not thousands of them
_UUENCODED = frozenset({"x-uuencode", "uuencode", "uue", "x-uue"})
_BEGINS_AS_MAIL = re.compile(rb"\s{0,10}(?:From |[A-Za-z][A-Za-z0-9-]{1,60}:)")


@dataclass(frozen=True)
class Part:
    """One leaf. `name` is the sender's and only shown; `is_forwarded` means it lies in an attached mail."""

    raw: bytes
    start: int
    end: int
    content_type: str
    charset: str
    name: str
    is_attachment: bool
    is_forwarded: bool
    encoding: str
    is_flowed: bool
    deletes_space: bool
    is_shown: bool = False  # inside the text, as a picture in it or in a signature is

    @property
    def encoded_size(self) -> int:
        return self.end - self.start

    def decode(self, limit: int) -> bytes | None:
        """The content without its transfer encoding, None if it is longer than `limit`."""
        if self.encoded_size > limit * 3 + 1024:
            return None
        data = self.raw[self.start : self.end]
        try:
            if self.encoding == "base64":
                data = _from_base64(data)
            elif self.encoding == "quoted-printable":
                data = binascii.a2b_qp(data)
        except (binascii.Error, ValueError):
            data = self.raw[self.start : self.end]
        return data if len(data) <= limit else None

    @property
    def is_readable(self) -> bool:
        return self.encoding not in _UUENCODED


def read_parts(raw: bytes) -> tuple[Headers, list[Part], list[str]]:
    """The mail's own headers, its leaves in order, and what is broken about its structure. Raises `TooLarge`."""
    headers, body = split_headers(raw, 0, len(raw))
    walk = _Walk(raw)
    walk.entity(headers, body, len(raw), depth=0, is_forwarded=False)
    return headers, walk.leaves, walk.problems


class _Walk:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.leaves: list[Part] = []
        self.problems: list[str] = []
        self._count = 0

    def entity(self, headers: Headers, start: int, end: int, *, depth: int, is_forwarded: bool) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise TooLarge(f"The mail has more than {MAX_PARTS} parts.")
        if depth > MAX_DEPTH:
            raise TooLarge(f"The mail's parts are nested deeper than {MAX_DEPTH} levels.")
        kind = parameters("Content-Type", headers.first("content-type") or "text/plain")
        content_type = kind.get_content_type()
        encoding = headers.first("content-transfer-encoding").strip().lower()
        if content_type.startswith("multipart/"):
            boundary = parameter(kind, "content-type", "boundary")
            if boundary and self._multipart(boundary, start, end, depth=depth, is_forwarded=is_forwarded):
                return
            self.problems.append("The mail's parts cannot be told apart: its MIME structure is broken.")
            content_type = "text/plain"
        elif content_type == "message/rfc822" and encoding in ("", "7bit", "8bit", "binary"):
            inner, body = split_headers(self.raw, start, end)
            self.entity(inner, body, end, depth=depth + 1, is_forwarded=True)
            return
        disposition = parameters("Content-Disposition", headers.first("content-disposition"))
        name = parameter(disposition, "content-disposition", "filename") or parameter(kind, "content-type", "name")
        is_attachment = disposition.get_content_disposition() == "attachment"
        leaf = Part(
            raw=self.raw,
            start=start,
            end=end,
            content_type=content_type,
            charset=parameter(kind, "content-type", "charset") or "us-ascii",
            name=clean_line(decode_words(name))[:120],
            is_attachment=is_attachment or bool(name),
            is_forwarded=is_forwarded,
            encoding=encoding,
            is_flowed=parameter(kind, "content-type", "format").lower() == "flowed",
            deletes_space=parameter(kind, "content-type", "delsp").lower() == "yes",
            is_shown=not is_attachment and (headers.has("content-id") or bool(headers.first("content-disposition"))),
        )
        if not self._coded_mail(leaf, depth=depth):
            self.leaves.append(leaf)

    def _coded_mail(self, leaf: Part, *, depth: int) -> bool:
        """Whether it was a mail saved as a file, or one in a transfer encoding, and was walked as any attached mail."""
        if leaf.content_type != "message/rfc822" and not leaf.name.lower().endswith(".eml"):
            return False
        data = leaf.decode(MAX_TOTAL_BYTES) if leaf.is_readable else None
        if data is None or not _BEGINS_AS_MAIL.match(data):
            return False
        outer, self.raw = self.raw, data
        headers, body = split_headers(data, 0, len(data))
        self.entity(headers, body, len(data), depth=depth + 1, is_forwarded=True)
        self.raw = outer
        return True

    def _multipart(self, boundary: str, start: int, end: int, *, depth: int, is_forwarded: bool) -> bool:
        """Whether there was at least one part between delimiters."""
        found = False
        for part_start, part_end in _between(self.raw, boundary, start, end):
            found = True
            headers, body = split_headers(self.raw, part_start, part_end)
            self.entity(headers, min(body, part_end), part_end, depth=depth + 1, is_forwarded=is_forwarded)
        return found


def _between(raw: bytes, boundary: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The spans between delimiter lines; a missing closing delimiter means: to the end."""
    try:
        mark = b"--" + boundary.encode("utf-8")
    except UnicodeEncodeError:
        return
    opened: int | None = None
    lookalikes = 0
    at = start if raw.startswith(mark, start) else _next_line(raw, mark, start, end)
    while at != -1:
        line_end = raw.find(b"\n", at, end)
        line_end = end if line_end == -1 else line_end
        rest = raw[at + len(mark) : min(line_end, at + len(mark) + 200)].strip()
        if rest in (b"", b"--"):
            if opened is not None:
                yield opened, max(opened, _before_line_break(raw, at))
            opened = min(line_end + 1, end)
            if rest == b"--":
                return
        else:
            lookalikes += 1
            if lookalikes > _MOST_LOOKALIKES:
                raise TooLarge("The mail holds too many lines that look like the border between two parts.")
        at = _next_line(raw, mark, line_end - 1 if line_end else line_end, end)
    if opened is not None:
        yield opened, end


def _next_line(raw: bytes, mark: bytes, start: int, end: int) -> int:
    found = raw.find(b"\n" + mark, max(start, 0), end)
    return -1 if found == -1 else found + 1


def _before_line_break(raw: bytes, at: int) -> int:
    """The line break before a delimiter belongs to the delimiter."""
    return at - 2 if raw[at - 2 : at] == b"\r\n" else at - 1


def _from_base64(data: bytes) -> bytes:
    """Lenient, as mail needs it: foreign characters are skipped and missing padding is added."""
    clean = data.translate(None, _NOT_BASE64)
    return binascii.a2b_base64(clean[: len(clean) - (len(clean) % 4 == 1)] + b"=" * (-len(clean) % 4))
