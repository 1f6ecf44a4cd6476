"""The warden: a process that outlives its stack just long enough to leave nothing of it behind.

It holds the reading end of a pipe whose writing end only the supervisor has. When the supervisor ends, however it
ends, the pipe closes; the warden then ends every process that carries the stack's marker in its environment, at any
depth and under any user, and removes the folders it was told to. Linux only: elsewhere there is no /proc to read, and
the supervisor's own clean-up has to do.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

MARKER = "AICD_STACK"
GRACE_SECONDS = 1.5


class Warden:
    """The supervisor's side: keep it referenced for as long as the stack lives."""

    def __init__(self, stack_id: str, doomed_folders: tuple[Path, ...] = ()) -> None:
        reading, self._writing = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, stack_id, *map(str, doomed_folders)],
            stdin=reading,
            env={},
            start_new_session=True,
        )
        os.close(reading)

    def dismiss(self) -> None:
        """End the warden after an orderly stop; it still sweeps once."""
        os.close(self._writing)
        self._process.wait(timeout=GRACE_SECONDS * 4)


def marked_processes(stack_id: str) -> list[int]:
    """Processes that carry the marker, ours excluded."""
    wanted = f"{MARKER}={stack_id}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in variables and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def sweep(stack_id: str) -> None:
    """End all marked processes: asked first, then forced. Repeats, because a dying parent may still have forked."""
    # SIGQUIT is Postgres' immediate shutdown, which frees its shared memory; for the others it is an end like any.
    for number, wait in ((signal.SIGQUIT, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS), (signal.SIGKILL, 0.0)):
        targets = marked_processes(stack_id)
        for pid in targets:
            try:
                os.kill(pid, number)
            except OSError:
                continue
        deadline = time.monotonic() + wait
        while marked_processes(stack_id) and time.monotonic() < deadline:
            time.sleep(0.05)


def main(stack_id: str, doomed_folders: list[str]) -> None:
    """Wait for the pipe to close, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 1024):
        pass
    sweep(stack_id)
    for folder in doomed_folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
