"""Timing a thing next to its baseline, alternating, so that noise hits both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """Medians in seconds; `ratio` is ours divided by the baseline's."""

    name: str
    ours_seconds: float
    baseline: str
    baseline_seconds: float
    rounds: int

    @property
    def ratio(self) -> float:
        return self.ours_seconds / self.baseline_seconds

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.ours_seconds:.3f} s = {self.ratio:.2f} x {self.baseline} "
            f"({self.baseline_seconds:.3f} s; medians of {self.rounds})"
        )


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(
    name: str, ours: Callable[[], float], baseline_name: str, baseline: Callable[[], float], *, rounds: int = 5
) -> Measure:
    """Both callables return the seconds they took; they clean up after themselves, unmeasured."""
    pairs = [(ours(), baseline()) for _ in range(rounds)]
    return Measure(
        name,
        statistics.median(pair[0] for pair in pairs),
        baseline_name,
        statistics.median(pair[1] for pair in pairs),
        rounds,
    )
