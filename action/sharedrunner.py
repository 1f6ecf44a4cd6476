"""Whether two jobs of one workflow run found themselves on the same persistent machine.

What an agent left on a disk (a process, a changed tool, a poisoned cache) waits there for the job that holds the token.
Two signs are looked at: the machine says it is the same (identity), or a mark that the earlier job left on the disk is
still there (marker). A hosted runner is new for each job and needs no sign. RUNNER_NAME is no sign: runners that live
for one job get new names on an old disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from pathlib import Path

from action.settings import GitHubContext

MARKS = Path("/var/tmp")  # noqa: S108 - lasts longer than a job, and the sticky bit keeps others from removing it
PREFIX = "aicd-job-"
KEPT_SECONDS = 2 * 24 * 3600
SOURCES = (Path("/etc/machine-id"), Path("/proc/sys/kernel/random/boot_id"))


def is_hosted(github: GitHubContext) -> bool:
    return github.runner_environment == "github-hosted"


def identity(github: GitHubContext) -> str:
    """A hash that is the same for jobs of one workflow run on one machine, and says nothing about it to others.

    Containers on one machine differ by their host names. Empty on a hosted runner.
    """
    if is_hosted(github):
        return ""
    told = [github.repository, github.run_id, os.uname().nodename]
    for source in SOURCES:
        with contextlib.suppress(OSError):
            told.append(source.read_text(encoding="ascii", errors="replace").strip())
    return hashlib.sha256("\0".join(["aicd-runner", *told]).encode()).hexdigest()[:32]


def leave_mark(github: GitHubContext, marks: Path = MARKS) -> None:
    """Leave a mark of this workflow run on the disk, and remove our own marks that are days old."""
    if is_hosted(github):
        return
    with contextlib.suppress(OSError):
        for old in marks.glob(f"{PREFIX}*"):
            status = old.lstat()
            if stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime > KEPT_SECONDS:
                old.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        os.close(os.open(_mark(github, marks), os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600))


def finds_mark(github: GitHubContext, marks: Path = MARKS) -> bool:
    return not is_hosted(github) and os.path.lexists(_mark(github, marks))


def _mark(github: GitHubContext, marks: Path) -> Path:
    told = f"{github.server_url}/{github.repository}/{github.run_id}/{github.run_attempt}"
    return marks / f"{PREFIX}{hashlib.sha256(told.encode()).hexdigest()[:24]}"
