"""Specifications from an attached zip archive: bounded, no paths, nothing written to disk, no archive in an archive."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib

from functions._shared.mail.limits import MAX_SPEC_BYTES, MAX_UNPACKED_BYTES, MAX_ZIP_ENTRIES
from functions._shared.mail.words import clean_line

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others may want gigabytes for their dictionaries


def unpack(data: bytes, shown_name: str) -> tuple[list[tuple[str, bytes]], list[str]]:
    """Name and content of each file in the archive that can be a specification, and the problems."""
    if data.count(b"PK\x01\x02") > 10 * MAX_ZIP_ENTRIES:
        return [], [f"'{shown_name}' holds too many files; at most {MAX_ZIP_ENTRIES} are read. Attach them one by one."]
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(archive, shown_name)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, NotImplementedError, KeyError):
        return [], [f"'{shown_name}' cannot be unpacked. Attach the specification itself."]


def _read(archive: zipfile.ZipFile, shown_name: str) -> tuple[list[tuple[str, bytes]], list[str]]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir() and not _is_clutter(entry.filename)]
    if len(entries) > MAX_ZIP_ENTRIES:
        return [], [f"'{shown_name}' holds more than {MAX_ZIP_ENTRIES} files. Attach the specification itself."]
    found: list[tuple[str, bytes]] = []
    problems: list[str] = []
    left = MAX_UNPACKED_BYTES
    for entry in entries:
        name = clean_line(entry.filename.replace("\\", "/").rsplit("/", 1)[-1])[-120:]
        reason = _refusal(entry)
        if reason:
            problems.append(f"'{name}' in '{shown_name}' {reason}")
            continue
        with archive.open(entry) as stream:
            content = stream.read(min(left, MAX_SPEC_BYTES) + 1)
        left -= len(content)
        if left < 0:
            return [], [f"'{shown_name}' unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB. Attach the file itself."]
        found.append((name, content))
    return found, problems


def _is_clutter(name: str) -> bool:
    """What macOS adds to every archive."""
    return name.startswith("__MACOSX/") or name.rsplit("/", 1)[-1] in (".DS_Store", "Thumbs.db")


def _refusal(entry: zipfile.ZipInfo) -> str:
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a link, not a file."
    if entry.flag_bits & 0x1:
        return "is encrypted. Send it without a password."
    if entry.filename.lower().endswith((".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".xz", ".bz2")):
        return "is an archive in an archive and is not opened."
    if entry.compress_type not in _METHODS:
        return "is packed by a method that is not read. Pack it as an ordinary zip."
    return ""
