"""A server that outlived the process that started it, and the pid file of one that did not.

Only called by the holder of the data directory's lock: whoever still runs there has no owner any more.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

PATIENCE_SECONDS = 5.0


def end_orphan(cluster_directory: Path) -> None:
    """End the postmaster that postmaster.pid names, if it is one on this directory; else remove the stale file.

    Postgres itself takes any living process of that number for its predecessor, and numbers come round quickly in
    containers, so the file cannot be left to it.
    """
    pid_file = cluster_directory / "postmaster.pid"
    pid = _read_pid(pid_file)
    if pid is None:
        return
    if not _is_postmaster_on(pid, cluster_directory):
        pid_file.unlink(missing_ok=True)
        return
    for number in (signal.SIGQUIT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if not _is_postmaster_on(pid, cluster_directory):
                return
            time.sleep(0.01)


def _read_pid(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None


def _is_postmaster_on(pid: int, cluster_directory: Path) -> bool:
    return str(cluster_directory) in _command_line(pid)


def _command_line(pid: int) -> list[str]:
    proc = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            return proc.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return []
    done = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.split()
