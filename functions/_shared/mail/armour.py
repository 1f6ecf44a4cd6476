"""What programs put around or into a letter's text: the armour of PGP, and files of the time before MIME."""

from __future__ import annotations

import re

from functions._shared.mail.words import clean_line

_SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----"
_ENCRYPTED = "-----BEGIN PGP MESSAGE-----"
_BLOCKS = ("SIGNATURE", "PUBLIC KEY BLOCK", "MESSAGE")
_ARMOUR_HEADERS = re.compile(r"(?:[ \t]*\n)?(?:[A-Z][A-Za-z-]{1,30}:[^\n]{0,200}\n)*[ \t]*\n?")
_ESCAPED = re.compile(r"^- (?=-)", re.MULTILINE)
_UUENCODED = re.compile(
    r"^begin [0-7]{3,4} (?P<name>\S[^\n]{0,200})\n(?:[!-`][ -`]{0,80}\n|\n){0,20000}?end[ \t]*$", re.MULTILINE
)
_MOST_FILES = 5


def take_out_armour(text: str, problems: list[str]) -> str:
    """The text that was signed, as it was typed; a secret one is a problem."""
    if _ENCRYPTED in text:
        problems.append("The mail is encrypted and cannot be read. Send it without encryption.")
    for kind in _BLOCKS:
        text = _without_block(text, f"-----BEGIN PGP {kind}-----", f"-----END PGP {kind}-----")
    above, mark, signed = text.partition(_SIGNED)
    if not mark:
        return text
    headers = _ARMOUR_HEADERS.match(signed)
    return above + _ESCAPED.sub("", signed[headers.end() if headers else 0 :])


def take_out_uuencoded(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without files that were typed into it, and their names."""
    if "\nend" not in text:
        return text, ()
    names = tuple(clean_line(match["name"])[:120] for match in _UUENCODED.finditer(text))[:_MOST_FILES]
    return (_UUENCODED.sub("", text), names) if names else (text, ())


def _without_block(text: str, begin: str, end: str) -> str:
    """Without the first such block; one that never ends is left as it is."""
    opened = text.find(begin)
    closed = text.find(end, opened) if opened >= 0 else -1
    return text if closed < 0 else text[:opened] + text[closed + len(end) :]
