"""Killing a supervisor at any moment leaves no process and no folder of its stack."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from pathlib import Path

import pytest

from local.stack.places import REPOSITORY_ROOT
from local.stack.warden import marked_processes

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the warden reads /proc: Linux only")

SUPERVISOR = textwrap.dedent(
    """
    import os, subprocess, sys, time
    from pathlib import Path
    from local.stack.warden import MARKER, Warden

    stack_id, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir()
    warden = Warden(stack_id, (folder,))
    marked = {**os.environ, MARKER: stack_id}
    # A part that ignores SIGTERM and SIGQUIT, and a grandchild that fled into a session of its own.
    stubborn = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (15, 3)]; time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", stubborn], env=marked)
    sleeper = "[sys.executable, '-c', 'import time; time.sleep(600)']"
    fleeing = f"import subprocess, sys; subprocess.Popen({sleeper}, start_new_session=True)"
    subprocess.Popen([sys.executable, "-c", fleeing], env=marked)
    time.sleep(0.3)
    print("up", flush=True)
    time.sleep(600)
    """
)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_supervisor_killed_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    stack_id, folder = f"test-{uuid.uuid4()}", tmp_path / "stack"
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, stack_id, str(folder)],
        cwd=REPOSITORY_ROOT,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT)},
        stdout=subprocess.PIPE,
    )
    assert supervisor.stdout is not None
    assert supervisor.stdout.readline() == b"up\n"
    assert len(marked_processes(stack_id)) == 2
    assert folder.exists()

    supervisor.send_signal(number)
    supervisor.wait()
    supervisor.stdout.close()

    deadline = time.monotonic() + 10
    while (marked_processes(stack_id) or folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert marked_processes(stack_id) == []
    assert not folder.exists()
