"""The letter in a mail: its body as text, what is new in it, and the specification that its text may itself be."""

from __future__ import annotations

import re
from dataclasses import dataclass

from controlplane.spec import Format
from functions._shared.mail.armour import take_out_armour, take_out_uuencoded
from functions._shared.mail.forwarded import split_forwarded
from functions._shared.mail.html import html_to_text
from functions._shared.mail.limits import MAX_BODY_BYTES, MAX_WRITTEN_CHARACTERS
from functions._shared.mail.parts import Part
from functions._shared.mail.reply import drop_quoted, read_reply
from functions._shared.mail.words import decode_charset, strip_invisible
from functions._shared.mail.written import find_specification, straighten_quotes

_SAYS_FORWARDED = re.compile(r"\s*(?:Fwd?|WG|TR|RV|ENC|Doorst|VS|PD)\s*:", re.IGNORECASE)

# What stands in plain text for a picture.
_PICTURE = re.compile(r"^[ \t]*\[(?:cid|image):[^\]\n]{0,200}\][ \t]*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Occasion:
    """What is known of a mail before its text is read. `is_proven`: its sender may have his specifications parsed."""

    subject: str = ""
    is_reply: bool = False
    is_proven: bool = False

    @property
    def is_forward(self) -> bool:
        return _SAYS_FORWARDED.match(self.subject) is not None


@dataclass(frozen=True)
class Letter:
    """`text` is what is new; `structured` is the specification written in it, with its format, if there is one.

    `left_out` tells what of the text was not read and why, `unread` names files that were typed into it.
    """

    text: str = ""
    structured: tuple[Format, str] | None = None
    problems: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def read_letter(parts: list[Part], occasion: Occasion) -> Letter:
    """From the parts that are not attachments: plain text is preferred, HTML is turned into text."""
    problems: list[str] = []
    plain = _texts(parts, "text/plain", problems)
    if not plain.strip():
        return _understand(_html(parts, problems), problems, occasion)
    letter = _understand(plain, problems, occasion)
    if letter.structured and occasion.is_proven and len(plain) <= MAX_WRITTEN_CHARACTERS:
        return _unwrapped(letter, parts, occasion)
    return letter


def add_forwarded(own: Letter, forwarded: Letter) -> Letter:
    """A letter together with the one that came along as an attached mail."""
    chosen = own if own.structured else forwarded if forwarded.structured else None
    text = chosen.text if chosen else f"{own.text}\n\n{forwarded.text}".strip()
    return Letter(
        text,
        chosen.structured if chosen else None,
        (*own.problems, *forwarded.problems),
        (*own.left_out, *forwarded.left_out),
        (*own.unread, *forwarded.unread),
    )


def _understand(text: str, problems: list[str], occasion: Occasion) -> Letter:
    text, files = take_out_uuencoded(take_out_armour(_clean(text), problems))
    above, forwarded = split_forwarded(text, is_forward=occasion.is_forward)
    new = read_reply(above, is_reply=occasion.is_reply)
    left_out = (*new.left_out, *forwarded.left_out)
    for candidate in (new.text, forwarded.text):
        structured = find_specification(candidate) if candidate.strip() else None
        if structured:
            straight = straighten_quotes(structured[1]) if structured[0] in ("yaml", "json") else structured[1]
            if straight != structured[1]:
                left_out = (*left_out, "The curly quotes around values in your text were read as plain ones.")
            return Letter(candidate.strip("\n"), (structured[0], straight), tuple(problems), left_out, files)
    whole = f"{new.text}\n\n{forwarded.text}" if forwarded.text else new.text
    if not occasion.is_reply:
        left_out = (*left_out, *_count_quoted(above))
    return Letter(drop_quoted(whole).strip(), None, tuple(problems), left_out, files)


def _count_quoted(text: str) -> tuple[str, ...]:
    """In a mail that answers nothing, a line that begins with '>' may be somebody's own words."""
    quoted = sum(1 for line in text.split("\n") if line.lstrip().startswith(">") and line.strip(" >"))
    return (f"{quoted} line(s) that begin with '>' were taken for quoted mail and not read.",) if quoted else ()


def _unwrapped(letter: Letter, parts: list[Part], occasion: Occasion) -> Letter:
    """The same specification from the HTML, where the client has broken the plain text's lines in the middle.

    Taken where the two differ in white space alone, or where only the HTML can be built.
    """
    from controlplane.specfile import check_spec

    other = _understand(_html(parts, []), [], occasion)
    if not letter.structured or not other.structured or len(other.structured[1]) > 2 * MAX_WRITTEN_CHARACTERS:
        return letter
    if letter.structured == other.structured:
        return letter
    plain_holds, html_holds = (
        check_spec(one.structured[1].encode()).valid for one in (letter, other) if one.structured
    )
    is_same = _bare(letter.structured[1]) == _bare(other.structured[1])
    return other if html_holds and (is_same or not plain_holds) else letter


def _bare(text: str) -> str:
    return "".join(text.split())


def _clean(text: str) -> str:
    text = strip_invisible(text.replace("\r\n", "\n").replace("\r", "\n")).replace("\u00a0", " ")
    text = "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
    return _PICTURE.sub("", text)


def _texts(parts: list[Part], content_type: str, problems: list[str]) -> str:
    """All parts of this kind, as far as they are not too long together."""
    texts: list[str] = []
    left = MAX_BODY_BYTES
    too_long = f"The mail's text is longer than {MAX_BODY_BYTES >> 20} MiB; not all of it was read."
    for part in parts:
        if part.content_type != content_type:
            continue
        data = part.decode(left)
        if data is None:
            problems.extend([too_long] if too_long not in problems else [])
            continue
        left -= len(data)
        text, known = decode_charset(data, part.charset)
        if not known:
            problems.append("The mail's text is not in the charset that it claims; some characters may be wrong.")
        texts.append(_unflowed(text, delete_space=part.deletes_space) if part.is_flowed else text)
    return "\n".join(texts)


def _html(parts: list[Part], problems: list[str]) -> str:
    html = _texts(parts, "text/html", problems)
    if not html.strip():
        return ""
    text, whole = html_to_text(html)
    if not whole:
        problems.append("The mail's HTML is very long; only its beginning was read.")
    return text


def _unflowed(text: str, *, delete_space: bool) -> str:
    """Paragraphs joined and stuffed spaces removed (RFC 3676 §4.2 to §4.4)."""
    paragraphs: list[list[str]] = []
    is_open = False
    for raw in text.split("\n"):
        line = raw.rstrip("\r")
        is_quoted = line.startswith(">")
        if line.startswith(" "):
            line = line[1:]
        if not (is_open and not is_quoted):
            paragraphs.append([])
        is_open = not is_quoted and line.endswith(" ") and line != "-- "
        paragraphs[-1].append(line[:-1] if is_open and delete_space else line)
    return "\n".join("".join(paragraph) for paragraph in paragraphs)
