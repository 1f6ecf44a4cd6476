"""The sandbox: time, output and reach are bounded, and nothing of it is alive afterwards."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from action.verify.account import can_switch_user, is_reachable, processes_of
from action.verify.area import account_locks, open_area, tools_of
from action.verify.interpreter import find_interpreter
from action.verify.sandbox import Cell, Outcome, Tools, open_cell

CANARY = "canary-4711"


@pytest.fixture
def cell() -> Iterator[Cell]:
    work = Path(tempfile.mkdtemp(prefix="aicd-test-"))
    work.chmod(0o755)
    cache = work / "cache"
    interpreter = find_interpreter(cache)
    with (
        open_area(work / "area") as area,
        open_cell(area.cells / "cell", tools_of(area, interpreter.executable, os.defpath, reachable=True)) as opened,
    ):
        opened.tree.mkdir()
        if opened.owner is not None:
            os.chown(opened.tree, opened.owner, opened.owner)
        yield opened
    shutil.rmtree(work)


def run(cell: Cell, code: str, seconds: float = 10) -> Outcome:
    return cell.run([cell.python, "-I", "-c", code], timeout_seconds=seconds)


def test_environment_holds_nothing_of_ours(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AICD_SUPABASE_TOKEN", CANARY)
    outcome = run(cell, "import os; print(sorted(os.environ), os.environ['HOME'])")
    assert CANARY not in outcome.output.decode()
    assert "AICD_SUPABASE_TOKEN" not in outcome.output.decode()
    assert str(cell.home) in outcome.output.decode()


def test_program_that_nobody_waits_for_any_more_is_stopped(cell: Cell) -> None:
    started = time.monotonic()
    left = replace(cell, is_over=lambda: time.monotonic() - started > 0.5)
    outcome = run(left, "import time; time.sleep(60)", seconds=60)
    assert (outcome.exit_code, outcome.timed_out) == (None, False)
    assert "nobody waited" in outcome.reason
    assert outcome.duration_seconds < 20


def test_endless_program_is_stopped_with_all_it_started(cell: Cell) -> None:
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(600)\n"
        "time.sleep(600)\n"
    )
    started = time.monotonic()
    outcome = run(cell, code, seconds=1)
    assert outcome.timed_out
    assert outcome.exit_code is None
    assert time.monotonic() - started < 5
    assert not _alive(cell)


def test_daemon_left_behind_does_not_outlive_the_run(cell: Cell) -> None:
    code = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\nprint('done', flush=True)\n"
    outcome = run(cell, code)
    assert outcome.exit_code == 0
    assert outcome.duration_seconds < 5
    assert not _alive(cell)


def test_loud_program_is_kept_short_and_not_stuck(cell: Cell) -> None:
    outcome = run(cell, "import sys\nfor _ in range(50): sys.stdout.write('x' * 1_000_000)\n", seconds=30)
    assert outcome.exit_code == 0
    assert len(outcome.output) == 4_000_000


def test_missing_program_is_an_exit_code_and_a_sentence(cell: Cell) -> None:
    outcome = cell.run(["no-such-program"], timeout_seconds=5)
    assert (outcome.exit_code, outcome.errors) == (127, b"no-such-program: No such file or directory\n")


@pytest.mark.skipif(not can_switch_user(), reason="only root may switch users")
def test_separate_user_reaches_neither_our_memory_nor_our_files(cell: Cell, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    secret.chmod(0o600)
    code = (
        f"import os\nfor path in ['/proc/{os.getpid()}/environ', {str(secret)!r}, {str(cell.folder / 'new')!r}]:\n"
        "    try:\n        open(path, 'a' if path.endswith('new') else 'r').close()\n        print('OPENED', path)\n"
        "    except OSError as error:\n        print(type(error).__name__)\nprint(os.getuid(), os.getgroups())\n"
    )
    told = run(cell, code).output.decode()
    assert "OPENED" not in told
    assert told.splitlines()[-1] == f"{cell.owner} []"


@pytest.mark.skipif(not can_switch_user(), reason="only root may switch users")
def test_two_cells_never_share_a_user(cell: Cell) -> None:
    tools = _tools_of(cell)
    with open_cell(cell.folder.parent / "other", tools) as other:
        assert other.owner not in (None, cell.owner)


def test_folder_below_a_closed_one_is_not_reachable(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    inner = closed / "inner"
    inner.mkdir(parents=True)
    closed.chmod(0o700)
    assert not is_reachable(inner)
    assert is_reachable(Path("/usr"))


def test_interpreter_is_a_python_that_runs(tmp_path: Path) -> None:
    found = find_interpreter(tmp_path)
    assert found.executable.exists()
    assert found.version.startswith(f"{sys.version_info.major}.")


def _tools_of(cell: Cell) -> Tools:
    return Tools(cell.python, cell.launcher, cell.path, account_locks(), reachable=True)


def _alive(cell: Cell) -> list[int]:
    if cell.owner is not None:
        return list(processes_of(cell.owner))
    needle = cell.marker.encode()
    return [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and needle in _environment(entry)
    ]


def _environment(entry: Path) -> bytes:
    try:
        return (entry / "environ").read_bytes()
    except OSError:
        return b""


def test_listener_hears_the_output_as_it_comes_and_may_stop_the_program(cell: Cell) -> None:
    heard: list[bytes] = []

    def listen(piece: bytes) -> str:
        heard.append(piece)
        return "it said enough" if b"".join(heard).count(b"\n") >= 3 else ""

    code = "import time\nwhile True:\n    print('line', flush=True)\n    time.sleep(0.05)\n"
    outcome = cell.run([cell.python, "-I", "-c", code], timeout_seconds=10, listen=listen)
    assert (outcome.exit_code, outcome.timed_out, outcome.reason) == (None, False, "it said enough")
    assert b"" in heard
    assert outcome.duration_seconds < 5
