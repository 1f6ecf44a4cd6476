"""A job's command ends by itself, or with everything that it began when the job is cancelled."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.stack.carrying import carry_out, descendants

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a process began is read from /proc")


def carry(script: str, folder: Path, *, cancelled: bool = False) -> int | None:
    environ = {"PATH": os.environ["PATH"]}
    return carry_out(
        ["sh", "-c", script], cwd=folder, environ=environ, log=folder / "log", is_cancelled=lambda: cancelled
    )


def test_command_that_ends_gives_its_code_and_its_words(tmp_path: Path) -> None:
    assert carry("echo said; exit 3", tmp_path) == 3
    assert (tmp_path / "log").read_text() == "said\n"


def test_cancelled_command_ends_with_all_that_it_began(tmp_path: Path) -> None:
    """One child ignores the signal and has a session of its own, as an agent has."""
    began = time.monotonic()
    stubborn = "trap '' INT TERM; setsid sh -c 'echo $$ > child; sleep 300' & sleep 300"
    assert carry(stubborn, tmp_path, cancelled=True) is None
    assert time.monotonic() - began < 10
    child = int((tmp_path / "child").read_text())
    ends_at = time.monotonic() + 5
    while is_running(child) and time.monotonic() < ends_at:
        time.sleep(0.05)
    assert not is_running(child)


def is_running(pid: int) -> bool:
    """Not gone, and not dead and only waiting to be buried by whoever has inherited it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_descendants_are_found_at_any_depth() -> None:
    script = "sh -c 'sleep 30 & wait' & wait"
    with subprocess.Popen(["sh", "-c", script]) as process:
        for _ in range(100):
            if len(found := descendants(process.pid)) == 2:
                break
            time.sleep(0.05)
        process.kill()
        for pid in found:
            os.kill(pid, 9)
    assert len(found) == 2
