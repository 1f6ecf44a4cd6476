"""What must hold across a document and no single field can tell: labels are unique, files do not clash, sprints can be
built in the order written.

Works on what was written, valid or not, so that everything wrong is told at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controlplane.spec import Problem
from controlplane.specfile.filepaths import clash_key
from controlplane.specfile.tree import Path, Tree, dotted, problem_at, shown


def check_rules(tree: Tree) -> list[Problem]:
    """Problems of the document as a whole."""
    return [
        *_misplaced(tree),
        *_unique(tree, list(_sprints(tree)), "sprint"),
        *_unique(
            tree, [story for sprint in _sprints(tree) for story in _items(tree, (*sprint, "user_stories"))], "story"
        ),
        *_clashing_acceptance(tree),
        *_dependencies(tree),
        *_unique_custom_checks(tree),
        *_clashing_files(tree),
    ]


def _items(tree: Tree, path: Path) -> Iterator[Path]:
    value = tree.at(path)
    if isinstance(value, list):
        yield from ((*path, position) for position, item in enumerate(value) if isinstance(item, dict))


def _sprints(tree: Tree) -> Iterator[Path]:
    for epic in _items(tree, ("planning", "epics")):
        yield from _items(tree, (*epic, "sprints"))


def _stories(tree: Tree) -> Iterator[Path]:
    for sprint in _sprints(tree):
        yield from _items(tree, (*sprint, "user_stories"))


def _misplaced(tree: Tree) -> list[Problem]:
    """A plan whose sprints stand one level too high would silently be no plan."""
    path: Path = ("planning", "sprints")
    if tree.at(path) is None:
        return []
    message = "'sprints' stands one level too high: write it as 'planning: epics: - sprints: …'."
    return [problem_at(dotted(path), tree.place_of(path), message)]


def _unique(tree: Tree, paths: list[Path], what: str, key: str = "id") -> list[Problem]:
    """Branches and files of labels that differ only in case are the same on some systems."""
    first: dict[str, Path] = {}
    problems = []
    for path in paths:
        label = _text(tree.at((*path, key)))
        if not label:
            continue
        if label.casefold() in first:
            line = tree.place_of((*first[label.casefold()], key)).line
            message = f"Another {what} in line {line} already has the {key} '{shown(label)}'. Give each its own."
            problems.append(problem_at(dotted((*path, key)), tree.place_of((*path, key)), message))
        else:
            first[label.casefold()] = path
    return problems


def _clashing_acceptance(tree: Tree) -> list[Problem]:
    """`US1.2` must not be both a story and the second line of story `US1`."""
    lines: dict[str, Path] = {}
    for path in _stories(tree):
        acceptance = tree.at((*path, "acceptance"))
        for position in range(1, len(acceptance) + 1 if isinstance(acceptance, list) else 1):
            lines[f"{_text(tree.at((*path, 'id')))}.{position}".casefold()] = path
    problems = []
    for path in _stories(tree):
        label = _text(tree.at((*path, "id")))
        if label and label.casefold() in lines:
            message = f"'{shown(label)}' is already the name of an acceptance line. Choose another id for the story."
            problems.append(problem_at(dotted((*path, "id")), tree.place_of((*path, "id")), message))
    return problems


def _dependencies(tree: Tree) -> list[Problem]:
    """A sprint waits only for sprints above it: so none waits for itself, however far around."""
    above: set[str] = set()
    before = ""
    problems = []
    for path in _sprints(tree):
        needed = tree.at((*path, "depends_on"))
        names = [_text(name) for name in needed] if isinstance(needed, list) else [before]
        for position, name in enumerate(names):
            if name and name not in above:
                where: Path = (*path, "depends_on", position)
                message = f"No sprint above this one has the id '{shown(name)}'. Name one that does, or move it up."
                problems.append(problem_at(dotted(where), tree.place_of(where), message))
        # On one branch two sprints at once would overwrite each other.
        if before and before not in names and tree.at(("policies", "branch")):
            where = (*path, "depends_on")
            message = "'policies: branch' gives all sprints one branch, so that each must wait for the one before it."
            problems.append(problem_at(dotted(where), tree.place_of(where), message))
        before = _text(tree.at((*path, "id")))
        above.add(before)
    return problems


def _unique_custom_checks(tree: Tree) -> list[Problem]:
    owners: list[Path] = [("dod",), *((*sprint, "dod") for sprint in _sprints(tree))]
    return [
        problem for owner in owners for problem in _unique(tree, list(_items(tree, (*owner, "custom"))), "custom check")
    ]


def _clashing_files(tree: Tree) -> list[Problem]:
    """One name for one file on every system, and no file where another needs a folder."""
    problems = []
    files: dict[str, Path] = {}
    folders: dict[str, Path] = {}
    for path in _items(tree, ("files",)):
        written = _text(tree.at((*path, "path")))
        key = clash_key(written[:1000])
        parents = {key[:cut] for cut, character in enumerate(key) if character == "/"}
        other = files.get(key) or folders.get(key) or next((files[p] for p in parents if p in files), None)
        if written and other:
            line = tree.place_of((*other, "path")).line
            message = (
                f"'{shown(written)}' is the same name as the file in line {line}, or a folder of it, on some systems."
            )
            problems.append(problem_at(dotted((*path, "path")), tree.place_of((*path, "path")), message))
        files.setdefault(key, path)
        for parent in parents:
            folders.setdefault(parent, path)
    return problems


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value)
