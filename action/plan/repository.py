"""What the planner is shown of the repository: its files' names, languages, tests, conventions, and some of its code.

Everything is bounded in files and bytes, and made from one commit, so that it is kept by that commit's id. Names and
contents are whatever somebody once committed: shown as data, on lines of their own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from pydantic import Field, ValidationError

from action.gitrepo.git import git
from action.plan.plaintext import one_line, visible
from controlplane.change import EMPTY_TREE
from controlplane.noun import Noun

VERSION = 1
MOST_NAMES = 400
MOST_NAME_CHARACTERS = 200
MOST_SHOWN_FILES = 40
MOST_FILE_BYTES = 8_000
MOST_SHOWN_BYTES = 60_000
LANGUAGES = {
    ".py": "Python", ".ts": "TypeScript", ".tsx": "TypeScript", ".js": "JavaScript", ".jsx": "JavaScript",
    ".mjs": "JavaScript", ".go": "Go", ".rs": "Rust", ".java": "Java", ".kt": "Kotlin", ".rb": "Ruby", ".php": "PHP",
    ".cs": "C#", ".c": "C", ".h": "C", ".cpp": "C++", ".swift": "Swift", ".sql": "SQL", ".html": "HTML", ".css": "CSS",
    ".sh": "Shell", ".vue": "Vue", ".svelte": "Svelte", ".ex": "Elixir", ".scala": "Scala",
}  # fmt: skip
# What says how this repository is worked on, most telling first.
CONVENTIONS = (
    "AGENTS.md", "CLAUDE.md", "CONTRIBUTING.md", "README.md", "README.rst", "README", "pyproject.toml", "package.json",
    "setup.cfg", "setup.py", "tox.ini", "pytest.ini", "ruff.toml", ".ruff.toml", "mypy.ini", "Makefile",
    "tsconfig.json", "playwright.config.ts", "go.mod", "Cargo.toml", "pom.xml", "build.gradle", "Gemfile",
    "composer.json", ".aicd.yml",
)  # fmt: skip
_TEST = re.compile(
    r"(?:^|/)(?:tests?|spec|__tests__|e2e)/|(?:^|/)test_[^/]*\.py$|_test\.(?:py|go)$|\.(?:test|spec)\.[jt]sx?$"
)
# What no plan needs to know, even though it should not be in a repository at all.
_SECRET = re.compile(r"(?:^|/)(?:\.env[^/]*|\.npmrc|\.pypirc|\.netrc|id_[a-z0-9]+)$|\.(?:pem|key|p12|pfx|jks)$", re.I)
_GENERATED = re.compile(r"(?:^|/)(?:node_modules|vendor|dist|build|\.venv)/|\.min\.|\.lock$|-lock\.", re.I)


class ShownFile(Noun):
    name: str
    text: str
    cut: bool = False


class RepositoryView(Noun):
    """`files` counts all of them, `names` holds at most `MOST_NAMES`; `languages` are bytes by language."""

    commit: str = ""
    files: int = 0
    names: tuple[str, ...] = ()
    languages: dict[str, int] = Field(default_factory=dict)
    tests: int = 0
    shown: tuple[ShownFile, ...] = ()


def view_repository(repository: Path, commit: str, cache: Path | None = None) -> RepositoryView:
    """Look at a commit of a bare repository, or take what was seen of it before."""
    if commit == EMPTY_TREE:
        return RepositoryView(commit=commit)
    kept = cache / "plan-context" / f"{commit}-{VERSION}.json" if cache else None
    known = _read_kept(kept) if kept else None
    if known is not None and known.commit == commit:
        return known
    view = _look(repository, commit)
    if kept:
        _keep(kept, view)
    return view


def _look(repository: Path, commit: str) -> RepositoryView:
    entries = list(_list_files(repository, commit))
    languages: Counter[str] = Counter()
    for name, size in entries:
        language = LANGUAGES.get(PurePosixPath(name).suffix.lower())
        if language and not _GENERATED.search(name):
            languages[language] += size
    return RepositoryView(
        commit=commit,
        files=len(entries),
        names=tuple(one_line(name, MOST_NAME_CHARACTERS) for name in _shallow_first(name for name, _ in entries)),
        languages=dict(languages.most_common(10)),
        tests=sum(1 for name, _ in entries if _TEST.search(name)),
        shown=tuple(_show(repository, commit, entries)),
    )


def _list_files(repository: Path, commit: str) -> Iterator[tuple[str, int]]:
    """(name, size) of every plain file; links and submodules are none."""
    listing = git(repository, "ls-tree", "-r", "-z", "--long", commit).stdout
    for entry in listing.split(b"\0"):
        facts, _, name = entry.partition(b"\t")
        words = facts.split()
        if len(words) == 4 and words[0] in (b"100644", b"100755") and words[3].isdigit():
            yield name.decode("utf-8", "replace"), int(words[3])


def _shallow_first(names: Iterable[str]) -> list[str]:
    """Of many files those near the root say most."""
    ordered = sorted(names, key=lambda name: (bool(_GENERATED.search(name)), name.count("/"), name))
    return sorted(ordered[:MOST_NAMES])


def _show(repository: Path, commit: str, entries: list[tuple[str, int]]) -> Iterator[ShownFile]:
    left = MOST_SHOWN_BYTES
    for name, size in _most_telling(entries)[:MOST_SHOWN_FILES]:
        if left <= 0:
            break
        # Sizes are known before, so that nothing large is ever read.
        data = git(repository, "cat-file", "blob", f"{commit}:{name}", check=False).stdout
        most = min(MOST_FILE_BYTES, left)
        if b"\0" in data[:1_000]:
            continue
        text = visible(data[:most].decode("utf-8", "replace"))
        left -= min(len(data), most)
        yield ShownFile(name=one_line(name, MOST_NAME_CHARACTERS), text=text, cut=size > most)


def _most_telling(entries: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Conventions, then tests and code, small and near the root first."""
    readable = [(name, size) for name, size in entries if size <= 500_000 and not _SECRET.search(name)]
    ranks = {name: rank for rank, name in enumerate(CONVENTIONS)}
    conventions = sorted((entry for entry in readable if entry[0] in ranks), key=lambda entry: ranks[entry[0]])
    code = [
        entry
        for entry in readable
        if PurePosixPath(entry[0]).suffix.lower() in LANGUAGES
        and entry[0] not in ranks
        and 0 < entry[1] <= 4 * MOST_FILE_BYTES
        and not _GENERATED.search(entry[0])
    ]
    return conventions + sorted(code, key=lambda entry: (entry[0].count("/"), entry[1], entry[0]))


def _read_kept(path: Path) -> RepositoryView | None:
    try:
        return RepositoryView.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _keep(path: Path, view: RepositoryView) -> None:
    """What cannot be kept is looked at again; no run fails for it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        half = path.with_suffix(f".{id(view)}.half")
        half.write_text(view.model_dump_json(), encoding="utf-8")
        half.replace(path)
    except OSError:
        return
