"""The specification that a mail's text itself may be, hold in a code block, or hold below a greeting."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, takewhile

from controlplane.spec import Format
from controlplane.specfile.detect import detect_format
from functions._shared.mail.farewell import cut_farewell
from functions._shared.mail.limits import MAX_WRITTEN_CHARACTERS

_FENCE_OPENS = re.compile(r"```[ \t]*(?:yaml|yml|json|text)?[ \t]*", re.IGNORECASE)
# A block may be indented as a whole: html2text writes <pre> so, and many people paste so.
_SPEC_BEGINS = re.compile(
    r"^([ \t]*)(?:meta[ \t]*:[ \t]*\r?$|---[ \t]*\r?$|\{[ \t]*(?:\r?$|\"|[“”„]))", re.IGNORECASE | re.MULTILINE
)
# One whose writer has forgotten `meta`; what follows must then be nothing but keys.
_LOOSELY_BEGINS = re.compile(
    r"^([ \t]*)(?:planning|sprints|epics|dod|repo|repository|project)[ \t]*:", re.IGNORECASE | re.MULTILINE
)
_KEY_OR_DEEPER = re.compile(r"[ \t#-]|[\"']?[A-Za-z_]+[\"']?[ \t]*:")
_JSON_META = re.compile(r"[\"“”„]meta[\"“”„][ \t\r\n]*:")
_MOST_BEGINNINGS = 5
_CURLY = re.compile("[“”„‟‘’‚‛]")
_QUOTED = re.compile(
    r"(?P<before>(?:^|[:\-\[{,])[ \t]*)(?:[“”„‟](?P<double>[^“”„‟\"\n]{0,2000})[“”‟]"
    r"|[‘’‚‛](?P<single>[^‘’‚‛'\n]{0,2000})[‘’‛])"
    r"(?=[ \t]*(?:$|[,\]}:#]))",
    re.MULTILINE,
)


def find_specification(text: str) -> tuple[Format, str] | None:
    """The text itself where it begins as one, else a code block, what follows a greeting, and last the whole again."""
    whole = detect_format(text)
    if whole == "yaml":
        return whole, _without_closing(text)
    if whole == "json" or (whole == "markdown" and text.lstrip().startswith("---")):
        return whole, text
    found = _in_fence(text) or _below_greeting(text) or _loosely(text)
    return found or ((whole, text) if whole != "text" else None)


def begins_specification(line: str) -> bool:
    """Whether a line can be a specification's first one."""
    return _SPEC_BEGINS.match(line) is not None


def straighten_quotes(text: str) -> str:
    """A word processor's quotes around a whole value or key as the plain ones that YAML and JSON know."""
    if not _CURLY.search(text):
        return text
    return _QUOTED.sub(_straight, text)


def _straight(match: re.Match[str]) -> str:
    if match["double"] is not None:
        return match.group() if "\\" in match["double"] else f'{match["before"]}"{match["double"]}"'
    return f"{match['before']}'{match['single']}'"


def _in_fence(text: str) -> tuple[Format, str] | None:
    for block in islice(_fenced_blocks(text), _MOST_BEGINNINGS):
        inner = detect_format(block)
        if inner == "yaml" or (inner == "json" and _JSON_META.search(block)):
            return inner, block
    return None


def _below_greeting(text: str) -> tuple[Format, str] | None:
    for match in islice(_SPEC_BEGINS.finditer(text), _MOST_BEGINNINGS):
        tail = _outdented(text[match.start() :], match[1])
        inner = detect_format(tail)
        if inner == "json" and not _JSON_META.search(tail):
            continue
        if inner != "text":
            return inner, _without_farewell(tail) if inner == "json" else _without_closing(tail)
    return None


def _loosely(text: str) -> tuple[Format, str] | None:
    for match in islice(_LOOSELY_BEGINS.finditer(text), _MOST_BEGINNINGS):
        rest = text[match.start() : match.start() + MAX_WRITTEN_CHARACTERS]
        lines = _outdented(rest, match[1]).split("\n")
        block = "\n".join(takewhile(lambda line: not line.strip() or _KEY_OR_DEEPER.match(line), lines))
        if detect_format(block) == "yaml":
            return "yaml", block
    return None


def _without_closing(text: str) -> str:
    """A line "Thanks!" below YAML would break it."""
    return "\n".join(cut_farewell(text.split("\n"), is_letter=False))


def _without_farewell(json: str) -> str:
    """JSON ends with its last bracket; what follows is for people."""
    end = json.rfind("}")
    return json[: end + 1] if end >= 0 else json


def _outdented(text: str, indent: str) -> str:
    """An indented block without its indentation, up to the first line that stands left of it."""
    if not indent:
        return text
    lines = takewhile(lambda line: not line.strip() or line.startswith(indent), text.split("\n"))
    return "\n".join(line.removeprefix(indent) for line in lines)


def _fenced_blocks(text: str) -> Iterator[str]:
    """What stands between ```yaml and ```; a block that is never closed is none."""
    block: list[str] | None = None
    for line in text.split("\n"):
        if block is None:
            block = [] if _FENCE_OPENS.fullmatch(line.rstrip()) else None
        elif line.rstrip() == "```":
            yield "\n".join(block) + "\n"
            block = None
        else:
            block.append(line)
