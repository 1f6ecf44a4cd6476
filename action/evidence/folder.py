"""Which files lie under the paths given: sorted, bounded, no symbolic link followed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from action.evidence.limits import FOLDER_DEPTH, FOLDER_FILES


@dataclass(frozen=True)
class Found:
    """One file to read. `named` is true where the caller gave this very path; `refusal` says why not to open it."""

    path: Path
    named: bool
    refusal: str = ""


def find_files(paths: Sequence[Path]) -> Iterator[Found]:
    """Each file once, in the order of the paths given, and by name within a folder."""
    seen: set[str] = set()
    left = FOLDER_FILES
    for path in paths:
        for found in _under(path):
            key = os.path.normpath(found.path.absolute())
            if key in seen:
                continue
            seen.add(key)
            left -= 1
            if left < 0:
                yield Found(path, named=True, refusal=f"more than {FOLDER_FILES} files; the rest was not looked at")
                return
            yield found


def _under(path: Path) -> Iterator[Found]:
    if path.is_dir() and not path.is_symlink():
        yield from _walk(path, 0)
    else:
        yield Found(path, named=True)


def _walk(folder: Path, depth: int) -> Iterator[Found]:
    if depth > FOLDER_DEPTH:
        yield Found(folder, named=True, refusal=f"folders nested deeper than {FOLDER_DEPTH} are not looked into")
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Found(folder, named=True, refusal=f"the folder cannot be listed: {error.strerror or 'unknown reason'}")
        return
    for entry in entries:
        path = folder / entry.name
        if entry.is_symlink():
            yield Found(path, named=False, refusal="it is a symbolic link, which is not followed")
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(path, depth + 1)
        else:
            yield Found(path, named=False)
