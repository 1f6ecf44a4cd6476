"""One data directory, one owner: a file lock that the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from local.postgres.errors import DataDirectoryBusyError


class DirectoryLock:
    """An exclusive lock on `<directory>/lock`, held until `release` or the end of the process."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._descriptor: int | None = None

    def acquire(self) -> Self:
        """Take the lock at once or raise DataDirectoryBusyError."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise DataDirectoryBusyError(
                f"The data directory {self._path.parent} is in use.",
                cause="another stack is running on it",
                fix="stop that one first, or choose another directory",
            ) from error
        self._descriptor = descriptor
        return self

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_unlocked(directory: Path) -> bool:
    """Whether nobody holds the directory's lock at this moment."""
    try:
        DirectoryLock(directory).acquire().release()
    except DataDirectoryBusyError:
        return False
    return True
