"""Forwarded mail, as each client marks it: what its sender wrote himself, and what he forwards."""

from __future__ import annotations

import re

from functions._shared.mail.reply import Reply, read_reply
from functions._shared.mail.written import begins_specification

_FORWARD = re.compile(
    r"^(?P<quote>(?:>[ \t]?)*+)[ \t]*+(?:-{2,}[ \t]*)?(?:Forwarded message|Begin forwarded message"
    r"|Weitergeleitete Nachricht"
    r"|Anfang der weitergeleiteten (?:Nachricht|E-Mail)|Message transf[ée]r[ée]"
    r"|D[ée]but du message (?:r[ée]exp[ée]di[ée]|transf[ée]r[ée])"
    r"|Mensaje reenviado|Inicio del mensaje reenviado|Messaggio inoltrato|Inizio messaggio inoltrato"
    r"|Doorgestuurd bericht|Begin doorgestuurd bericht|Mensagem (?:encaminhada|reencaminhada)"
    r"|Przekazana wiadomość|Wiadomość przekazana"
    r"|Vidarebefordrat (?:meddelande|brev)|Videresendt (?:meddelelse|besked)|Přeposlaná zpráva|Пересылаемое сообщение)"
    r"[ \t]*:?[ \t]*-*[ \t]*(?:$|(?=\*{0,2}(?:From|Von|De|Da|Van|Od|Från|Fra)\*{0,2}[ \t]?:))",
    re.IGNORECASE | re.MULTILINE,
)
# Outlook puts the same block above what it answers and what it forwards; only the subject tells.
_COPIED_HEADERS = re.compile(
    r"^(?:(?:_{8,}|-{2,} ?(?:Original Message|Ursprüngliche Nachricht|Message d'origine|Mensaje original) ?-{2,})"
    r"[ \t]*\n\s{0,4})?(?=\*?(?:From|Von|De|Da|Van)\*?[ \t]?:.{0,300}\n(?:.{0,300}\n){0,5}"
    r"\*?(?:Subject|Betreff|Objet|Asunto|Oggetto|Onderwerp)\*?[ \t]?:)",
    re.MULTILINE,
)
_HEADER_LINE = re.compile(r"\s*\*?[A-Za-zÀ-ÿ-]{1,20}\*?\s?:\*?\s.*")


def split_forwarded(text: str, *, is_forward: bool) -> tuple[str, Reply]:
    """What the sender wrote, and the mail he forwards; a forward inside a quotation is part of the quotation."""
    mark = _FORWARD.search(text)
    if not mark:
        mark = _COPIED_HEADERS.search(text) if is_forward else None
        return (text[: mark.start()], _read_forwarded(text[mark.end() :])) if mark else (text, Reply(""))
    above = text[: mark.start()]
    if mark["quote"]:
        return (text, Reply("")) if _ends_in_quotation(above) else _split_quoted(above, text[mark.end() :])
    new = read_reply(above, is_reply=True).text
    if above.strip() and len(new.split()) < len(above.split()) and _ends_in_quotation(above):
        return text, Reply("")
    return above, _read_forwarded(text[mark.end() :])


def _ends_in_quotation(above: str) -> bool:
    return re.search(r"^>|:\s*$", above.rstrip()[-200:], re.MULTILINE) is not None


def _split_quoted(above: str, text: str) -> tuple[str, Reply]:
    """Some clients quote the forwarded mail as a whole, the line that says so with it."""
    lines = text.split("\n")
    end = next((at for at, line in enumerate(lines) if line.strip() and not line.startswith(">")), len(lines))
    return above + "\n".join(lines[end:]), _read_forwarded("\n".join(lines[:end]))


def _read_forwarded(text: str) -> Reply:
    """The forwarded mail's own new text. Its sender's client may have quoted it, with its headers or below them."""
    lines = _unquoted(_without_headers(_unquoted(text.split("\n"))))
    return read_reply("\n".join(lines), is_reply=True)


def _unquoted(lines: list[str]) -> list[str]:
    """Without the mark of a quotation, where every line has it."""
    written = [line for line in lines if line.strip()]
    if written and all(line.startswith(">") for line in written):
        return [re.sub(r"^> ?", "", line) for line in lines]
    return lines


def _without_headers(lines: list[str]) -> list[str]:
    """What follows the forwarded mail's From, Date, Subject and To: the text after the first blank line below them."""
    at = 0
    while at < len(lines) and not lines[at].strip():
        at += 1
    while at < len(lines) and _HEADER_LINE.fullmatch(lines[at][:500]) and not begins_specification(lines[at]):
        at += 1
    return lines[at:]
