"""What is new in a mail's text: quoted mail and signatures are cut, the rest stays as written, and each cut is told."""

from __future__ import annotations

import re
from dataclasses import dataclass

from functions._shared.mail.farewell import cut_farewell
from functions._shared.mail.quotation import find_quotation
from functions._shared.mail.words import clean_line

_MOST_QUOTATIONS = 5
_SIGNATURE_FOLLOWS, _MOST_SIGNATURE_LINES = "-- ", 6
_MOST_CLOSING_LINES = 2
_LONGEST_CLOSING_LINE = 40
_SHOWN = 60


@dataclass(frozen=True)
class Reply:
    """`left_out` says, for the sender to read, what of his text was taken for something else."""

    text: str
    left_out: tuple[str, ...] = ()


def read_reply(text: str, *, is_reply: bool) -> Reply:
    """The new text. In a mail that answers nothing only a marked quotation is one: `>`, or a client's own separator."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    left_out: list[str] = []
    for _ in range(_MOST_QUOTATIONS):
        quotation = find_quotation(lines, is_reply=is_reply)
        if quotation is None:
            break
        cut, below = lines[quotation.start :], lines[quotation.start : quotation.start]
        if quotation.is_quoted:
            below = _answers_below(cut)
        else:
            left_out.append(describe_cut(cut, "quoted mail"))
        lines = lines[: quotation.start] + below
    lines = _without_trailing_quote(lines)
    kept = cut_farewell(lines)
    if _is_worth_telling(lines[len(kept) :]):
        left_out.append(describe_cut(lines[len(kept) :], "a signature"))
    return Reply("\n".join(_without_trailing_quote(kept)).rstrip().lstrip("\n"), tuple(left_out))


def describe_cut(lines: list[str], what: str) -> str:
    """One sentence about lines that were not read."""
    written = [line for line in lines if line.strip()]
    first = clean_line(next(iter(written), ""))[:_SHOWN]
    if len(written) == 1:
        return f"1 line, '{first}', was taken for {what} and not read."
    return f"{len(written)} lines from '{first}' on were taken for {what} and not read."


def drop_quoted(text: str) -> str:
    """Without the lines that begin with '>': quoted text is not new text."""
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith(">"))


def _is_worth_telling(lines: list[str]) -> bool:
    """Which device wrote the mail is one line that nobody wrote; below `-- ` stands a signature (RFC 3676, 4.3); thanks
    and a name are a courtesy."""
    written = [line for line in lines if line.strip()]
    if len(written) <= _MOST_CLOSING_LINES and all(len(line.strip()) <= _LONGEST_CLOSING_LINE for line in written):
        return False
    return len(written) > 1 and (written[0] != _SIGNATURE_FOLLOWS or len(written) > _MOST_SIGNATURE_LINES)


def _answers_below(lines: list[str]) -> list[str]:
    """What was written below or between quoted lines; what stands above the first one says only who is quoted."""
    first = next((at for at, line in enumerate(lines) if line.lstrip().startswith(">")), len(lines))
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
