"""A directory of ours outside any home, that the server's account can enter and nobody else can write to.

It holds what may not lie in a home that other users cannot enter: copied binaries, sockets, clusters.
The parent is world-writable, so somebody else may have put a directory of that name there before us:
owner and mode are checked before every use, and a foreign one is refused, never repaired.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from local.postgres.errors import PrivateAreaError

# Socket paths are limited to about 107 bytes on Linux and 103 on macOS, file name included.
LONGEST_PARENT = 40
FORBIDDEN_WRITERS = stat.S_IWGRP | stat.S_IWOTH


def open_private_area(parent: Path | None = None) -> Path:
    """The verified directory `<parent>/aicd-<uid>`, created with mode 0711 when absent.

    Raises PrivateAreaError when it belongs to somebody else, is a link, or others may write in it.
    """
    area = (parent or _choose_parent()) / f"aicd-{os.geteuid()}"
    return ensure_owned_directory(area, 0o711)


def ensure_owned_directory(path: Path, mode: int) -> Path:
    """`path` as a real directory of ours with exactly `mode`; the same refusals as `open_private_area`."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise PrivateAreaError(
            f"The directory {path} could not be made: {error.strerror}.",
            cause="its parent is missing, full or read-only",
            fix=f"make {path.parent} writable",
        ) from error
    refuse_foreign_directory(path)
    path.chmod(mode)
    return path


def refuse_foreign_directory(path: Path) -> None:
    """Raise PrivateAreaError unless `path` is a real directory, ours, and not writable by anybody else."""
    status = path.lstat()
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & FORBIDDEN_WRITERS:
        return
    raise PrivateAreaError(
        f"{path} exists, but is not a directory that only we can write to "
        f"(owner {status.st_uid}, mode {stat.filemode(status.st_mode)}).",
        cause="another user of this machine made it, or its permissions were changed",
        fix=f"look at it, then remove it: rm -r {path}",
    )


def _choose_parent() -> Path:
    for parent in (Path("/var/tmp"), Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - verified before use
        if len(str(parent)) <= LONGEST_PARENT and os.access(parent, os.W_OK | os.X_OK) and _renaming_is_safe(parent):
            return parent
    raise PrivateAreaError(
        "No directory was found for sockets and shared files.",
        cause="the usual places for temporary files are missing, read-only, or lack the sticky bit",
        fix="make /var/tmp writable: chmod 1777 /var/tmp",
    )


def _renaming_is_safe(parent: Path) -> bool:
    # Without the sticky bit any writer of the parent may swap our directory for his own.
    mode = parent.stat().st_mode
    return not mode & stat.S_IWOTH or bool(mode & stat.S_ISVTX)
