"""What a mail asks for: the specifications attached to it or written in it, and what of it was not read."""

from __future__ import annotations

from dataclasses import dataclass, field

from controlplane.message import LETTER_NAME, SpecAttachment
from controlplane.spec import Format
from controlplane.specfile.decode import decode_text
from controlplane.specfile.detect import detect_format, format_of_name
from controlplane.specfile.tree import Unreadable
from functions._shared.mail.archive import unpack
from functions._shared.mail.letter import Letter, Occasion, add_forwarded, read_letter
from functions._shared.mail.limits import MAX_ARCHIVES, MAX_SPEC_BYTES, MAX_SPECS, MAX_TOTAL_BYTES, MAX_ZIP_BYTES
from functions._shared.mail.parts import Part
from functions._shared.mail.pointing import is_mere_pointer, speaks_of_files

_SUFFIXES = (".yaml", ".yml", ".json", ".md", ".markdown", ".txt")
# What people attach who write in a word processor. Nothing here reads it, and they have to be told.
_DOCUMENTS = (".pdf", ".doc", ".docx", ".odt", ".rtf", ".pages", ".xls", ".xlsx", ".ods", ".ppt", ".pptx")
_PICTURES = ("image/", "font/")
# What a mail program or a mail server adds, and nobody means to be read.
_MEANINGLESS = frozenset(
    {
        "text/calendar",
        "text/vcard",
        "text/x-vcard",
        "application/ics",
        "application/pgp-signature",
        "application/pgp-keys",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
    }
)
_ZIP_TYPES = frozenset({"application/zip", "application/x-zip-compressed", "application/x-zip"})
_ENCRYPTED = frozenset({"application/pgp-encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"})
_MAYBE_TEXT = ("text/", "application/octet-stream", "application/json", "application/yaml", "application/x-yaml")
_INSTEAD = "write its words into the mail, or attach .yaml, .json, .md or .txt."


@dataclass(frozen=True)
class Content:
    """`unread` are the names of files that somebody may have meant; `problems` say why each was not read."""

    specs: tuple[SpecAttachment, ...]
    body_text: str
    problems: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass
class _Files:
    """What was found among the attachments so far."""

    specs: list[SpecAttachment] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    archives: int = 0

    def leave(self, name: str, problem: str) -> None:
        self.unread.append(name)
        self.problems.append(problem)


def read_content(parts: list[Part], occasion: Occasion) -> Content:
    """A written specification beats a letter; an attached one beats one in the mail's text. A mail that came along as
    an attachment is part of the letter."""
    body = [part for part in parts if not part.is_attachment and part.content_type in ("text/plain", "text/html")]
    letter = read_letter([part for part in body if not part.is_forwarded], occasion)
    forwarded = [part for part in body if part.is_forwarded]
    if forwarded:
        letter = add_forwarded(letter, read_letter(forwarded, Occasion(is_reply=True, is_proven=occasion.is_proven)))
    files = _Files()
    for name in letter.unread:
        files.leave(name, f"'{name}' is encoded in a way that is no longer read (uuencode).")
    _read_attached([part for part in parts if part not in body], files, letter.text)
    specs, left_out = _choose(files.specs, letter)
    if len(specs) > MAX_SPECS:
        files.problems.append(f"The mail carries more than {MAX_SPECS} specifications; the others were not read.")
    problems = (*letter.problems, *files.problems)
    return Content(tuple(specs[:MAX_SPECS]), letter.text, problems, (*letter.left_out, *left_out), tuple(files.unread))


def _choose(attached: list[SpecAttachment], letter: Letter) -> tuple[list[SpecAttachment], list[str]]:
    """What is to be built, and what therefore is not, in words."""
    written = [spec for spec in attached if spec.format != "text"]
    if written:
        left = [
            f"'{spec.name}' was not read, since a specification is attached."
            for spec in attached
            if spec not in written
        ]
        own = "The specification in your mail's own text was not read, since one is attached."
        return written, [*left, *([own] if letter.structured else [])]
    if letter.structured:
        left = [f"'{spec.name}' was not read, since your text holds a specification." for spec in attached]
        return [_letter(letter.structured[0], letter.structured[1])], left
    if not attached:
        return ([_letter("text", letter.text)] if letter.text.strip() else []), []
    if is_mere_pointer(letter.text) or not letter.text.strip():
        return attached, []
    if len(attached) == 1:
        return [_with_cover(attached[0], letter.text)], []
    return attached, ["Your mail's own text was not read, since several files of text are attached."]


def _letter(written: Format, text: str) -> SpecAttachment:
    return SpecAttachment(name=LETTER_NAME, format=written, content=text.encode("utf-8"))


def _with_cover(spec: SpecAttachment, cover: str) -> SpecAttachment:
    """A wish that is partly in the mail and partly in a file; too long a file is still told as too long."""
    try:
        text = decode_text(spec.content)
    except Unreadable:
        return spec
    return spec.model_copy(update={"content": f"{cover.strip()}\n\n{text}".encode()})


def _read_attached(parts: list[Part], files: _Files, text: str) -> None:
    for part in parts:
        if len(files.specs) > MAX_SPECS or sum(len(spec.content) for spec in files.specs) > MAX_TOTAL_BYTES:
            break
        name = part.name or "an attachment"
        kind = part.content_type
        if kind in _MEANINGLESS or (kind.startswith(_PICTURES) and not _is_meant(part, text)):
            continue
        if kind in _ENCRYPTED:
            files.leave(name, "The mail is encrypted and cannot be read. Send it without encryption.")
        elif kind == "application/ms-tnef" or name.lower() == "winmail.dat":
            files.leave(name, "The attachments are packed as winmail.dat. Send the mail as plain text or HTML.")
        elif kind in _ZIP_TYPES or name.lower().endswith(".zip"):
            files.archives += 1
            if files.archives > MAX_ARCHIVES:
                files.leave(name, f"The mail carries more than {MAX_ARCHIVES} archives; the others were not opened.")
                break
            _read_archive(part, name, files)
        elif not part.is_readable:
            files.leave(name, f"'{name}' is encoded in a way that is no longer read (uuencode).")
        else:
            _read_part(part, name, files)


def _is_meant(part: Part, text: str) -> bool:
    """Whether somebody may have meant a picture to be read; most are logos."""
    return not text.strip() or (not part.is_shown and speaks_of_files(text))


def _read_part(part: Part, name: str, files: _Files) -> None:
    is_named = name.lower().endswith(_SUFFIXES)
    if name.lower().endswith(_DOCUMENTS):
        files.leave(name, f"'{name}' was not read: {_INSTEAD}")
    elif part.content_type.startswith((*_PICTURES, "audio/", "video/")):
        what = "pictures" if part.content_type.startswith("image/") else "recordings"
        files.leave(name, f"'{name}' was not read, since {what} are not: {_INSTEAD}")
    elif not is_named and not part.content_type.startswith(_MAYBE_TEXT):
        files.leave(name, f"'{name}' was not read, since files of its kind are not: {_INSTEAD}")
    else:
        _read_text(part, name, files, is_named=is_named)


def _read_text(part: Part, name: str, files: _Files, *, is_named: bool) -> None:
    content = part.decode(MAX_SPEC_BYTES)
    if content is None:
        files.leave(name, f"'{name}' is longer than {MAX_SPEC_BYTES >> 20} MiB and was not read.")
        # What is too long is handed on as too long, so that the answer to the sender can say so.
        files.specs.extend([_attachment(name, b" " * (MAX_SPEC_BYTES + 1))] if is_named else [])
        return
    found = _candidate(name, content, is_named=is_named)
    files.specs.extend(found)
    if not found and content.strip():
        files.leave(name, f"'{name}' was not read, since files of its kind are not: {_INSTEAD}")


def _read_archive(part: Part, name: str, files: _Files) -> None:
    data = part.decode(MAX_ZIP_BYTES)
    if data is None:
        files.leave(name, f"'{name}' is longer than {MAX_ZIP_BYTES >> 20} MiB and was not opened.")
        return
    inner_files, reasons = unpack(data, name)
    for reason in reasons:
        files.leave(name, reason)
    found = [
        spec
        for inner, content in inner_files
        for spec in _candidate(inner, content, is_named=inner.lower().endswith(_SUFFIXES))
    ]
    files.specs.extend(found)
    if not found and not reasons:
        files.leave(name, f"'{name}' holds no file that is read: pack .yaml, .json, .md or .txt, or attach them.")


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
