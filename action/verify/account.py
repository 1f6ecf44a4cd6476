"""The users that the repository's code runs as: one unused user id per sandbox, where we may switch at all."""

from __future__ import annotations

import fcntl
import os
import pwd
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# Ids that systemd hands out dynamically; no account file names them, so nothing on the machine is theirs.
FIRST_UID, LAST_UID = 61300, 61899
# In the environment of everything that runs in a sandbox: by it a process is known for ours whatever it did.
MARKER = "AICD_SANDBOX"


@dataclass(frozen=True)
class Account:
    """A user id, with the group of the same number, that nothing else on this machine uses."""

    uid: int


def can_switch_user() -> bool:
    """Whether this process may start programs as another user."""
    return os.geteuid() == 0 and _maps(FIRST_UID) and _maps(LAST_UID)


@contextmanager
def lease_account(lock_folder: Path) -> Iterator[Account | None]:
    """Lend an unused user id; None where we cannot switch. On return every process of that id is dead.

    The id is exclusive while it is lent, so that "all processes of this id" is exactly what one sandbox started,
    whatever it did to escape its process group.
    """
    if not can_switch_user():
        yield None
        return
    lock_folder.mkdir(parents=True, exist_ok=True)
    for uid in range(FIRST_UID, LAST_UID + 1):
        descriptor = _lock(lock_folder / str(uid))
        if descriptor is None:
            continue
        try:
            if not _is_free(uid):
                continue
            try:
                yield Account(uid)
            finally:
                kill_all_of(uid)
            return
        finally:
            os.close(descriptor)
    yield None


def kill_all_of(uid: int) -> None:
    """Kill every process of a leased id, and again until none is left to fork another."""
    for _ in range(100):
        found = list(processes_of(uid))
        for pid in found:
            end_process(pid)
        if all(is_zombie(pid) for pid in found):
            for pid in found:
                bury(pid)
            return
        time.sleep(0.005)


def end_process(pid: int) -> None:
    """Kill a process, and bury it if it is a child of ours: orphans are, while `adopting_orphans`."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
    bury(pid)


def bury(pid: int) -> None:
    """Take a dead child's place in the process table back; nothing happens for a living one or somebody else's."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def processes_of(uid: int) -> Iterator[int]:
    """Process ids of a user id, zombies too: they count against what the user may start."""
    for entry in os.scandir("/proc"):
        try:
            if entry.name.isdigit() and entry.stat().st_uid == uid:
                yield int(entry.name)
        except OSError:
            continue


def is_reachable(path: Path) -> bool:
    """Whether any user may come to this path and read it: every folder above open to others, itself readable."""
    resolved = path.resolve()
    try:
        above = all(parent.stat().st_mode & stat.S_IXOTH for parent in resolved.parents)
        mode = resolved.stat().st_mode
    except OSError:
        return False
    needed = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) else 0)
    return above and mode & needed == needed


def _lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _is_free(uid: int) -> bool:
    """Whether an id whose lock we hold is nobody's.

    What a killed verification of ours left running under it is ended; an id that anybody else uses is passed by.
    """
    try:
        pwd.getpwuid(uid)
    except KeyError:
        found = list(processes_of(uid))
        if all(_is_ours(pid) for pid in found):
            kill_all_of(uid)
        return next(processes_of(uid), None) is None
    return False


def _is_ours(pid: int) -> bool:
    try:
        return f"{MARKER}=".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def is_zombie(pid: int) -> bool:
    """Whether a process is dead and waits to be buried, or is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return True
    return text.rpartition(")")[2].split()[0] in ("Z", "X")


def _maps(uid: int) -> bool:
    """In a user namespace only the mapped ids can be switched to."""
    try:
        rows = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    except OSError:
        return False
    return any(int(first) <= uid < int(first) + int(count) for first, _, count in rows)
