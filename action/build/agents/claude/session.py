"""The agent's conversation, kept by us between attempts and runs: one file of JSON lines, copied out and put back.

Nothing else of the agent's home outlives an attempt: what a program left there to be run or read later is gone.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 48_000_000
NO_FOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass
class Session:
    """`id` is a uuid. `transcript` is what was said so far, None before the first word; `folder` is where.

    `told_usd` is the program's own total for the session, which counts on over resumes.
    """

    id: str
    folder: str = ""
    transcript: bytes | None = None
    told_usd: float = 0.0

    @property
    def is_begun(self) -> bool:
        return self.transcript is not None


def restore(session: Session, configuration: Path, workspace: Path, owner: int | None) -> None:
    """Put the transcript where the program looks for it when it works in `workspace`."""
    if session.transcript is None:
        return
    folder = configuration / "projects" / slug_of(workspace)
    folder.mkdir(mode=0o700, parents=True)
    file = folder / f"{session.id}.jsonl"
    file.write_bytes(session.transcript)
    if owner is not None:
        for path in (configuration, configuration / "projects", folder, file):
            os.chown(path, owner, owner)


def keep(session: Session, configuration: Path, workspace: Path) -> bool:
    """Take the transcript out of the agent's home, following no link; false when there is none that can be used."""
    content = _read(configuration, ("projects", slug_of(workspace), f"{session.id}.jsonl"))
    if not content:
        return False
    session.transcript, session.folder = content, str(workspace)
    return True


def slug_of(workspace: Path) -> str:
    """The name that Claude Code gives a working directory."""
    return re.sub(r"[^A-Za-z0-9]", "-", str(workspace.resolve()))


def _read(root: Path, parts: tuple[str, ...]) -> bytes:
    with contextlib.ExitStack() as stack:
        try:
            at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | NO_FOLLOW)
            stack.callback(os.close, at)
            for part in parts[:-1]:
                at = os.open(part, os.O_RDONLY | os.O_DIRECTORY | NO_FOLLOW, dir_fd=at)
                stack.callback(os.close, at)
            file = os.open(parts[-1], os.O_RDONLY | NO_FOLLOW, dir_fd=at)
            stack.callback(os.close, file)
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES or status.st_nlink > 1:
                return b""
            with os.fdopen(os.dup(file), "rb") as stream:
                return stream.read(MOST_BYTES)
        except OSError:
            return b""
