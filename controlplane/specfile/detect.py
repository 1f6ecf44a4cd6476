"""Which of the four formats a document is written in. What it says counts first, its name only where that is unsure."""

from __future__ import annotations

import re

from controlplane.spec import Format

_SUFFIXES: dict[str, Format] = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".md": "markdown",
    ".markdown": "markdown",
}
_SECTIONS = "meta|planning|runtime|tests|policies|files|dod"
_YAML_SECTION = re.compile(
    rf"^[\"']?(?:{_SECTIONS})[\"']?[ \t]*:[ \t]*(?:[\[{{|>#].*)?\r?$", re.IGNORECASE | re.MULTILINE
)
_YAML_META = re.compile(r"^[\"']?(?:meta|planning)[\"']?[ \t]*:", re.IGNORECASE | re.MULTILINE)
_FENCE_LINE = re.compile(r"^---[ \t]*\r?$", re.MULTILINE)
_ANY_SECTION = re.compile(rf"[\"']?(?:{_SECTIONS})[\"']?[ \t]*:", re.IGNORECASE)
_SPRINT_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+sprint\b", re.IGNORECASE | re.MULTILINE)
_OUTER_KEY = re.compile(
    r"[\"']?(?P<key>project|repo|repository|branch|sprints|epics|planning|dod)[\"']?[ \t]*:"
    r"(?P<opens>[ \t]*(?:[\[{#].*)?\r?$)?",
    re.IGNORECASE,
)
_ANY_KEY = re.compile(r"[\"']?[A-Za-z_]{1,40}[\"']?[ \t]*:(?:[ \t]|\r?$)")
_FRONT_KEY = re.compile(r"^(?:meta|project|repo|dod)[ \t]*:", re.IGNORECASE | re.MULTILINE)


def detect_format(text: str, name: str = "") -> Format:
    """The format. Text that shows no structure is a letter, unless its name says that structure was meant."""
    by_name = format_of_name(name)
    start = text.lstrip()
    if by_name != "markdown" and (bracketed := _bracketed_format(start)):
        return "yaml" if by_name == "yaml" else bracketed
    front = _front(start)
    if front and (by_name == "markdown" or _YAML_SECTION.search(front[2]) is None):
        return "markdown"
    if by_name:
        return by_name
    if _first_line_is_section(text) and _YAML_META.search(text) and _YAML_SECTION.search(text):
        return "yaml"
    if _holds_only_keys(text):
        return "yaml"
    return "markdown" if _SPRINT_HEADING.search(text) else "text"


def format_of_name(name: str) -> Format | None:
    """What a file's name promises; only its ending is looked at."""
    lowered = name.casefold().rstrip(". ")
    return next((found for suffix, found in _SUFFIXES.items() if lowered.endswith(suffix)), None)


def _bracketed_format(start: str) -> Format | None:
    """JSON or flow YAML begins with a bracket; a letter may begin with `[urgent]`."""
    if re.match(r"\{\s*[A-Za-z_]", start):
        return "yaml"
    return "json" if re.match(r"\{|\[\s*[\[{\"\d]", start) else None


def _first_line_is_section(text: str) -> bool:
    """Whether the first line that is neither blank, comment nor '---' opens a section of a specification."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith(("#", "---", "%")))
    return _ANY_SECTION.match(next(lines, "")) is not None


def _holds_only_keys(text: str) -> bool:
    """Whether it is a specification whose writer forgot `meta`: keys of ours and what stands below, no more.

    One of them must open a list or a group, since a letter may begin with a line for its repository.
    """
    named: set[str] = set()
    opens = False
    for line in text.splitlines():
        if line.startswith((" ", "\t", "#", "-")) or not line.strip():
            continue
        outer = _OUTER_KEY.match(line)
        if outer:
            named.add(outer["key"].lower())
            opens = opens or outer["opens"] is not None
        elif not _ANY_KEY.match(line):
            return False
    return opens and len(named) > 1


def _front(start: str) -> list[str]:
    """`["", front, rest]` where the text begins with front matter that holds a key of ours, else empty."""
    if not _FENCE_LINE.match(start):
        return []
    parts = _FENCE_LINE.split(start, maxsplit=2)
    return parts if len(parts) == 3 and _FRONT_KEY.search(parts[1]) else []
