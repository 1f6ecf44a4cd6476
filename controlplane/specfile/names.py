"""What may be the name of a repository, a branch, a sprint, a story, a requester: the patterns, and what is wrong.

Each pattern is one regular expression for both the check and the published JSON Schema, so that the two agree.
"""

from __future__ import annotations

import re

REPOSITORY = r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}/(?!\.{1,2}$)(?!.*\.git$)[A-Za-z0-9._-]{1,100}$"
# git-check-ref-format(1), rules 1 to 10, as one expression; at most 200 characters.
BRANCH = (
    r"^(?![-/.])(?!@$)(?!.*(?:\.\.|//|/\.|@\{|\.lock(?:/|$)))"
    r"[^\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]{1,200}(?<![/.])$"
)
# A label becomes part of a branch name and of test names.
LABEL = r"^(?!.*\.\.)(?!.*\.lock$)[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?<!\.)$"
ADDRESS = r"^[^\s@<>()\[\],;:\"\\]{1,64}@[^\s@<>()\[\],;:\"\\]{1,189}$"

_URL = re.compile(
    r"(?:https?://|ssh://git@|git@)?(?:www\.)?github\.com[/:](?P<name>[A-Za-z0-9-]+/[A-Za-z0-9._-]+?)(?:\.git)?/?",
    re.IGNORECASE,
)


def is_named(pattern: str, text: str) -> bool:
    """Whether the whole text fits the pattern; `$` alone would let a final line break through."""
    return "\n" not in text and re.search(pattern, text) is not None


def check_repository(text: str) -> str:
    """The name itself. Raises `ValueError` with what to write instead."""
    if is_named(REPOSITORY, text):
        return text
    url = _URL.fullmatch(text.strip())
    meant = url["name"] if url else text.strip().removesuffix("/").removesuffix(".git")
    hint = f" Did you mean '{meant}'?" if is_named(REPOSITORY, meant) else ""
    raise ValueError(f"should be OWNER/NAME, as in 'acme/shop'.{hint}")


def check_branch(text: str) -> str:
    """The name itself. Raises `ValueError`."""
    if is_named(BRANCH, text):
        return text
    meant = re.sub(r"[^A-Za-z0-9._/-]+", "-", text).strip("-/.").removeprefix("refs/heads/")
    hint = f" Did you mean '{meant}'?" if is_named(BRANCH, meant) else ""
    raise ValueError(f"is not a name that git accepts for a branch.{hint}")


def check_label(text: str) -> str:
    """The label itself. Raises `ValueError`."""
    if is_named(LABEL, text):
        return text
    meant = slug(text)
    hint = f" Did you mean '{meant}'?" if meant else ""
    raise ValueError(f"should be a short name of letters, digits, '-', '_' and '.', at most 64.{hint}")


def check_address(text: str) -> str:
    """The address itself. Raises `ValueError`."""
    if is_named(ADDRESS, text):
        return text
    raise ValueError("should be one e-mail address, as in 'ann@example.org'.")


def slug(text: str) -> str:
    """The nearest label to a text, empty where there is none."""
    near = re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9._-]+", "-", text[:200])).strip("-._")[:64].rstrip(".")
    return near if is_named(LABEL, near) else ""


def find_repository(text: str) -> str:
    """The one repository that a letter names, by URL or after a word like `repository:`; empty if none or several."""
    found = {match["name"] for match in _URL_IN_TEXT.finditer(text)}
    found |= {match["name"] for match in _LINE_IN_TEXT.finditer(text)}
    named = {name.rstrip(".").removesuffix(".git") for name in found}
    named = {name for name in named if is_named(REPOSITORY, name)}
    return named.pop() if len({name.lower() for name in named}) == 1 else ""


_URL_IN_TEXT = re.compile(r"\bgithub\.com[/:](?P<name>[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100})", re.IGNORECASE)
_LINE_IN_TEXT = re.compile(
    r"^[ \t]{0,8}(?:repo|repository)[ \t]{0,8}[:=][ \t]{0,8}(?P<name>[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100})[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
