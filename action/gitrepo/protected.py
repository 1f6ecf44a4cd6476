"""What a change may never carry to the remote: paths that steer who reviews and what runs, and ways around them."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path

from action.gitrepo.git import git, names
from action.gitrepo.leaks import find_leaks
from controlplane.change import EMPTY_TREE
from controlplane.noun import Noun

# A first path component, compared without case: a file system of a developer's laptop may not tell case apart.
# `.aicd` holds what the project says to the models: no change of theirs may say it.
PROTECTED_FOLDERS = (".github", ".claude", ".husky", ".git", ".aicd")
# A file name in any folder: GitHub reads CODEOWNERS from three places, agents read .mcp.json from the root.
PROTECTED_FILES = ("codeowners", ".mcp.json", ".gitmodules")
SYMLINK, SUBMODULE = "120000", "160000"
MAX_LINK_BYTES = 4096
LEAK = "secret"


class Refusal(Noun):
    """Why a change is not pushed. `code` is stable: protected-path, symlink-outside, submodule, secret, too-large."""

    code: str
    path: str
    reason: str


def is_protected(path: str) -> bool:
    parts = [part.casefold().rstrip(". ") for part in path.split("/")]
    return bool(parts) and (parts[0] in PROTECTED_FOLDERS or ".git" in parts or parts[-1] in PROTECTED_FILES)


def find_refusals(
    repository: Path, base: str, head: str, max_lines: int, secrets: Sequence[str] = ()
) -> tuple[Refusal, ...]:
    """Look at the whole difference from `base` to `head`, at the end of it and not at the way."""
    refusals = [*_protected(repository, base, head), *_modes(repository, base, head)]
    reason = "a secret of this run stands in it; take it out, and let the program read it from where it is kept"
    refusals += [Refusal(code=LEAK, path=path, reason=reason) for path in find_leaks(repository, base, head, secrets)]
    lines = changed_lines(repository, base, head)
    if lines > max_lines:
        reason = f"{lines} changed lines are more than the {max_lines} that a run may make (`max-changed-lines`)"
        refusals.append(Refusal(code="too-large", path="", reason=reason))
    return tuple(refusals)


def changed_files(repository: Path, base: str, head: str) -> tuple[str, ...]:
    return names(repository, "diff", "--name-only", "--no-renames", "-z", base, head)


def changed_lines(repository: Path, base: str, head: str) -> int:
    """Lines added and removed; a binary file counts its kilobytes."""
    total = 0
    for entry in names(repository, "diff", "--numstat", "--no-renames", "-z", base, head):
        added, removed, path = entry.split("\t", 2)
        total += _kilobytes(repository, head, path) if added == "-" else int(added) + int(removed)
    return total


def touched_on_the_way(repository: Path, base: str, head: str) -> tuple[str, ...]:
    """Protected paths that some commit touched, even when a later one put them back."""
    span = [head] if base == EMPTY_TREE else [f"{base}..{head}"]
    listed = names(repository, "log", "-m", "--format=", "--name-only", "--no-renames", "-z", *span)
    return tuple(sorted({path.strip("\n") for path in listed if is_protected(path.strip("\n"))}))


def _protected(repository: Path, base: str, head: str) -> list[Refusal]:
    paths = sorted({p for p in changed_files(repository, base, head) if is_protected(p)})
    reason = "a change may not touch what decides on reviews, workflows or agents"
    return [Refusal(code="protected-path", path=path, reason=reason) for path in paths]


def _modes(repository: Path, base: str, head: str) -> list[Refusal]:
    found = []
    fields = names(repository, "diff", "--raw", "--no-abbrev", "--no-renames", "-z", base, head)
    for raw, path in zip(fields[::2], fields[1::2], strict=True):
        _, mode, _, blob, _ = raw.lstrip(":").split(" ")
        if mode == SUBMODULE:
            reason = "a repository inside the repository (submodule) is not followed and not pushed"
            found.append(Refusal(code="submodule", path=path, reason=reason))
        elif mode == SYMLINK and not _stays_inside(repository, blob, path):
            reason = "the symbolic link leads out of the repository or to a protected path"
            found.append(Refusal(code="symlink-outside", path=path, reason=reason))
    return found


def _stays_inside(repository: Path, blob: str, path: str) -> bool:
    target = git(repository, "cat-file", "blob", blob).stdout[: MAX_LINK_BYTES + 1].decode(errors="replace")
    if len(target) > MAX_LINK_BYTES or target.startswith("/") or "\\" in target:
        return False
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return joined != ".." and not joined.startswith("../") and not is_protected(joined)


def _kilobytes(repository: Path, head: str, path: str) -> int:
    size = git(repository, "cat-file", "-s", f"{head}:{path}", check=False).stdout.strip()
    return int(size) // 1024 + 1 if size else 1
