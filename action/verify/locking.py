"""Folders of the cache that are built once, whoever comes first, and never seen half-built."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

COMPLETE = ".complete"


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return `folder`, built by `build(folder)` if nobody has; two processes at once build it once.

    It is built where it will stay, since an environment's scripts hold their own address; the marker written last is
    what makes it count. What a killed build left behind is removed by the next one.
    """
    if (folder / COMPLETE).exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / COMPLETE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            folder.chmod(0o755)
            build(folder)
            (folder / COMPLETE).touch()
    return folder


def mark_used(folder: Path) -> None:
    """Note that a cached folder was used now, so that the oldest ones can be thrown away first."""
    os.utime(folder / COMPLETE)
