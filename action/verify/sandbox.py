"""The sandbox: how a program of the repository's is run, bounded in time, output and reach, and ended for good."""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from action.verify.account import MARKER, Account, can_switch_user, end_process, kill_all_of, lease_account

KEEP_BYTES = 4_000_000
MOST_OUTPUT_BYTES = 500_000_000
MOST_CHANNEL_BYTES = 200_000_000
LIMITS = {"CORE": 0, "FSIZE": 1_000_000_000, "AS": 32_000_000_000}
MOST_PROCESSES = 1024
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
Listener = Callable[[bytes], str]


def never() -> bool:
    """Whether something is over that nobody ends early."""
    return False


# One attribute of the whole process, wanted by several threads: the last one to leave switches it off.
_adoption = threading.Lock()
_adopters: list[int] = []


@dataclass(frozen=True)
class Outcome:
    """How a program ended. `exit_code` is None when it was stopped; negative when a signal ended it.

    `channel` is what it sent through the pipe that only it was given; `output` and `errors` keep the first 4 MB.
    """

    exit_code: int | None
    duration_seconds: float
    output: bytes = b""
    errors: bytes = b""
    channel: bytes = b""
    timed_out: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Cell:
    """One sandbox: a user id of its own where possible, and a folder that holds its home and its checkout.

    `folder` belongs to us; only `home` and `tree` inside it belong to the sandbox's user. A `roomy` one has no limit of
    address space: Chromium and Node reserve far more of it than they use. What runs in it is stopped once `is_over`.
    """

    folder: Path
    python: Path
    launcher: Path
    path: str
    account: Account | None
    network: bool = True
    roomy: bool = False
    is_over: Callable[[], bool] = never
    marker: str = field(default_factory=lambda: uuid4().hex)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def owner(self) -> int | None:
        return self.account.uid if self.account else None

    def run(
        self,
        command: Sequence[str | Path],
        *,
        timeout_seconds: float,
        cwd: Path | None = None,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        channel: bool = False,
        listen: Listener | None = None,
    ) -> Outcome:
        """Run to the end, or to the limit; afterwards nothing of it is alive.

        `channel` asks for a pipe to us; the number of its write end becomes the command's last argument. `listen`
        hears the output as it comes, and an empty piece whenever a moment passes without; its answer, if it is not
        empty, is the reason why the program is stopped.
        """
        return _Running(self, [str(word) for word in command], channel=channel, listen=listen).complete(
            cwd or self.tree, stdin, {**self._environment(), **(environment or {})}, max(timeout_seconds, 0.1)
        )

    @contextmanager
    def converse(
        self, command: Sequence[str | Path], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A program to talk with over stdin and stdout, for as long as the block lasts; several may run at once.

        Its process group ends with the block. What left the group ends with the cell, or by `end`.
        """
        given = {**self._environment(), **(environment or {})}
        process = _spawn(self, [str(word) for word in command], cwd or self.tree, given, errors=subprocess.DEVNULL)
        try:
            yield process
        finally:
            _end_group(process)

    def _environment(self) -> dict[str, str]:
        marked = {MARKER: self.marker}
        if "AICD_STACK" in os.environ:
            marked["AICD_STACK"] = os.environ["AICD_STACK"]
        return {
            "PATH": self.path,
            "HOME": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "LANG": "C.UTF-8",
            # An id without an account has no name; programs that ask for one look here first.
            "USER": "sandbox",
            "LOGNAME": "sandbox",
            **marked,
        }

    def limits(self) -> dict[str, int | bool]:
        limits: dict[str, int | bool] = dict(LIMITS)
        if self.account:  # counted per user id: without one of its own it would count everything of ours
            limits["NPROC"] = MOST_PROCESSES
        if self.roomy:
            del limits["AS"]
        if not self.network:
            limits["network"] = False
        return limits

    def end(self) -> None:
        """Kill whatever is left of this cell."""
        if self.account:
            kill_all_of(self.account.uid)
        else:
            _kill_marked(self.marker)


@dataclass(frozen=True)
class Tools:
    """What every cell of one verification shares: the interpreter, the launcher, PATH, and where ids are leased.

    `reachable` says whether another user can come to all of it; without that, a user of its own is of no use. `is_over`
    says that nobody waits any more for what runs.
    """

    python: Path
    launcher: Path
    path: str
    lock_folder: Path
    reachable: bool
    is_over: Callable[[], bool] = never


@contextmanager
def open_cell(folder: Path, tools: Tools, *, network: bool = True, roomy: bool = False) -> Iterator[Cell]:
    """Make a cell in a new folder; when it is closed, nothing that ran in it is alive."""
    leased = lease_account(tools.lock_folder) if tools.reachable else nullcontext()
    with _adopting_orphans(), leased as account:
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        cell = Cell(folder, tools.python, tools.launcher, tools.path, account, network, roomy, tools.is_over)
        for owned in (cell.home, cell.home / "tmp"):
            owned.mkdir()
            owned.chmod(0o700)
            if account:
                os.chown(owned, account.uid, account.uid)
        try:
            yield cell
        finally:
            cell.end()


@contextmanager
def _adopting_orphans() -> Iterator[None]:
    """While a cell is open, processes whose parent died become ours, so that we can bury them.

    In a container whose first process buries nobody, the dead would count against the sandbox's user for ever.
    """
    with _adoption:
        _adopters.append(1)
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        with _adoption:
            _adopters.pop()
            if not _adopters:
                _prctl(PR_SET_CHILD_SUBREAPER, 0)


def describe_isolation(*, reachable: bool) -> str:
    """In plain words, what holds between the repository's code and this process. Said in every report."""
    if can_switch_user() and reachable:
        return "separate user: each run has a user id of its own, a cleaned environment and no way to our files"
    cause = "the interpreter cannot be reached by another user" if can_switch_user() else "we may not switch users"
    return f"reduced: same user, since {cause}; cleaned environment, own process group, our memory closed to it"


class _Running:
    """One program in a cell, from start to certain end."""

    def __init__(self, cell: Cell, command: list[str], *, channel: bool, listen: Listener | None = None) -> None:
        self.cell = cell
        self.listen = listen
        self.command = command
        self.channel = channel
        self.kept: dict[str, bytearray] = {"output": bytearray(), "errors": bytearray(), "channel": bytearray()}
        self.seen = {"output": 0, "errors": 0, "channel": 0}
        self.reason = ""
        self.timed_out = False

    def complete(self, cwd: Path, stdin: bytes, environment: dict[str, str], timeout_seconds: float) -> Outcome:
        started = time.monotonic()
        process, reading = self._start(cwd, environment)
        try:
            self._follow(process, reading, stdin, started + timeout_seconds)
        finally:
            self._end(process)
            if reading is not None:
                os.close(reading)
        return Outcome(
            exit_code=None if self.reason else process.returncode,
            duration_seconds=round(time.monotonic() - started, 3),
            output=bytes(self.kept["output"]),
            errors=bytes(self.kept["errors"]),
            channel=bytes(self.kept["channel"]),
            timed_out=self.timed_out,
            reason=self.reason,
        )

    def _start(self, cwd: Path, environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], int | None]:
        reading, writing = os.pipe() if self.channel else (None, None)
        handed = () if writing is None else (writing,)
        try:
            process = _spawn(self.cell, [*self.command, *map(str, handed)], cwd, environment, handed=handed)
        finally:
            if writing is not None:
                os.close(writing)
        return process, reading

    def _follow(self, process: subprocess.Popen[bytes], reading: int | None, stdin: bytes, deadline: float) -> None:
        assert process.stdin and process.stdout and process.stderr
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, "output")
            selector.register(process.stderr, selectors.EVENT_READ, "errors")
            if reading is not None:
                selector.register(reading, selectors.EVENT_READ, "channel")
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE, "stdin")
            pending = memoryview(stdin)
            while selector.get_map() and not self.reason:
                if process.poll() is not None:
                    # Its own words are all in the pipes by now; who still holds them open is ended by `_end`.
                    deadline = min(deadline, time.monotonic() + 0.2)
                for key, _ in selector.select(timeout=min(0.05, max(deadline - time.monotonic(), 0))):
                    if key.data == "stdin":
                        pending = _feed(selector, process, pending)
                    elif not self._take(key.fd, key.data):
                        selector.unregister(key.fileobj)
                if self.listen is not None:
                    self.reason = self.reason or self.listen(b"")
                if self.cell.is_over():
                    self.reason = self.reason or "nobody waited for it any more"
                if time.monotonic() >= deadline and not self.reason:
                    if process.poll() is None:
                        self.timed_out, self.reason = True, "it took longer than its time limit and was stopped"
                    break
            if not self.reason:
                self._wait(process, deadline)

    def _wait(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        try:
            process.wait(timeout=max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            self.timed_out, self.reason = True, "it took longer than its time limit and was stopped"

    def _take(self, descriptor: int, name: str) -> bool:
        data = os.read(descriptor, 1 << 16)
        self.seen[name] += len(data)
        most_kept = MOST_CHANNEL_BYTES if name == "channel" else KEEP_BYTES
        self.kept[name] += data[: max(most_kept - len(self.kept[name]), 0)]
        if self.listen is not None and name == "output" and data:
            self.reason = self.reason or self.listen(data)
        if self.seen[name] > (MOST_CHANNEL_BYTES if name == "channel" else MOST_OUTPUT_BYTES):
            self.reason = f"it wrote more than {MOST_OUTPUT_BYTES // 1_000_000} MB and was stopped"
        return bool(data)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        try:
            _end_group(process)
        finally:
            self.cell.end()


def _spawn(
    cell: Cell,
    command: list[str],
    cwd: Path,
    environment: Mapping[str, str],
    *,
    errors: int = subprocess.PIPE,
    handed: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start a program as the cell's user in a process group of its own, by the launcher that takes its rights away."""
    if cell.account is None:
        _close_our_memory()
    return subprocess.Popen(
        [str(cell.python), "-I", "-S", str(cell.launcher), json.dumps(cell.limits()), *command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        pass_fds=handed,
        start_new_session=True,
        user=cell.account.uid if cell.account else None,
        group=cell.account.uid if cell.account else None,
        extra_groups=[] if cell.account else None,
        umask=0o022,
    )


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):  # the group is gone already
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


def _feed(selector: selectors.BaseSelector, process: subprocess.Popen[bytes], pending: memoryview) -> memoryview:
    assert process.stdin
    try:
        pending = pending[os.write(process.stdin.fileno(), pending[: 1 << 16]) :] if pending else pending
    except BlockingIOError:
        return pending
    except BrokenPipeError:
        pending = pending[:0]
    if not pending:
        selector.unregister(process.stdin)
        process.stdin.close()
    return pending


def _kill_marked(marker: str) -> None:
    """Kill every process whose environment carries a cell's marker: those that left their process group."""
    needle = f"{MARKER}={marker}".encode()
    for _ in range(20):
        found = [pid for pid in _own_processes() if needle in _environment_of(pid)]
        if not found:
            return
        for pid in found:
            end_process(pid)
        time.sleep(0.005)


def _own_processes() -> Iterator[int]:
    return (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit() and int(entry.name) != os.getpid())


def _environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _close_our_memory() -> None:
    """Make /proc/self unreadable for programs of the same user; without a user of its own, this is what we have."""
    _prctl(PR_SET_DUMPABLE, 0)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
