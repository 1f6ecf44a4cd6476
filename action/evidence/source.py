"""Opening one report: regular files only, no link followed, no pipe waited for, no byte beyond the limit."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

from action.evidence.limits import JSON_BYTES, MEBIBYTE, TEXT_BYTES, XML_BYTES, UnreadableReport

Shape = Literal["xml", "json", "text"]
LIMITS: dict[Shape, int] = {"xml": XML_BYTES, "json": JSON_BYTES, "text": TEXT_BYTES}
HEAD_BYTES = 4096
BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


@contextmanager
def open_report(path: Path) -> Iterator[BinaryIO]:
    """A regular file, opened for reading. Raises UnreadableReport for anything else.

    O_NOFOLLOW refuses a link at the path itself, also one put there between a check and the opening.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise UnreadableReport("it is a symbolic link, which is not followed") from error
        raise UnreadableReport(f"it cannot be opened: {error.strerror or 'unknown reason'}") from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnreadableReport("it is not a regular file")
        yield stream


def size_of(stream: BinaryIO) -> int:
    return os.fstat(stream.fileno()).st_size


def shape_of(head: bytes) -> Shape:
    """Which family of formats the first bytes announce; the file's name has no say."""
    plain = head.replace(b"\0", b"")
    for mark in BYTE_ORDER_MARKS:
        plain = plain.removeprefix(mark)
    plain = plain.lstrip()
    if plain.startswith(b"<"):
        return "xml"
    # A tool's text may begin with a bracket too: `[*] 1 fixable …`, `[ERROR] …`.
    return "json" if plain[:1] == b"{" or _opens_json_list(plain) else "text"


def _opens_json_list(plain: bytes) -> bool:
    return plain[:1] == b"[" and plain[1:].lstrip()[:1] in (b"", b"{", b"[", b"]", b'"')


def check_size(size: int, shape: Shape) -> None:
    if size > LIMITS[shape]:
        raise UnreadableReport(f"it is larger than {LIMITS[shape] // MEBIBYTE} MiB, the limit for {shape}")


def decode(data: bytes) -> str:
    """Text by its byte order mark, else UTF-8; raises UnreadableReport for other bytes."""
    try:
        return data.decode(json.detect_encoding(data)).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UnreadableReport(f"its bytes are not {error.encoding} text (at byte {error.start})") from error
