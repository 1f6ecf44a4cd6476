"""Where quoted mail begins. mail-parser-reply proposes the places, in many languages; each is judged here, because it
also takes "From: date picker, To: date picker" and a sentence about what Bob wrote for the head of a quotation.

The library is shown bounded lines only, since its expressions backtrack, and its answer is used as a number of lines,
since it strips the indentation that a specification lives by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

_LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pl", "sv", "da", "cs")
_LONGEST_LINE = 160
_WINDOW = 60
_OVERLAP = 4
_MOST_LINES = 600
_RULER = re.compile(r"\s*[-_*=]{5,}\s*")
_SEPARATOR = re.compile(
    r"\s*(?:_{8,}|-{2,} ?(?:Original Message|Ursprüngliche Nachricht|Message d'origine|Mensaje original"
    r"|Messaggio originale|Oorspronkelijk bericht|Oprindelig meddelelse) ?-{2,})\s*",
    re.IGNORECASE,
)
_NAMED = r"[ \t>]*\*{0,2}(?:%s)\*{0,2}[ \t]?:"
_HEADER = re.compile(
    _NAMED
    % "From|Sent|To|Subject|Date|Cc|Reply-To|Von|Gesendet|An|Betreff|Datum|De|Envoyé|À|Objet|Para|Enviado|Asunto|Fecha"
    "|Da|Inviato|A|Oggetto|Data|Van|Verzonden|Aan|Onderwerp|Od|Wysłano|Do|Temat|DW|Från|Skickat|Till|Ämne|Fra|Sendt"
    "|Til|Emne|Dato|Odesláno|Komu|Předmět|Kopie|Kopia|Kopi",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    _NAMED % "Subject|Betreff|Objet|Asunto|Oggetto|Onderwerp|Temat|Ämne|Emne|Předmět|Assunto", re.IGNORECASE
)
_MOST_HEADERS = 12


@dataclass(frozen=True)
class Quotation:
    """It begins at line `start` with who is quoted; `is_quoted` where lines marked by '>' follow."""

    start: int
    is_quoted: bool


def find_quotation(lines: list[str], *, is_reply: bool) -> Quotation | None:
    """The first one; None if all is new. In a mail that answers nothing it must be marked as one."""
    for start in range(0, min(len(lines), _MOST_LINES), _WINDOW - _OVERLAP):
        window = [_bounded(line) for line in lines[start : start + _WINDOW]]
        for at in _propose(window):
            found = _judge(lines, start + at, is_reply=is_reply)
            if found:
                return found
    return None


def _bounded(line: str) -> str:
    """A line as the library may see it; a ruler would be taken out by it, and then lines could not be counted."""
    short = line[:_LONGEST_LINE].strip()
    return "" if _RULER.fullmatch(short) and "riginal" not in short else short


def _propose(window: list[str]) -> Iterator[int]:
    """The lines at which the library sees the head of a quotation."""
    if not any(window):
        return
    written = 0
    for reply in _library()(text="\n".join(window), languages=list(_LANGUAGES), keep_hyphen_lists=True).read().replies:
        if reply.headers:
            yield _skip_lines(window, written)
        written += sum(1 for line in reply.content.split("\n") if line.strip())


@cache
def _library() -> Any:
    from mailparser_reply.parser import EmailMessage

    return EmailMessage


def _skip_lines(window: list[str], written: int) -> int:
    """The place after that many lines with text."""
    for at, line in enumerate(window):
        if written == 0 and line:
            return at
        written -= 1 if line else 0
    return len(window)


def _judge(lines: list[str], at: int, *, is_reply: bool) -> Quotation | None:
    if at >= len(lines) or lines[at].lstrip().startswith(">"):
        return None
    head = [line[:_LONGEST_LINE] for line in lines[at : at + 3 * _MOST_HEADERS] if line.strip()]
    separator = _separator_above(lines, at)
    is_separated = separator is not None or bool(_SEPARATOR.fullmatch(head[0]))
    headers = [line for line in head[:_MOST_HEADERS] if _HEADER.match(line)]
    is_block = bool(_HEADER.match(head[0])) or is_separated
    start = at if separator is None else separator
    if is_block:
        is_quoted = _is_quoted_below(head[is_separated and separator is None :], _HEADER)
        is_whole = len(headers) >= 3 and any(_SUBJECT.match(line) for line in headers)
        accepted = is_quoted or (is_whole and (is_reply or is_separated))
        return Quotation(start, is_quoted) if accepted else None
    is_quoted = _is_quoted_below(head, None)
    is_attribution = any(line.rstrip().endswith(":") for line in head[:3]) and bool(
        re.search(r"\d", " ".join(head[:3]))
    )
    return Quotation(at, is_quoted) if is_quoted or (is_reply and is_attribution) else None


def _separator_above(lines: list[str], at: int) -> int | None:
    """The client's own separator right above a block of headers."""
    above = next((place for place in range(at - 1, max(at - 4, -1), -1) if lines[place].strip()), None)
    return above if above is not None and _SEPARATOR.fullmatch(lines[above][:_LONGEST_LINE]) else None


def _is_quoted_below(head: list[str], header: re.Pattern[str] | None) -> bool:
    """Whether a line marked by '>' comes right after who is quoted: some headers, or up to three lines and a colon."""
    for place, line in enumerate(head):
        if line.lstrip().startswith(">"):
            return place > 0 and (header is not None or head[place - 1].rstrip().endswith(":"))
        if (header and not header.match(line)) or (header is None and place >= 3):
            return False
    return False
