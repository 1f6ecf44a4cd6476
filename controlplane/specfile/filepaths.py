"""Where a file that a requester brings along may be written: inside the repository, under one name on every system,
and never where it would change who judges.

Git refuses `.git` in the disguises that HFS+ and NTFS fold together (CVE-2014-9390); the same disguises are refused
here for every protected name.
"""

from __future__ import annotations

import re
import unicodedata

MAX_PATH_LENGTH = 240
# Part of the JSON Schema too: relative, no empty step, no step of dots, no backslash, no control character, no step
# that begins with a space or ends with a space or a dot (Windows drops those).
PATH = (
    r"^(?!/)(?!(?:.*/)? )(?!.*[ .](?:/|$))(?!.*//)(?!(?:.*/)?\.{1,2}(?:/|$))"
    r"[^\x00-\x1f\x7f\\\ud800-\udfff]{1,240}(?<!/)$"
)

PROTECTED = frozenset({".github", "codeowners", ".claude", ".mcp.json", ".gitmodules", ".husky", ".aicd"})
_NTFS_STREAM_OR_SHORT = re.compile(r"(?::.*|~\d+)$")


def check_file_path(path: str) -> str:
    """The path itself. Raises `ValueError` with the reason, fit to follow the name of the field."""
    _check_shape(path)
    if unicodedata.normalize("NFC", path) != path:
        raise ValueError("is not in Unicode's composed form (NFC); type its accented letters anew.")
    if any(unicodedata.category(character) in ("Cf", "Cc", "Co", "Cn", "Zl", "Zp") for character in path):
        raise ValueError("holds an invisible character. Delete it.")
    folded = unicodedata.normalize("NFKC", path)
    if folded != path:
        try:
            _check_shape(folded)
        except ValueError:
            raise ValueError("holds a look-alike of '/', '\\' or '.'. Write plain letters.") from None
    _check_steps(folded)
    return path


def clash_key(path: str) -> str:
    """Two paths with the same key are one file on some system."""
    return unicodedata.normalize("NFKC", path).casefold()


def _check_shape(path: str) -> None:
    if len(path) > MAX_PATH_LENGTH:
        raise ValueError(f"is longer than {MAX_PATH_LENGTH} characters.")
    if "\\" in path:
        raise ValueError("holds a backslash. Separate folders by '/'.")
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:", path):
        raise ValueError("is an absolute path. Write it relative to the root of the repository.")
    if any(step == ".." for step in path.split("/")):
        raise ValueError("leads out of the repository ('..').")
    if any(step != step.rstrip(" .") or step != step.lstrip(" ") for step in path.split("/") if step.strip("./ ")):
        raise ValueError("has a folder or file name that begins with a space, or ends with a space or a dot.")
    if "\n" in path or re.search(PATH, path) is None:
        raise ValueError("is not a plain relative path, as in 'src/shop/basket.py'.")


def _check_steps(path: str) -> None:
    for step in path.split("/"):
        plain = _NTFS_STREAM_OR_SHORT.sub("", step.casefold()).rstrip(" .")
        if plain == ".git" or step.casefold().startswith("git~"):
            raise ValueError("lies in git's own folder '.git'.")
        if plain in PROTECTED:
            raise ValueError(f"touches '{step}', which says who reviews, what runs and what judges. It is protected.")
