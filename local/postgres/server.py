"""One running postmaster: started, awaited, and stopped in bounded time."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from local.postgres.account import Account
from local.postgres.binaries import RunnableBinaries
from local.postgres.cluster import Cluster, clean_environment
from local.postgres.configuration import server_settings
from local.postgres.deathsig import die_with_parent
from local.postgres.errors import PostgresError
from local.postgres.orphan import end_orphan

POLL_SECONDS = 0.005
START_TIMEOUT_SECONDS = 60.0
ATTEMPTS = 40
FAST_STOP_SECONDS = 5.0
IMMEDIATE_STOP_SECONDS = 2.0
# Line 8 of postmaster.pid says how far the start has come; pg_ctl waits for the same word.
STATUS_LINE = 7
LONGEST_SOCKET_DIRECTORY = 80


class PostgresServer:
    """A postmaster on a cluster, listening on a socket in `socket_dir` and on 127.0.0.1:`port`."""

    def __init__(
        self,
        *,
        binaries: RunnableBinaries,
        cluster: Cluster,
        account: Account,
        socket_dir: Path,
        ephemeral: bool,
        port: int | None = None,
    ) -> None:
        if len(str(socket_dir)) > LONGEST_SOCKET_DIRECTORY:
            raise PostgresError(
                f"The socket directory {socket_dir} has too long a path.",
                cause="the operating system limits socket paths to about 100 bytes",
                fix=f"use a directory of at most {LONGEST_SOCKET_DIRECTORY} characters",
            )
        self._binaries = binaries
        self._cluster = cluster
        self._account = account
        self._wanted_port = port
        self._ephemeral = ephemeral
        self._process: subprocess.Popen[bytes] | None = None
        self.socket_dir = socket_dir
        self.port = port or 0

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> Self:
        """Return once connections are accepted. Recovers by itself from whatever a kill left behind."""
        end_orphan(self._cluster.directory)
        for attempt in range(1, ATTEMPTS + 1):
            self.port = self._wanted_port or find_free_port()
            failure = self._attempt()
            if failure is None:
                return self
            if attempt == ATTEMPTS or not self._is_passing(failure):
                raise self._explain(failure)
            time.sleep(0.1)
        raise AssertionError("unreachable")

    def stop(self) -> None:
        """End the server: fast (5 s), then immediate (2 s), then by force. Stopping twice is fine."""
        process, self._process = self._process, None
        if process is None:
            return
        for number, patience in (
            (signal.SIGINT, FAST_STOP_SECONDS),
            (signal.SIGQUIT, IMMEDIATE_STOP_SECONDS),
            (signal.SIGKILL, None),
        ):
            if process.poll() is None:
                process.send_signal(number)
            try:
                process.wait(patience)
                return
            except subprocess.TimeoutExpired:
                continue

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _attempt(self) -> str | None:
        """Start once; None when it accepts connections, else what it wrote to its log."""
        start_of_log = self._spawn()
        process = self._process
        assert process is not None
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while process.poll() is None:
            if self._is_ready(process.pid):
                return None
            if time.monotonic() > deadline:
                self.stop()
                return f"it was not ready after {START_TIMEOUT_SECONDS:.0f} s"
            time.sleep(POLL_SECONDS)
        self._process = None
        with self._cluster.log_path.open("rb") as log:
            log.seek(start_of_log)
            return log.read()[-4000:].decode(errors="replace").strip() or f"exit status {process.returncode}"

    def _spawn(self) -> int:
        settings = server_settings(
            major=self._binaries.major, socket_dir=self.socket_dir, port=self.port, ephemeral=self._ephemeral
        )
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(self._binaries.program("postgres")), "-D", str(self._cluster.directory), *options]
        with self._cluster.log_path.open("ab") as log:
            start_of_log = log.tell()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=clean_environment(),
                # Ctrl-C in a terminal goes to the whole group; the database must outlive those who still use it.
                start_new_session=True,
                preexec_fn=die_with_parent(),
                **self._account.popen_identity(),
            )
        return start_of_log

    def _is_ready(self, pid: int) -> bool:
        try:
            lines = (self._cluster.directory / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        # The first line tells our server's file from one that a dead server left behind.
        return len(lines) > STATUS_LINE and lines[0] == str(pid) and lines[STATUS_LINE].strip() == "ready"

    def _is_passing(self, failure: str) -> bool:
        """Whether the next attempt may go better: orphaned backends that are just ending, or a port taken meanwhile."""
        orphans_ending = "shared memory block" in failure and "still in use" in failure
        port_lost = self._wanted_port is None and "could not create any TCP/IP sockets" in failure
        return orphans_ending or port_lost

    def _explain(self, failure: str) -> PostgresError:
        reasons = [line for line in failure.splitlines() if "FATAL" in line or "PANIC" in line or "HINT" in line]
        summary = " ".join(reasons or failure.splitlines()[-3:])
        if "could not create any TCP/IP sockets" in failure:
            return PostgresError(
                f"Postgres cannot listen on 127.0.0.1:{self.port}: {summary}",
                cause="another program uses that port",
                fix="choose another port, or stop that program",
            )
        return PostgresError(
            f"Postgres {self._binaries.version} did not start: {summary}",
            cause=f"see {self._cluster.log_path}",
            fix="if the data is not needed any more, remove the data directory and start again",
        )


def find_free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
