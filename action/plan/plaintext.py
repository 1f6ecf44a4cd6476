"""Text from outside as the model may see it: what a reader would see, bounded, and marked as data.

A letter may hold what only a program reads: zero-width characters, HTML comments, control characters. They are taken
out, so that nobody can say one thing to the people who read along and another to the model.
"""

from __future__ import annotations

import re
import unicodedata

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
# Format, control, surrogate, private use, unassigned: none of them is seen. Joiners go too; no wish depends on them.
_UNSEEN = frozenset({"Cf", "Cc", "Cs", "Co", "Cn"})
# Letters to a reader's eye blank, to Unicode letters or marks.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5") | {chr(code) for code in range(0xFE00, 0xFE10)}


def visible(text: str) -> str:
    """The text without what a reader does not see."""
    shown = _COMMENT.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(character for character in shown if character in "\n\t" or _is_seen(character))


def _is_seen(character: str) -> bool:
    return unicodedata.category(character) not in _UNSEEN and character not in _BLANK


def one_line(text: str, most: int) -> str:
    """A name on one line, as JSON would write it: a hostile file name can neither end the list nor begin a heading."""
    line = visible(text.replace("\n", "\\n").replace("\t", "\\t"))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def marked(name: str, text: str, mark: str) -> str:
    """Data between two lines that it cannot imitate, since `mark` was made up after it was written."""
    return f"<{name} {mark}>\n{text.replace(mark, '')}\n</{name} {mark}>"
