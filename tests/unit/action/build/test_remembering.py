"""Measuring once, and not for nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from action.build.job import Judged
from action.build.loop import NOTHING_JUDGED
from action.build.remembering import Abandoned, Remembered
from action.verify.sandbox import never
from controlplane.change import Change
from controlplane.evidence import Evidence
from tests.unit.action.conftest import run_git

SECONDS = 5.0


class Slow:
    """A measurement that lasts until it is let go or told that it is over."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.let_go = threading.Event()

    def __call__(self, change: Change, name: str, seconds: float, is_over: Callable[[], bool]) -> Judged:
        self.begun.append(name)
        deadline = time.monotonic() + seconds
        while not self.let_go.wait(0.01) and not is_over() and time.monotonic() < deadline:
            pass
        return Judged(NOTHING_JUDGED, Evidence())


@pytest.fixture
def changes(origin: Path, area: Path) -> list[Change]:
    """The same files in two commits, and other files in a third."""
    clone = area / "clone"
    base = run_git(clone, "rev-parse", "HEAD")
    heads = []
    for number, content in enumerate(("x", "x", "y")):
        run_git(clone, "checkout", "-q", "-B", f"b{number}", base)
        (clone / "new.txt").write_text(content)
        run_git(clone, "add", "-A")
        run_git(clone, "commit", "-qm", f"Commit {number}")
        heads.append(run_git(clone, "rev-parse", "HEAD"))
    return [Change(repository=clone / ".git", base=base, head=head, branch="b", files=("new.txt",)) for head in heads]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def test_same_files_asked_for_twice_at_once_are_measured_once(changes: list[Change]) -> None:
    slow = Slow()
    judge = Remembered(slow)
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(judge, one, f"n{number}", SECONDS) for number, one in enumerate(changes)]
        wait_for(lambda: len(slow.begun) == 2)
        slow.let_go.set()
        found = [answer.result(SECONDS) for answer in answers]
    assert found[0] is found[1] is not found[2]
    assert judge(changes[0], "again", SECONDS) is found[0]
    assert len(slow.begun) == 2


def test_check_that_nobody_waits_for_is_stopped_and_forgotten(changes: list[Change]) -> None:
    slow, over = Slow(), threading.Event()
    judge = Remembered(slow)
    with ThreadPoolExecutor(1) as pool:
        check = pool.submit(judge, changes[0], "check-1", 60.0, over.is_set)
        wait_for(lambda: slow.begun == ["check-1"])
        over.set()
        with pytest.raises(Abandoned):
            check.result(SECONDS)
    with pytest.raises(Abandoned):
        judge(changes[0], "check-2", 60.0, over.is_set)
    assert slow.begun == ["check-1"]
    slow.let_go.set()
    assert judge(changes[0], "1", SECONDS).verdict == NOTHING_JUDGED
    assert slow.begun == ["check-1", "1"]


def test_loop_that_comes_when_a_check_was_cut_short_measures_by_itself(changes: list[Change]) -> None:
    """The measurement was told that nobody waits, and ends with a no that means nothing."""
    begun: list[str] = []
    cut, let_go = threading.Event(), threading.Event()

    def measure(_change: Change, name: str, _seconds: float, is_over: Callable[[], bool]) -> Judged:
        begun.append(name)
        if name == "check-1":
            assert is_over()
            cut.set()
            let_go.wait(SECONDS)
        return Judged(NOTHING_JUDGED, Evidence())

    answers = iter([False])
    judge = Remembered(measure)
    with ThreadPoolExecutor(2) as pool:
        check = pool.submit(judge, changes[0], "check-1", 60.0, lambda: next(answers, True))
        wait_for(cut.is_set)
        loop = pool.submit(judge, changes[1], "1", 60.0)
        wait_for(lambda: 2 in judge._wanted.values())
        let_go.set()
        with pytest.raises(Abandoned):
            check.result(SECONDS)
        loop.result(SECONDS)
    assert begun == ["check-1", "1"]


def test_check_that_the_loop_waits_for_goes_on_without_its_agent(changes: list[Change]) -> None:
    slow, over = Slow(), threading.Event()
    judge = Remembered(slow)
    with ThreadPoolExecutor(2) as pool:
        check = pool.submit(judge, changes[0], "check-1", SECONDS, over.is_set)
        wait_for(lambda: slow.begun == ["check-1"])
        loop = pool.submit(judge, changes[1], "1", SECONDS, never)
        wait_for(lambda: 2 in judge._wanted.values())
        over.set()
        time.sleep(0.05)
        assert not check.done()
        slow.let_go.set()
        assert loop.result(SECONDS) is check.result(SECONDS)
    assert slow.begun == ["check-1"]
