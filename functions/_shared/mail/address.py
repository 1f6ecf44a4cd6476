"""The one mailbox of a From header, or the reason why there is not exactly one (RFC 5322 §3.4, read strictly).

Whatever two readers could understand differently is refused: groups, lists, source routes, quoted local parts, encoded
words inside the address, and a display name that shows another address than the real one.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from functions._shared.mail.headers import Headers
from functions._shared.mail.words import decode_words

_ADDRESS = re.compile(r"(?P<local>[^\s@<>()\[\],;:\"\\]{1,64})@(?P<domain>[^\s@<>()\[\],;:\"\\]{1,253})")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_LOOKS_LIKE_ADDRESS = re.compile(r"[^\s@<>()\"',;:]{1,64}[@\uff20\ufe6b][^\s@<>()\"',;:]{1,253}")


@dataclass(frozen=True)
class From:
    """`address` is empty when `reason` is not. `claimed` is the best guess in any case, for the record only."""

    address: str
    domain: str
    claimed: str
    reason: str = ""


def read_from(headers: Headers) -> From:
    """Exactly one From header with exactly one address, or the reason: no-from, several-from, malformed-from …"""
    written = headers.all("from")
    claimed = _claimed(written[0]) if written else ""
    if not written:
        return From("", "", "", "no-from")
    if len(written) > 1:
        return From("", "", claimed, "several-from")
    mailbox = _mailbox(written[0])
    if isinstance(mailbox, str):
        return From("", "", claimed, mailbox)
    display, local, domain = mailbox
    address = f"{local}@{domain}"
    if _shows_another(display, address):
        return From("", "", address, "misleading-display-name")
    return From(address, domain, address)


def normal_domain(domain: str) -> str:
    """The domain in its one spelling (lower case, IDNA), empty if it is none."""
    import idna

    text = domain.strip().rstrip(".").lower()
    if len(text) > 253 or not text:
        return ""
    if not text.isascii():
        try:
            text = idna.encode(text, uts46=True).decode("ascii").lower()
        except (idna.IDNAError, UnicodeError):
            return ""
    return text if all(_LABEL.fullmatch(label) for label in text.split(".")) else ""


def _mailbox(value: str) -> tuple[str, str, str] | str:
    """Display name, local part, domain; or the reason why not."""
    tokens = _tokens(value)
    if tokens is None:
        return "malformed-from"
    kinds = [kind for kind, _ in tokens]
    if any(text in (",", ";", ":") for kind, text in tokens if kind == "special"):
        return "several-from" if "," in value or ";" in value else "malformed-from"
    if "angle" in kinds:
        if kinds.count("angle") > 1:
            return "several-from"
        if kinds[-1] != "angle" or "special" in kinds:
            return "malformed-from"
        display = " ".join(text for kind, text in tokens if kind in ("atom", "quoted"))
        if any("@" in text for kind, text in tokens if kind == "atom"):
            return "malformed-from"
        written = tokens[-1][1]
    else:
        if kinds != ["atom"]:
            return "malformed-from"
        display, written = "", tokens[0][1]
    return _split_address(display, written.strip())


def _split_address(display: str, written: str) -> tuple[str, str, str] | str:
    match = _ADDRESS.fullmatch(written)
    if not match or "=?" in written:
        return "malformed-from"
    local = unicodedata.normalize("NFC", match["local"]).lower()
    domain = normal_domain(match["domain"])
    if not domain or ("." not in domain and domain != "localhost"):
        return "malformed-from"
    if not all(character.isprintable() for character in local) or local.strip(".") != local or ".." in local:
        return "malformed-from"
    return display, local, domain


def _tokens(value: str) -> list[tuple[str, str]] | None:
    """Quoted strings, angles, specials and atoms, comments left out; None if a quote, comment or angle stays open."""
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(value):
        character = value[at]
        if character in " \t":
            at += 1
        elif character == "(":
            after = skip_comment(value, at)
            if after is None:
                return None
            at = after
        elif character == '"':
            quoted = read_quoted(value, at)
            if quoted is None:
                return None
            tokens.append(("quoted", quoted[0]))
            at = quoted[1]
        elif character == "<":
            end = value.find(">", at)
            if end == -1:
                return None
            tokens.append(("angle", value[at + 1 : end]))
            at = end + 1
        elif character in ",;:>)\\":
            tokens.append(("special", character))
            at += 1
        else:
            match = re.compile(r"[^\s()\"<>,;:\\]+").match(value, at)
            if match is None:
                return None
            tokens.append(("atom", match.group()))
            at = match.end()
    return tokens


def skip_comment(text: str, at: int) -> int | None:
    """The place after the comment that opens at `at`; comments nest, and a backslash escapes (RFC 5322 §3.2.2)."""
    depth = 0
    while at < len(text):
        character = text[at]
        if character == "\\":
            at += 1
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return None


def read_quoted(text: str, at: int) -> tuple[str, int] | None:
    """The content of the quoted string that opens at `at`, and the place after it (RFC 5322 §3.2.4)."""
    content: list[str] = []
    at += 1
    while at < len(text):
        character = text[at]
        if character == "\\" and at + 1 < len(text):
            content.append(text[at + 1])
            at += 2
            continue
        if character == '"':
            return "".join(content), at + 1
        content.append(character)
        at += 1
    return None


def _shows_another(display: str, address: str) -> bool:
    """Mail clients show the display name large and the address small or not at all."""
    shown = unicodedata.normalize("NFKC", decode_words(display)).lower()
    return any(found.strip(".'<>[]") != address for found in _LOOKS_LIKE_ADDRESS.findall(shown))


def _claimed(value: str) -> str:
    match = _ADDRESS.search(value)
    return decode_words(match.group()).lower() if match else decode_words(value)[:254]
