"""The letter in a mail: its body as text, what is new in it, and the specification that its text may itself be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, takewhile

from controlplane.spec import Format
from controlplane.specfile.detect import detect_format
from functions._shared.mail.html import html_to_text
from functions._shared.mail.limits import MAX_BODY_BYTES
from functions._shared.mail.parts import Part
from functions._shared.mail.reply import cut_reply, drop_quoted
from functions._shared.mail.words import decode_charset, strip_invisible

_FORWARD = re.compile(
    r"^(?:-{2,}[ \t]*)?(?:Forwarded message|Begin forwarded message|Weitergeleitete Nachricht"
    r"|Anfang der weitergeleiteten Nachricht|Message transf[ée]r[ée]|D[ée]but du message r[ée]exp[ée]di[ée]"
    r"|Mensaje reenviado|Messaggio inoltrato|Doorgestuurd bericht)[ \t]*:?[ \t]*-*[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
# Outlook puts the same block above what it answers and what it forwards; only the subject tells.
_COPIED_HEADERS = re.compile(
    r"^(?:(?:_{8,}|-{2,} ?(?:Original Message|Ursprüngliche Nachricht|Message d'origine|Mensaje original) ?-{2,})"
    r"[ \t]*\n\s{0,4})?(?=\*?(?:From|Von|De|Da|Van)\*?[ \t]?:.{0,300}\n(?:.{0,300}\n){0,5}"
    r"\*?(?:Subject|Betreff|Objet|Asunto|Oggetto|Onderwerp)\*?[ \t]?:)",
    re.MULTILINE,
)
_SAYS_FORWARDED = re.compile(r"\s*(?:Fwd?|WG|TR|RV|ENC|Doorst|VS|PD)\s*:", re.IGNORECASE)
_HEADER_LINE = re.compile(r"\s*\*?[A-Za-zÀ-ÿ-]{1,20}\*?\s?:\*?\s.*")
_FENCE_OPENS = re.compile(r"```[ \t]*(?:yaml|yml|json|text)?[ \t]*", re.IGNORECASE)
# A block may be indented as a whole: html2text writes <pre> so, and many people paste so.
_SPEC_BEGINS = re.compile(
    r"^([ \t]*)(?:meta[ \t]*:[ \t]*\r?$|---[ \t]*\r?$|\{[ \t]*(?:\r?$|\"))", re.IGNORECASE | re.MULTILINE
)
_JSON_META = re.compile(r"\"meta\"[ \t\r\n]*:")
_MOST_BEGINNINGS = 5


@dataclass(frozen=True)
class Letter:
    """`text` is what is new; `structured` is the specification written in it, with its format, if there is one."""

    text: str = ""
    structured: tuple[Format, str] | None = None
    problems: tuple[str, ...] = ()


def read_letter(parts: list[Part], subject: str = "") -> Letter:
    """From the parts that are not attachments: plain text is preferred, HTML is turned into text."""
    problems: list[str] = []
    plain = _texts(parts, "text/plain", problems)
    text = plain if plain.strip() else _html(parts, problems)
    text = strip_invisible(text.replace("\r\n", "\n").replace("\r", "\n")).replace("\u00a0", " ")
    text = "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
    return _understand(text, problems, is_forward=bool(_SAYS_FORWARDED.match(subject)))


def add_forwarded(own: Letter, forwarded: Letter) -> Letter:
    """A letter together with the one that came along as an attached mail."""
    problems = (*own.problems, *forwarded.problems)
    if own.structured or forwarded.structured:
        chosen = own if own.structured else forwarded
        return Letter(chosen.text, chosen.structured, problems)
    return Letter(f"{own.text}\n\n{forwarded.text}".strip(), None, problems)


def _understand(text: str, problems: list[str], *, is_forward: bool) -> Letter:
    above, forwarded = _split_forwarded(text, is_forward=is_forward)
    new = cut_reply(above)
    for candidate in (new, forwarded):
        structured = find_specification(candidate) if candidate.strip() else None
        if structured:
            return Letter(candidate.strip("\n"), structured, tuple(problems))
    whole = drop_quoted(f"{new}\n\n{forwarded}" if forwarded else new)
    return Letter(whole.strip(), None, tuple(problems))


def find_specification(text: str) -> tuple[Format, str] | None:
    """The text itself, a code block in it, or what follows a greeting, when that is YAML, JSON or Markdown of ours."""
    found = detect_format(text)
    if found != "text":
        return found, text
    for block in islice(_fenced_blocks(text), _MOST_BEGINNINGS):
        inner = detect_format(block)
        if inner == "yaml" or (inner == "json" and _JSON_META.search(block)):
            return inner, block
    for match in islice(_SPEC_BEGINS.finditer(text), _MOST_BEGINNINGS):
        tail = _outdented(text[match.start() :], match[1])
        inner = detect_format(tail)
        if inner == "json" and not _JSON_META.search(tail):
            continue
        if inner != "text":
            return inner, _without_farewell(tail) if inner == "json" else tail
    return None


def _without_farewell(json: str) -> str:
    """JSON ends with its last bracket; what follows is for people."""
    end = json.rfind("}")
    return json[: end + 1] if end >= 0 else json


def _outdented(text: str, indent: str) -> str:
    """An indented block without its indentation, up to the first line that stands left of it."""
    if not indent:
        return text
    lines = takewhile(lambda line: not line.strip() or line.startswith(indent), text.split("\n"))
    return "\n".join(line.removeprefix(indent) for line in lines)


def _fenced_blocks(text: str) -> Iterator[str]:
    """What stands between ```yaml and ```; a block that is never closed is none."""
    block: list[str] | None = None
    for line in text.split("\n"):
        if block is None:
            block = [] if _FENCE_OPENS.fullmatch(line.rstrip()) else None
        elif line.rstrip() == "```":
            yield "\n".join(block) + "\n"
            block = None
        else:
            block.append(line)


def _split_forwarded(text: str, *, is_forward: bool) -> tuple[str, str]:
    """What the sender wrote, and the mail he forwards; a forward inside a quotation is part of the quotation."""
    mark = _FORWARD.search(text)
    if not mark:
        mark = _COPIED_HEADERS.search(text) if is_forward else None
        return (text[: mark.start()], _forwarded_text(text[mark.end() :])) if mark else (text, "")
    above = text[: mark.start()]
    new = cut_reply(above)
    if above.strip() and len(new.split()) < len(above.split()) and re.search(r"^>|:\s*$", above.rstrip()[-200:], re.M):
        return text, ""
    return above, _forwarded_text(text[mark.end() :])


def _forwarded_text(text: str) -> str:
    """The forwarded mail's own new text. Apple Mail quotes it as a whole, its headers with it."""
    lines = text.split("\n")
    written = [line for line in lines if line.strip()]
    if written and all(line.startswith(">") for line in written):
        lines = [re.sub(r"^> ?", "", line) for line in lines]
    return cut_reply("\n".join(_without_headers(lines)))


def _without_headers(lines: list[str]) -> list[str]:
    """What follows the forwarded mail's From, Date, Subject and To: the text after the first blank line below them."""
    at = 0
    while at < len(lines) and not lines[at].strip():
        at += 1
    while at < len(lines) and _HEADER_LINE.fullmatch(lines[at][:500]) and not _SPEC_BEGINS.match(lines[at]):
        at += 1
    return lines[at:]


def _texts(parts: list[Part], content_type: str, problems: list[str]) -> str:
    texts = []
    for part in parts:
        if part.content_type == content_type:
            data = part.decode(MAX_BODY_BYTES)
            if data is None:
                problems.append(f"The mail's text is longer than {MAX_BODY_BYTES >> 20} MiB and was not read.")
                continue
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
