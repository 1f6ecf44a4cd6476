"""The files that the specification brings along, written as they are."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path, PurePosixPath

from action.build.agents.seam import Attempt, Task
from controlplane.errors import CallerError
from controlplane.spec import SpecFile

NO_FOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC


class FilesAgent:
    name = "files"
    repeats = False

    def __init__(self, files: tuple[SpecFile, ...]) -> None:
        self._files = files

    def work(self, task: Task) -> Attempt:
        for file in self._files:
            write_inside(task.repository, file.path, file.content)
        return Attempt(
            ending="done", reason=f"{len(self._files)} files of the specification were written.", is_in_place=True
        )


def write_inside(root: Path, path: str, content: str) -> None:
    """Write a file below `root` without following any symbolic link; raises CallerError when its way is blocked."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or any(part in ("..", ".git") for part in parts):
        raise CallerError(f"'{path}' is not a path inside the repository.", "Name a relative path.", "bad-path")
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | NO_FOLLOW)
    try:
        for part in parts[:-1]:
            folder = _enter(folder, part)
        file = os.open(parts[-1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NO_FOLLOW, 0o644, dir_fd=folder)
        with os.fdopen(file, "w", encoding="utf-8", newline="") as stream:
            stream.write(content)
    except OSError as error:
        raise CallerError(
            f"'{path}' cannot be written: {error.strerror or error}; a link or a file of that name is in the way.",
            "Choose another path in the specification.",
            "bad-path",
        ) from error
    finally:
        os.close(folder)


def _enter(folder: int, name: str) -> int:
    """Open a sub-folder, made when it is not there, and close its parent; `folder` stays open when this raises."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=folder)
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | NO_FOLLOW, dir_fd=folder)
    os.close(folder)
    return inner
