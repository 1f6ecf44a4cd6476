"""Markdown → `Tree`, in the same shape as a YAML document.

Front matter between two '---' lines holds `project`, `repo`, `branch`, `requester_email`, `title` and, as in YAML,
`dod`, `tests`, `runtime`, `policies`. Then, by CommonMark's block rules:

    ## Sprint 1: Basket              a sprint; its label is `sprint-1` (`## Sprint basket: …` gives `basket`)
    - what the sprint is for         goals: list items and paragraphs under the sprint's heading
    ### US1: Put things in           a story: a heading that begins with an id, or with "Story"
    As a shopper I want … so that …
    - [ ] The basket shows the sum   an acceptance line: check-list items, or any items under "Acceptance criteria"
    ### Definition of Done           the sprint's own, as a YAML code block or as items `coverage_min: 0.8`
    ```python path=src/basket.py     a file that comes along
    ```
"""

from __future__ import annotations

import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from controlplane.spec_limits import MAX_MARKDOWN_LINES
from controlplane.specfile.names import slug
from controlplane.specfile.tree import Path, Place, Tree, Unreadable, problem_at
from controlplane.specfile.yaml_reader import read_yaml

META_KEYS = ("project", "repo", "branch", "requester_email", "title")
_FENCE = re.compile(r"^---[ \t]*\r?$", re.MULTILINE)
_TITLE = r"[ \t]*[:–—-][ \t]*(?P<title>.*)"
_SPRINT = re.compile(
    rf"sprint\b[ \t_-]*(?:(?P<number>[A-Za-z]{{0,12}}-?[0-9][A-Za-z0-9._-]{{0,40}})(?:{_TITLE}|[ \t]+(?P<rest>.*))?"
    rf"|(?!(?:goals?|plan|planning|backlog|review|notes?|overview|dod)\b)"
    rf"(?P<id>[A-Za-z][A-Za-z0-9._-]{{0,60}})?(?:{_TITLE.replace('title', 'title2')})?)$",
    re.I,
)
_STORY = re.compile(
    rf"(?:(?P<word>user story|story)\b[ \t]*)?(?P<id>[A-Za-z]{{0,12}}-?[0-9][A-Za-z0-9._-]{{0,40}})?"
    rf"(?:{_TITLE}|[ \t]+(?P<rest>.*))?$",
    re.I,
)
_SECTION = re.compile(r"(?P<name>goals?|acceptance(?: criteria)?|definition of done|dod|files?)[ \t]*:?$", re.I)
_CHECK = re.compile(r"\[[ xX]\][ \t]+(?P<text>\S.*)", re.S)
_AS = re.compile(r"\bas an?\s+", re.I)
_WANT = re.compile(r"[,\s]\s*I(?:\s+want|'d like|\s+would like)\s+", re.I)
_SO_THAT = re.compile(r",?\s+so that\s+", re.I)
_DOD_LANGUAGES = ("", "yaml", "yml", "json")
_PATH = re.compile(r"(?:^|\s)path=(?:\"(?P<quoted>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>\S+))")


def read_markdown(text: str) -> tuple[Tree, str]:
    """The document, and its body as the letter. Raises `Unreadable`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.count("\n") > MAX_MARKDOWN_LINES:
        raise Unreadable(f"The Markdown has more than {MAX_MARKDOWN_LINES:,} lines. Split it into several documents.")
    front, body, front_line, first_line = _split(text)
    tree = _read_front(front, front_line)
    _Body(tree, body, first_line).read()
    return tree, body.strip()


def _split(text: str) -> tuple[str, str, int, int]:
    """Front matter and body, each with the line it begins in."""
    lead = len(text) - len(text.lstrip())
    if not _FENCE.match(text, lead):
        return "", text, 1, 1
    parts = _FENCE.split(text[lead:], maxsplit=2)
    if len(parts) < 3:
        raise Unreadable("The front matter is not closed: a second line '---' is missing.", Place(1, 1))
    first = text[:lead].count("\n") + 1
    return parts[1], parts[2], first, first + parts[1].count("\n")


def _read_front(front: str, first_line: int) -> Tree:
    tree = read_yaml(front, range(first_line, first_line + front.count("\n") + 1)) if front.strip() else Tree()
    if tree.data is None:
        tree.data = {}
    if not isinstance(tree.data, dict):
        raise Unreadable("The front matter should hold 'key: value' lines, as in 'repo: acme/shop'.", Place(1, 1))
    if "meta" not in tree.data:
        tree.data["meta"] = {key: tree.data.pop(key) for key in META_KEYS if key in tree.data}
        tree.keys[("meta",)] = Place(first_line, 1)
        for places in (tree.keys, tree.values):
            places.update({("meta", *path): place for path, place in places.items() if path[:1] in _META_PATHS})
    return tree


_META_PATHS = {(key,) for key in META_KEYS}


class _Body:
    """Walks the block tokens once, from heading to heading."""

    def __init__(self, tree: Tree, body: str, first_line: int) -> None:
        self._tree, self._lines, self._offset = tree, body.split("\n"), first_line
        # Inline markup is of no interest, and leaving it out keeps the cost linear.
        self._tokens = MarkdownIt("commonmark").disable("inline").parse(body)
        self._sprints: list[dict[str, Any]] = []
        self._sprint: Path = ()
        self._story: Path = ()
        self._story_is_named = False
        self._stories = 0
        self._level = 0
        self._section = ""
        self._sentences: list[str] = []
        self._dod_lines: list[tuple[str, int]] = []
        self._last: list[str] = []

    def read(self) -> None:
        heading: Token | None = None
        items: list[bool] = []  # for each open list item: was its first paragraph read
        for token in self._tokens:
            if token.type == "heading_open":
                heading = token
            elif token.type == "list_item_open":
                items.append(False)
            elif token.type == "list_item_close":
                items.pop()
            elif token.type == "fence":
                self._fence(token)
            elif token.type == "inline" and heading:
                self._heading(int(heading.tag[1:]), _flat(token.content), self._place(token))
                heading = None
            elif token.type == "inline" and items:
                self._item(token, is_first=not items[-1])
                items[-1] = True
            elif token.type == "inline":
                self._paragraph(token)
        self._finish_sprint()

    def _heading(self, level: int, text: str, place: Place) -> None:
        self._last = []
        section = _SECTION.fullmatch(text)
        if section and self._sprint:
            self._section = section["name"].lower()
        elif sprint := _SPRINT.fullmatch(text):
            self._finish_sprint()
            title = _flat(sprint["title"] or sprint["rest"] or sprint["title2"] or "")
            self._begin_sprint(level, sprint["number"] or sprint["id"] or "", title, place)
        elif self._sprint and level > self._level:
            self._begin_story(text, place)
        else:
            self._finish_sprint()
            if level == 1:
                self._title(text, place)

    def _title(self, text: str, place: Place) -> None:
        meta = self._tree.data["meta"]
        if isinstance(meta, dict) and text:
            meta.setdefault("title", text)
            self._tree.keys.setdefault(("meta", "title"), place)

    def _begin_sprint(self, level: int, label: str, title: str, place: Place) -> None:
        self._open_planning(place)
        path: Path = ("planning", "epics", 0, "sprints", len(self._sprints))
        label = (
            f"sprint-{label}" if label.isdigit() else label or slug(title).lower() or f"sprint-{len(self._sprints) + 1}"
        )
        self._sprints.append({"id": label, "goals": [title] if title else [], "user_stories": []})
        for where in (path, (*path, "id"), (*path, "goals", 0)):
            self._mark(where, place)
        self._sprint, self._story, self._level, self._section = path, (), level, ""

    def _open_planning(self, place: Place) -> None:
        if self._sprints:
            return
        if self._tree.data.get("planning") is not None:
            message = "The plan is written twice: as 'planning' in the front matter and as headings. Keep one."
            self._tree.problems.append(problem_at("planning", place, message))
        self._tree.data["planning"] = {"epics": [{"sprints": self._sprints}]}
        self._tree.keys[("planning",)] = place

    def _finish_sprint(self) -> None:
        self._finish_story()
        if self._dod_lines:
            self._dod([text for text, _ in self._dod_lines], [line for _, line in self._dod_lines])
        self._sprint, self._section, self._dod_lines = (), "", []

    def _begin_story(self, text: str, place: Place) -> None:
        self._finish_story()
        match = _STORY.fullmatch(text)
        stories = self._tree.at((*self._sprint, "user_stories"))
        path: Path = (*self._sprint, "user_stories", len(stories))
        self._stories += 1
        number = match["id"] if match else None
        label = f"US{number}" if number and number.isdigit() else number or f"US{self._stories}"
        title = _flat((match["title"] or match["rest"] or "") if match else text)
        stories.append({"id": label, "acceptance": []} | ({"want": title} if title else {}))
        for where in (path, (*path, "id"), (*path, "want")):
            self._mark(where, place)
        self._story, self._section = path, ""
        self._story_is_named = bool(match and (match["word"] or match["id"]))

    def _finish_story(self) -> None:
        """Read the story's sentence; a heading with no id, no acceptance and no sentence was none, and is dropped."""
        story = self._tree.at(self._story) if self._story else None
        if story:
            sentence = _sentence(_flat("\n".join(self._sentences)))
            story.update(sentence)
            if not (sentence or story["acceptance"] or self._story_is_named):
                self._tree.at(self._story[:-1]).pop()
                self._stories -= 1
        self._story, self._sentences, self._section = (), [], ""

    def _item(self, token: Token, *, is_first: bool) -> None:
        check = _CHECK.match(token.content)
        text = _flat(check["text"] if check else token.content)
        if not is_first:
            if self._last:
                self._last[-1] += f" {text}"
        elif self._section in ("definition of done", "dod") and not check:
            self._dod_lines.append((text, self._place(token).line))
        elif self._story and (check or self._section.startswith("acceptance")):
            self._append((*self._story, "acceptance"), text, self._place(token))
        elif self._story:
            self._sentences.append(text)
        elif self._sprint and check:
            message = (
                "This check-list item belongs to no story. Put a heading above it, as in '### US1: What is wanted'."
            )
            self._tree.problems.append(problem_at("", self._place(token), message))
        elif self._sprint and self._section in ("", "goal", "goals"):
            self._append((*self._sprint, "goals"), text, self._place(token))

    def _paragraph(self, token: Token) -> None:
        self._last = []
        if self._story:
            self._sentences.append(token.content)
        elif self._sprint and self._section in ("", "goal", "goals"):
            self._append((*self._sprint, "goals"), _flat(token.content), self._place(token))

    def _fence(self, token: Token) -> None:
        path = _PATH.search(token.info)
        if path:
            files = self._tree.data.setdefault("files", [])
            if not isinstance(files, list):
                return
            where: Path = ("files", len(files))
            files.append({"path": path["quoted"] or path["single"] or path["bare"] or "", "content": token.content})
            self._mark(where, self._place(token))
            self._mark((*where, "path"), self._place(token))
        elif self._section in ("definition of done", "dod") and token.info.strip().lower() in _DOD_LANGUAGES:
            first = self._place(token).line + 1
            lines = token.content.split("\n")
            self._dod(lines, list(range(first, first + len(lines))))

    def _dod(self, texts: list[str], lines: list[int]) -> None:
        try:
            found = read_yaml("\n".join(texts), lines)
        except Unreadable as error:
            self._tree.problems.append(error.problem)
            return
        if not isinstance(found.data, dict):
            message = "No criterion stands here. Write 'key: value', as in 'coverage_min: 0.8'."
            self._tree.problems.append(problem_at("", Place(lines[0], 1), message))
            return
        base: Path = (*self._sprint, "dod")
        self._tree.at(self._sprint).setdefault("dod", {}).update(found.data)
        self._tree.keys.update({(*base, *path): place for path, place in found.keys.items()})
        self._tree.values.update({(*base, *path): place for path, place in found.values.items() if path})
        self._tree.problems.extend(found.problems)

    def _append(self, path: Path, text: str, place: Place) -> None:
        items = self._tree.at(path)
        self._mark((*path, len(items)), place)
        items.append(text)
        self._last = items

    def _mark(self, path: Path, place: Place) -> None:
        self._tree.keys[path] = self._tree.values[path] = place

    def _place(self, token: Token) -> Place:
        line = token.map[0] if token.map else 0
        written = self._lines[line] if line < len(self._lines) else ""
        return Place(self._offset + line, len(written) - len(written.lstrip()) + 1)


def _sentence(text: str) -> dict[str, str]:
    """ "As a …, I want … so that …", by its three turns. One search for each, so that no text makes it slow."""
    begin = _AS.search(text)
    want = _WANT.search(text, begin.end()) if begin else None
    if not begin or not want:
        return {}
    reason = _SO_THAT.search(text, want.end())
    parts = {"as": text[begin.end() : want.start()], "want": text[want.end() : reason.start() if reason else None]}
    if reason:
        parts["so_that"] = text[reason.end() :]
    return {key: part.strip(" ,.") for key, part in parts.items() if part.strip(" ,.")}


def _flat(text: str) -> str:
    return " ".join(text.split())
