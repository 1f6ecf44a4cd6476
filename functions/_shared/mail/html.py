"""HTML bodies → text: what a reader sees, and nothing that was hidden from him.

The markup is first made regular and bounded, because the standard library's HTML parser takes quadratic time for
broken markup; then html2text turns it into text.
"""

from __future__ import annotations

import re
import textwrap
from html.parser import HTMLParser

from functions._shared.mail.limits import MAX_HTML_CHARACTERS, MAX_HTML_DEPTH
from functions._shared.mail.words import strip_invisible

_DROPPED = frozenset(
    {
        "script",
        "style",
        "head",
        "title",
        "template",
        "noscript",
        "iframe",
        "object",
        "svg",
        "math",
        "select",
        "textarea",
        "audio",
        "video",
    }
)
_VOID = frozenset(
    {"br", "hr", "img", "input", "meta", "link", "wbr", "col", "area", "base", "embed", "source", "track", "param"}
)
_KEPT = frozenset(
    {
        "br",
        "hr",
        "p",
        "div",
        "pre",
        "code",
        "ul",
        "ol",
        "li",
        "blockquote",
        "table",
        "tr",
        "td",
        "th",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "dl",
        "dt",
        "dd",
    }
)
# Nesting multiplies the length of each line that html2text writes.
_NESTED = {"blockquote": 4, "ul": 8, "ol": 8, "table": 8, "pre": 1, "code": 1, "dl": 8}
# html2text reads entities one by one, escapes what Markdown might take for markup and folds non-breaking spaces, by
# which some clients indent. These characters pass it in disguise: private-use ones, which it leaves alone.
_SPECIAL = "\u00a0&<>\\-+.*_#`"
_DISGUISE = {ord(character): chr(0xE000 + at) for at, character in enumerate(_SPECIAL)}
_CELL = "\ue0ff"  # stands between two cells of a row
_DISGUISE.update({0xE000 + at: "" for at in range(len(_SPECIAL))} | {ord(_CELL): ""})
_REVEAL = {0xE000 + at: " " if character == "\u00a0" else character for at, character in enumerate(_SPECIAL)}
_HIDING = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|font-size:0(?![.1-9])|opacity:0(?![.1-9])|mso-hide:all"
    r"|(?:max-)?(?:height|width):0(?![.1-9])|color:transparent|text-indent:-\d{3,}|left:-\d{3,}|clip:rect\(0"
)


def html_to_text(html: str) -> tuple[str, bool]:
    """The visible text, and whether all of it was read."""
    import html2text

    whole = len(html) <= MAX_HTML_CHARACTERS
    visible = _Visible()
    visible.feed(_regular(html[:MAX_HTML_CHARACTERS]))
    visible.close()
    writer = html2text.HTML2Text(bodywidth=0)
    writer.ignore_links = writer.ignore_images = writer.ignore_emphasis = writer.ignore_tables = True
    writer.unicode_snob = True
    writer.single_line_break = True
    return _plain(writer.handle("".join(visible.kept))), whole


def _regular(html: str) -> str:
    """Markup without comments and declarations, in which every `<` begins a tag that ends."""
    pieces: list[str] = []
    at = 0
    while at < len(html):
        opened = html.find("<", at)
        if opened == -1:
            pieces.append(html[at:])
            break
        pieces.append(html[at:opened])
        if html.startswith(("<!", "<?"), opened):
            is_comment = html.startswith("<!--", opened)
            end = html.find("-->" if is_comment else ">", opened)
            if end == -1:
                break
            at = end + (3 if is_comment else 1)
            continue
        tag = _TAG.match(html, opened)
        pieces.append(tag.group() if tag else "&lt;")
        at = tag.end() if tag else opened + 1
    return "".join(pieces)


_TAG = re.compile(r"</?[A-Za-z][^<>\"']{0,2000}(?:(?:\"[^\"]{0,4000}\"|'[^']{0,4000}')[^<>\"']{0,2000}){0,50}>")


class _Visible(HTMLParser):
    """Writes the kept tags, bare, and the text outside of everything hidden."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.kept: list[str] = []
        self._open: list[str] = []
        self._hidden_at: int | None = None  # depth of the outermost hidden element
        self._written: list[str] = []
        self._rows: list[list[bool]] = []  # of each open row: whether a cell had words, whether another began since

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            if tag in _KEPT and self._hidden_at is None:
                self.kept.append(f"<{tag}>")
            return
        if len(self._open) >= MAX_HTML_DEPTH:
            return
        self._open.append(tag)
        if tag == "tr":
            self._rows.append([False, False])
        elif tag in ("td", "th") and self._rows:
            self._rows[-1][1] = self._rows[-1][0]
        if self._hidden_at is None and (tag in _DROPPED or _is_hidden(attrs)):
            self._hidden_at = len(self._open)
        shown = self._hidden_at is None and tag in _KEPT and self._written.count(tag) < _NESTED.get(tag, MAX_HTML_DEPTH)
        self._written.append(tag if shown else "")
        if shown:
            self.kept.append(f"<{tag}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._open:
            return
        while self._open:
            closed, written = self._open.pop(), self._written.pop()
            if closed == "tr" and self._rows:
                self._rows.pop()
            if written:
                self.kept.append(f"</{written}>")
            if self._hidden_at is not None and len(self._open) < self._hidden_at:
                self._hidden_at = None
            if closed == tag:
                return

    def handle_data(self, data: str) -> None:
        if self._hidden_at is None:
            if self._rows and data.strip():
                if self._rows[-1][1]:
                    self.kept.append(_CELL)
                self._rows[-1][:] = [True, False]
            # A line break is a space here, and html2text takes the square of the number of lines in one text.
            shown = data if "pre" in self._written else data.replace("\n", " ")
            self.kept.append(shown.translate(_DISGUISE))


def _is_hidden(attributes: list[tuple[str, str | None]]) -> bool:
    for name, value in attributes:
        if name == "hidden" or (name == "aria-hidden" and value == "true"):
            return True
        if name == "style" and _HIDING.search(re.sub(r"\s|!important", "", (value or "").lower())):
            return True
    return False


def _plain(text: str) -> str:
    """The characters as they were, the cells of a row on one line, and no space at the end of a line."""
    lines = (line.rstrip() for line in _beside_each_other(text).translate(_REVEAL).split("\n"))
    return textwrap.dedent(strip_invisible("\n".join(lines))).strip("\n")


def _beside_each_other(text: str) -> str:
    """With a bar between two cells, and no white space but one around it."""
    first, *others = text.split(_CELL)
    if not others:
        return text
    return " | ".join([first.rstrip(), *(cell.strip() for cell in others[:-1]), others[-1].lstrip()])
