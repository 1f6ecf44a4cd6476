"""What a mail asks for: the specifications attached to it or written in it."""

from __future__ import annotations

from dataclasses import dataclass

from controlplane.message import LETTER_NAME, SpecAttachment
from controlplane.spec import Format
from controlplane.specfile.decode import decode_text
from controlplane.specfile.detect import detect_format, format_of_name
from controlplane.specfile.tree import Unreadable
from functions._shared.mail.archive import unpack
from functions._shared.mail.letter import Letter, add_forwarded, read_letter
from functions._shared.mail.limits import MAX_ARCHIVES, MAX_SPEC_BYTES, MAX_SPECS, MAX_TOTAL_BYTES, MAX_ZIP_BYTES
from functions._shared.mail.parts import Part

_SUFFIXES = (".yaml", ".yml", ".json", ".md", ".markdown", ".txt")
# What people attach who write in a word processor. Nothing here reads it, and they have to be told.
_DOCUMENTS = (".pdf", ".doc", ".docx", ".odt", ".rtf", ".pages", ".xls", ".xlsx", ".ods", ".ppt", ".pptx")
_NEVER = ("image/", "audio/", "video/", "font/")
_NEVER_TYPES = frozenset(
    {"text/calendar", "text/vcard", "text/x-vcard", "application/pgp-signature", "application/pkcs7-signature"}
)
_ZIP_TYPES = frozenset({"application/zip", "application/x-zip-compressed", "application/x-zip"})
_ENCRYPTED = frozenset({"application/pgp-encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"})
_MAYBE_TEXT = ("text/", "application/octet-stream", "application/json", "application/yaml", "application/x-yaml")


@dataclass(frozen=True)
class Content:
    specs: tuple[SpecAttachment, ...]
    body_text: str
    problems: tuple[str, ...]


def read_content(parts: list[Part], subject: str = "") -> Content:
    """A written specification beats a letter; an attached one beats one in the mail's text. A mail that came along as
    an attachment is part of the letter."""
    body = [part for part in parts if not part.is_attachment and part.content_type in ("text/plain", "text/html")]
    letter = read_letter([part for part in body if not part.is_forwarded], subject)
    forwarded = [part for part in body if part.is_forwarded]
    if forwarded:
        letter = add_forwarded(letter, read_letter(forwarded))
    problems = list(letter.problems)
    attached = _attached([part for part in parts if part not in body], problems)
    specs = _choose(attached, letter)
    if len(specs) > MAX_SPECS:
        problems.append(f"The mail carries more than {MAX_SPECS} specifications; the others were not read.")
    return Content(tuple(specs[:MAX_SPECS]), letter.text, tuple(problems))


def _choose(attached: list[SpecAttachment], letter: Letter) -> list[SpecAttachment]:
    written = [spec for spec in attached if spec.format != "text"]
    if written:
        return written
    if letter.structured:
        found, text = letter.structured
        return [SpecAttachment(name=LETTER_NAME, format=found, content=text.encode("utf-8"))]
    if attached:
        return attached
    if letter.text.strip():
        return [SpecAttachment(name=LETTER_NAME, format="text", content=letter.text.encode("utf-8"))]
    return []


def _attached(parts: list[Part], problems: list[str]) -> list[SpecAttachment]:
    found: list[SpecAttachment] = []
    archives = 0
    for part in parts:
        if len(found) > MAX_SPECS or sum(len(spec.content) for spec in found) > MAX_TOTAL_BYTES:
            break
        name = part.name or "an attachment"
        if part.content_type.startswith(_NEVER) or part.content_type in _NEVER_TYPES:
            continue
        if part.content_type in _ENCRYPTED:
            problems.append("The mail is encrypted and cannot be read. Send it without encryption.")
        elif part.content_type == "application/ms-tnef" or name.lower() == "winmail.dat":
            problems.append("The attachments are packed as winmail.dat. Send the mail as plain text or HTML.")
        elif part.content_type in _ZIP_TYPES or name.lower().endswith(".zip"):
            archives += 1
            if archives > MAX_ARCHIVES:
                problems.append(f"The mail carries more than {MAX_ARCHIVES} archives; the others were not opened.")
                break
            found.extend(_from_archive(part, name, problems))
        elif not part.is_readable:
            problems.append(f"'{name}' is encoded in a way that is no longer read (uuencode).")
        else:
            found.extend(_from_part(part, name, problems))
    return found


def _from_part(part: Part, name: str, problems: list[str]) -> list[SpecAttachment]:
    if name.lower().endswith(_DOCUMENTS):
        problems.append(f"'{name}' was not read: write its words into the mail, or attach .yaml, .json, .md or .txt.")
        return []
    is_named = name.lower().endswith(_SUFFIXES)
    if not is_named and not part.content_type.startswith(_MAYBE_TEXT):
        return []
    content = part.decode(MAX_SPEC_BYTES)
    if content is None:
        problems.append(f"'{name}' is longer than {MAX_SPEC_BYTES >> 20} MiB and was not read.")
        # What is too long is handed on as too long, so that the answer to the sender can say so.
        return [_attachment(name, b" " * (MAX_SPEC_BYTES + 1))] if is_named else []
    return _candidate(name, content, is_named=is_named)


def _from_archive(part: Part, name: str, problems: list[str]) -> list[SpecAttachment]:
    data = part.decode(MAX_ZIP_BYTES)
    if data is None:
        problems.append(f"'{name}' is longer than {MAX_ZIP_BYTES >> 20} MiB and was not opened.")
        return []
    files, reasons = unpack(data, name)
    problems.extend(reasons)
    return [
        spec
        for inner, content in files
        for spec in _candidate(inner, content, is_named=inner.lower().endswith(_SUFFIXES))
    ]


def _candidate(name: str, content: bytes, *, is_named: bool) -> list[SpecAttachment]:
    """A file that is named like a specification is one; another only if its content says so."""
    found = _attachment(name, content)
    return [found] if is_named or found.format != "text" else []


def _attachment(name: str, content: bytes) -> SpecAttachment:
    return SpecAttachment(name=name, format=_format(content, name), content=content)


def _format(content: bytes, name: str) -> Format:
    try:
        return detect_format(decode_text(content), name)
    except Unreadable:
        return format_of_name(name) or "text"
