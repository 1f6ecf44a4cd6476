"""The end of a letter: a signature, the line that names the device, the disclaimer of a firm.

What is cut here is never built, so in doubt nothing is. The first line must be a delimiter, a device's line or a whole
closing line, and what follows must look like names and numbers, not like sentences.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

_DELIMITER = re.compile(r"--\s*")
_MOST_LINES = 8
_MOST_LINES_BELOW_DELIMITER = 15
_MOST_DISCLAIMER_LINES = 40
_LONGEST_LINE = 72
_LOOKED_AT = 100
_MOST_NAMES = 3
_DEVICE = re.compile(
    r"(?:Sent (?:from|with|via) .+|Get Outlook for .+|Vo[nm] .+ gesendet\.?|Gesendet (?:von|vom|mit|über) .+"
    r"|Diese Nachricht wurde von .+ gesendet\.?|(?:Holen Sie sich|Laden Sie) Outlook .+"
    r"|Outlook für .+ (?:beziehen|herunterladen).*|Envoyé (?:de|depuis|avec|à partir de) .+"
    r"|(?:Obtenir|Télécharger|Obtener|Descargar|Obter|Scarica|Hent|Hämta|Pobierz) Outlook .+"
    r"|(?:Enviado|Enviada) (?:desde|do|de|con) .+|Inviato (?:da|dal|con) .+|(?:Verstuurd|Verzonden) (?:vanaf|met) .+"
    r"|Outlook voor .+ downloaden.*|Wysłan[eo] (?:z|za) .+|Skickat från .+|Sendt fra .+|Odesláno z .+"
    r"|Отправлено (?:с|из) .+|发自.+|.+から送信)",
    re.IGNORECASE,
)
_DEVICE_NAME = re.compile(
    r"phone|pad\b|tablet|handy|outlook|android|samsung|galaxy|pixel|huawei|xiaomi|blackberry|mail|proton|gmx|web\.de"
    r"|mobil|móvil|cellulare|telefon|téléphone|gerät|device|ordinateur|windows|\bmac\b",
    re.IGNORECASE,
)
# The library's words for a farewell, and these.
_MORE_CLOSINGS = (
    "many thanks", "thanks(?: a lot| again| in advance)?", "thank you(?: very much)?", "cheers", "best wishes",
    "(?:with )?(?:kind|warm|best) regards", r"best(?=\s*(?:[,!]|$))", "yours(?: sincerely| faithfully| truly)",
    "sincerely(?: yours)?", "danke(?: schön| im voraus)?", "(?:vielen|herzlichen|besten) dank",
    "(?:mit )?(?:herzliche|freundliche)[nr]? gr(?:ü|ue)(?:ß|ss)en?", "mfg", "lg", "vg", "bg", "merci(?: d'avance)?",
    "bien à vous", "gracias", "saludos(?: cordiales)?", "grazie", "obrigad[oa]", "bedankt", "groeten", "dziękuję",
    "tack", "tak", "děkuji",
)  # fmt: skip
_BULLET = re.compile(r"\s*(?:[-*•–]\s|\d{1,3}[.)]\s)")
_SENTENCE_ENDS = re.compile(r"(?<!\bInc)(?<!\bLtd)(?<!\bCo)(?<!\bCorp)(?<!\bLLC)(?<!\bV)(?<!\bA)[.:?;]\s*$")
_ASKS = re.compile(
    r"\b(?:please|bitte|should|must|also|needs?|wants?|add|change|soll(?:en|te)?|muss|müssen|auch|noch|svp|plaît"
    r"|por favor|per favore|alsjeblieft|proszę|prosím|p\.?s\.?)\b",
    re.IGNORECASE,
)
_RULER = re.compile(r"\s*[-_*=]{5,}\s*")
_LEGAL = re.compile(
    r"\b(?:intended (?:solely|only|exclusively)|intended recipient"
    r"|(?:e-?mail|message|communication)\b.{0,60}\bconfidential"
    r"|confidential(?:ity)? (?:notice|note)|disclaimer:|virus-?free|virenfrei|before printing|vertrauliche|confidentiel"
    r"|confidencial|riservat|handelsregister|amtsgericht|sitz der gesellschaft|registered (?:in|office))",
    re.IGNORECASE,
)


def cut_farewell(lines: list[str], *, is_letter: bool = True) -> list[str]:
    """The lines without what ends them. "Thank you!" without a name stays in a letter, where it breaks nothing."""
    lines = lines[: _end(lines)]
    at = _find_delimiter(lines)
    if at is not None:
        lines = lines[: _end(lines[:at])]
    if _is_device(lines[:1]) and len(_written(lines)) == 1:
        return []
    at = next((place for place in _last_lines(lines) if _ends_letter(lines, place, is_letter=is_letter)), None)
    return lines if at is None else lines[: _end(lines[:at])]


def _end(lines: list[str]) -> int:
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return end


def _find_delimiter(lines: list[str]) -> int | None:
    """The last `-- `. Without the space that makes it one, or with much below it, it may as well part two wishes."""
    at = next((place for place in range(len(lines) - 1, 0, -1) if _DELIMITER.fullmatch(lines[place])), None)
    if at is None or not _written(lines[:at]):
        return None
    below = lines[at + 1 :]
    if len(below) > _LOOKED_AT:
        return None
    is_short = lines[at] == "-- " and len(_written(below)) <= _MOST_LINES
    return at if is_short or _is_signature(below, _MOST_LINES_BELOW_DELIMITER) else None


def _last_lines(lines: list[str]) -> list[int]:
    """Where text stands near the end, except in the first line."""
    return [place for place in range(max(1, len(lines) - _LOOKED_AT), len(lines)) if lines[place].strip()]


def _ends_letter(lines: list[str], at: int, *, is_letter: bool) -> bool:
    first, below = lines[at].strip(), lines[at + 1 :]
    if len(first) > 120:
        return False
    if _RULER.fullmatch(first):
        return _is_disclaimer(below)
    closing = _is_closing(first) if _stands_apart(lines, at) else ""
    is_signed = closing == "with a name" or bool(_written(below)) or not is_letter
    is_end = _is_device([first]) or (closing != "" and is_signed)
    return is_end and _is_signature(below, _MOST_LINES)


def _is_device(lines: list[str]) -> bool:
    """Whether each is a line that a telephone or a mail program adds."""
    shown = [line.strip() for line in lines]
    return bool(shown) and all(len(one) <= 120 and _DEVICE.fullmatch(one) and _DEVICE_NAME.search(one) for one in shown)


def _stands_apart(lines: list[str], at: int) -> bool:
    """Whether a line can be a farewell where it stands: LG is a firm in a list of firms."""
    above = lines[at - 1].rstrip()
    return not above or above[-1] in ".!?)" or lines[at].rstrip().endswith(",")


def _is_closing(line: str) -> Literal["", "alone", "with a name"]:
    """One or two phrases of farewell and perhaps a name; "Thanks, and please add …" is none."""
    rest = line
    while match := _closings().match(rest):
        rest = rest[match.end() :]
    names = rest.split()
    is_name = len(names) <= _MOST_NAMES and all(name[:1].isupper() and not _ASKS.search(name) for name in names)
    if rest == line or not is_name:
        return ""
    return "with a name" if names else "alone"


@cache
def _closings() -> re.Pattern[str]:
    from mailparser_reply.constants import MAIL_LANGUAGES

    # Swedish signs with "/Anna", which is how a path begins, too.
    known = [
        phrase.rstrip(",.")
        for language in MAIL_LANGUAGES.values()
        for phrase in language.get("signatures", ())
        if not phrase.startswith("/") and len(phrase.split()) < 5
    ]
    return re.compile(rf"(?:{'|'.join([*_MORE_CLOSINGS, *known])})(?!\w)[\s,.!/–-]*", re.IGNORECASE)


def _is_signature(lines: list[str], most: int) -> bool:
    """A few short lines that are no sentences; a disclaimer may follow them."""
    written = _written(_above_disclaimer(lines))
    return len(written) <= most and all(
        len(line) <= _LONGEST_LINE
        and not _ASKS.search(line)
        and not _BULLET.match(line)
        and not _SENTENCE_ENDS.search(line)
        and not line.lstrip().startswith(("/", "#", "|", "{"))
        for line in written
    )


def _above_disclaimer(lines: list[str]) -> list[str]:
    at = next((place for place, line in enumerate(lines) if _LEGAL.search(line[:500])), None)
    if at is None or len(_written(lines[at:])) > _MOST_DISCLAIMER_LINES:
        return lines
    above = lines[: _end(lines[:at])]
    return above[:-1] if above and _RULER.fullmatch(above[-1]) else above


def _is_disclaimer(lines: list[str]) -> bool:
    """What stands below a ruler, when it speaks of law from its first line on."""
    written = _written(lines)
    return 0 < len(written) <= _MOST_DISCLAIMER_LINES and bool(_LEGAL.search(written[0][:500]))


def _written(lines: list[str]) -> list[str]:
    return [line for line in lines if line.strip()]
