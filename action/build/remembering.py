"""Measuring the same files once: what the agent's own check found is what the loop would find.

A check that nobody waits for any more, since its agent was stopped, is stopped too, and what it found is forgotten. So
is a no that took nearly all the time it had: it may have been cut short.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from action.build.job import Judged
from action.gitrepo.workspace import tree_of
from action.verify.sandbox import never
from controlplane.change import Change
from controlplane.errors import CallerError
from controlplane.states import Result

# Of its time; a measurement that took more is no whole one.
WHOLE = 0.9
Measure = Callable[[Change, str, float, Callable[[], bool]], Judged]


class Judge(Protocol):
    """Takes the change, a name for its folder, and seconds. Raises Abandoned when it `is_over` before the end."""

    def __call__(self, change: Change, name: str, seconds: float, is_over: Callable[[], bool] = never) -> Judged: ...


class Abandoned(CallerError):
    """Nobody waited for this measurement any more."""

    default_code = "check-abandoned"


class Remembered:
    """A Judge. Who asks for files that are being measured waits for that, and keeps it from being stopped."""

    def __init__(self, measure: Measure, clock: Callable[[], float] = time.monotonic) -> None:
        self._measure = measure
        self._clock = clock
        self._known: dict[str, Judged] = {}
        self._measuring: dict[str, threading.Lock] = {}
        self._wanted: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, change: Change, name: str, seconds: float, is_over: Callable[[], bool] = never) -> Judged:
        tree = tree_of(change.repository, change.head)
        with self._lock:
            measuring = self._measuring.setdefault(tree, threading.Lock())
            self._wanted[tree] += 1

        given_up = threading.Event()

        def is_unwanted() -> bool:
            """For good: once it was said, the measurement is cut short, whoever comes after that."""
            if is_over() and self._wanted[tree] == 1:
                given_up.set()
            return given_up.is_set()

        try:
            with measuring:
                if tree in self._known:
                    return self._known[tree]
                began = self._clock()
                judged = self._measured(change, name, seconds, is_unwanted)
                if judged.verdict.result is Result.PASSED or self._clock() - began < seconds * WHOLE:
                    self._known[tree] = judged
                return judged
        finally:
            with self._lock:
                self._wanted[tree] -= 1

    def _measured(self, change: Change, name: str, seconds: float, is_unwanted: Callable[[], bool]) -> Judged:
        judged = None if is_unwanted() else self._measure(change, name, seconds, is_unwanted)
        # What was cut short on the way looks like work that fails.
        if judged is None or is_unwanted():
            raise Abandoned
        return judged
