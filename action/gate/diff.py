"""Which lines a change added or altered, asked of git, without running anything that the repository brings along."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from controlplane.errors import CallerError, UsageError

_TIMEOUT_SECONDS = 60
_HUNK = re.compile(r"^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_COMMAND = (
    "diff",
    "--unified=0",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)


def changed_lines(repository: Path, base: str, head: str) -> dict[str, frozenset[int]]:
    """Line numbers at `head`, by path from the repository's root. What `base` gained meanwhile is no part of it."""
    start = _merge_base(repository, base, head)
    text = _git(repository, *_COMMAND, start, head, "--")
    return {path: frozenset(lines) for path, lines in sorted(_parse(text).items()) if lines}


def _merge_base(repository: Path, base: str, head: str) -> str:
    for name in (base, head):
        if name.startswith("-"):
            raise UsageError(
                f"'{name}' is no name of a commit.", fix="Give a branch, a tag or a commit id.", code="bad-ref"
            )
    try:
        return _git(repository, "merge-base", base, head).strip() or base
    except CallerError:
        return base  # no common history (the empty tree, a shallow clone): compare the two as they are


def _git(repository: Path, *arguments: str) -> str:
    command = ["git", "-C", str(repository), "-c", "core.quotePath=false", "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"git could not be asked about {repository}.", fix="Is git installed?", code="git") from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UsageError(
            f"git refused: {said[0][:300] if said else 'no reason given'}.",
            fix="Check --repo, --base and --head; in CI, fetch the base too (fetch-depth: 0).",
            code="git",
        )
    return done.stdout.decode("utf-8", "replace")


def _parse(text: str) -> dict[str, set[int]]:
    """Hunks are counted off by their own header, so that a changed line that looks like a header is none."""
    changed: dict[str, set[int]] = {}
    path: str | None = None
    lines: Iterator[str] = iter(text.split("\n"))
    for line in lines:
        hunk = _HUNK.match(line)
        if line.startswith("+++ "):
            path = _path(line[4:])
        elif hunk and path is not None:
            first, count = int(hunk.group(2)), int(hunk.group(3) or 1)
            changed.setdefault(path, set()).update(range(first, first + count))
            _skip(lines, int(hunk.group(1) or 1) + count)
    return changed


def _skip(lines: Iterator[str], count: int) -> None:
    for _ in range(count):
        line = next(lines, "")
        if line.startswith("\\"):  # "\ No newline at end of file" belongs to no count
            next(lines, "")


def _path(written: str) -> str | None:
    """None for a deleted file. git quotes names with control characters, and ends names with blanks by a tab."""
    name = written.removesuffix("\t").removeprefix('"').removesuffix('"')
    return name.removeprefix("b/") if name.startswith("b/") else None
