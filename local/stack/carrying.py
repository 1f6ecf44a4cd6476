"""One command of a job, carried to its end: its own, that of its time, or the one that was asked for on GitHub.

A cancelled job is ended as GitHub ends one: asked, and a little later forced, with everything that it began. Linux
tells what that is; elsewhere only the command itself is ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

LONGEST_JOB_SECONDS = 7200.0
LOOK_SECONDS = 1.0
# GitHub gives 7.5 seconds from the first signal (SIGINT) to the second: here there is nobody to be patient with.
GRACE_SECONDS = 3.0


def carry_out(
    command: list[str], *, cwd: Path, environ: Mapping[str, str], log: Path, is_cancelled: Callable[[], bool]
) -> int | None:
    """The command's exit code; None where it was ended because the job was cancelled."""
    ends_at = time.monotonic() + LONGEST_JOB_SECONDS
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command, cwd=cwd, env=dict(environ), stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT
        )
        while True:
            try:
                return process.wait(timeout=LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                if is_cancelled():
                    end(process)
                    return None
                if time.monotonic() > ends_at:
                    end(process)
                    return process.returncode


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and whatever it began."""
    begun = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=GRACE_SECONDS)
    # Again: one that was asked to end may have begun others for it.
    for pid in {*begun, *descendants(process.pid)}:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()


def descendants(pid: int) -> set[int]:
    """The processes that this one has begun, at any depth; an orphan's parent is another, so it is not among them."""
    children: dict[int, set[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # After the name, which may hold anything and ends with the last bracket: state, parent.
            parent = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        children.setdefault(parent, set()).add(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        new = children.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found
