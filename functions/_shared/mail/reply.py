"""What is new in a letter: quoted mail, signatures and the line above a quotation are cut, the rest stays as written.

mail-parser-reply finds the places, in many languages. It is shown bounded lines only, since its expressions backtrack,
and its answer is used as a number of lines, since it strips the indentation that a specification lives by.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

_LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pl", "sv", "da", "cs")
_LONGEST_LINE = 160
_WINDOW = 60
_OVERLAP = 4
_MOST_LINES = 600
_RULER = re.compile(r"\s*[-_*=]{5,}\s*")
_DELIMITER = re.compile(r"-- ?\s*")
_MOST_SIGNATURE_LINES = 8
_LONGEST_SIGNATURE_LINE = 72


def cut_reply(text: str) -> str:
    """The new text. Where everything is below a quotation, the lines that are not quoted."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    delimiter = next(
        (at for at, line in enumerate(lines) if at and _DELIMITER.fullmatch(line) and line[:2] == "--"), None
    )
    if delimiter is not None:
        lines = lines[:delimiter]
    cut = _find_cut(lines)
    above = lines if cut is None else lines[:cut]
    if cut is not None and not "".join(above).strip():
        above = _below_quotation(lines[cut:])
    return "\n".join(_without_trailing_quote(above)).rstrip().lstrip("\n")


def drop_quoted(text: str) -> str:
    """Without the lines that begin with '>': quoted text is not new text."""
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith(">"))


def _find_cut(lines: list[str]) -> int | None:
    """The first line that is quotation or signature, None if all is new."""
    for start in range(0, min(len(lines), _MOST_LINES), _WINDOW - _OVERLAP):
        window = [_bounded(line) for line in lines[start : start + _WINDOW]]
        at = _find_cut_in(window, is_last=start + _WINDOW >= len(lines))
        if at is not None:
            return start + at
    return None


def _bounded(line: str) -> str:
    """A line as the library may see it; a ruler would be taken out by it, and then lines could not be counted."""
    short = line[:_LONGEST_LINE].strip()
    return "" if _RULER.fullmatch(short) and "riginal" not in short else short


def _find_cut_in(window: list[str], *, is_last: bool) -> int | None:
    if not any(window):
        return None
    replies = _library()(text="\n".join(window), languages=list(_LANGUAGES), keep_hyphen_lists=True).read().replies
    first = replies[0]
    if first.headers:
        return _skip_lines(window, 0)
    new = _count(first.content)
    if len(replies) == 1 and not is_last:
        return None
    signature = first.signatures.strip()
    if signature and first.content.rstrip().endswith(signature) and _is_signature(signature):
        return _skip_lines(window, new - _count(signature))
    return _skip_lines(window, new) if len(replies) > 1 else None


@cache
def _library() -> Any:
    from mailparser_reply.parser import EmailMessage

    return EmailMessage


def _count(text: str) -> int:
    return sum(1 for line in text.split("\n") if line.strip())


def _skip_lines(window: list[str], written: int) -> int:
    """The place after that many lines with text."""
    for at, line in enumerate(window):
        if written == 0 and line:
            return at
        written -= 1 if line else 0
    return len(window)


def _is_signature(text: str) -> bool:
    """A few short lines. "Thanks, and please also add …" opens no signature, whatever the library thinks."""
    lines = [line for line in text.split("\n") if line.strip()]
    return len(lines) <= _MOST_SIGNATURE_LINES and all(len(line) <= _LONGEST_SIGNATURE_LINE for line in lines)


def _below_quotation(lines: list[str]) -> list[str]:
    """Answers written below or between quoted lines; nothing where the quotation is not marked by '>'."""
    first = next((at for at, line in enumerate(lines) if line.lstrip().startswith(">")), None)
    if first is None:
        return []
    return [line for line in lines[first:] if not line.lstrip().startswith(">")]


def _without_trailing_quote(lines: list[str]) -> list[str]:
    end = len(lines)
    while end and (not lines[end - 1].strip() or lines[end - 1].startswith(">")):
        end -= 1
    is_quoted = any(line.startswith(">") for line in lines[end:])
    return _without_attribution(lines[:end]) if is_quoted else lines[:end]


def _without_attribution(lines: list[str]) -> list[str]:
    """Right above a quotation stands who wrote it and when, in whatever language: up to three lines and a colon."""
    for count in range(1, 4):
        tail = " ".join(lines[-count:])
        if not tail.rstrip().endswith(":") or not lines[-count:][0].strip():
            break
        if re.search(r"\S@\S", tail) and re.search(r"\d{1,2}[:.]\d{2}", tail):
            return lines[:-count]
    return lines
