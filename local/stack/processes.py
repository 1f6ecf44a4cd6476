"""Child processes of the stack: started, awaited, logged to a file, ended with their whole group."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controlplane.errors import OutsideError

START_SECONDS = 30.0


@dataclass
class Child:
    """One running part. `log` holds everything it printed."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    port: int
    started_at: float = field(default_factory=time.monotonic)

    def is_running(self) -> bool:
        return self.process.poll() is None

    def wait_until_listening(self) -> None:
        """Return when the port accepts connections; raises OutsideError with the log's end when the part dies first."""
        deadline = self.started_at + START_SECONDS
        while time.monotonic() < deadline:
            if not self.is_running():
                raise OutsideError(
                    f"The stack's part '{self.name}' ended at once: {self.tail()}", fix=f"See {self.log}."
                )
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=0.2):
                return
            time.sleep(0.02)
        raise OutsideError(
            f"The stack's part '{self.name}' did not listen within {START_SECONDS:.0f} s.", fix=f"See {self.log}."
        )

    def tail(self, lines: int = 5) -> str:
        """The log's last lines, for an error message."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return " | ".join(text.strip().splitlines()[-lines:]) or "it printed nothing"

    def ask_to_stop(self) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGTERM)

    def stop(self, deadline: float) -> None:
        """Wait for the end until `deadline` (monotonic), then force it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=max(0.05, deadline - time.monotonic()))
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start_child(
    name: str, command: Sequence[str], *, environ: Mapping[str, str], log_folder: Path, port: int, cwd: Path
) -> Child:
    """Start one part in a process group of its own, its output in `log_folder/NAME.log`."""
    log = log_folder / f"{name}.log"
    with log.open("ab") as sink:
        process = subprocess.Popen(
            list(command),
            env=dict(environ),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Child(name=name, process=process, log=log, port=port)
