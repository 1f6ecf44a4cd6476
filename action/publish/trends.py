"""What became of the figures since an earlier run: before, now, and by how much.

Compared is with a run that really was measured. The base commit itself is not measured again for this, so where no run
of ours made it, the last run that passed for the same branch stands in, and the report says which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from action.publish.wording import duration, percent
from controlplane.noun import Noun
from controlplane.report import Earlier, Report

# Less than this is noise in what is measured by the clock.
NOISE = 0.1


class Trend(Noun):
    """One figure in words; `change` has an arrow where there is one. `sign` says whether that is for the better; noise
    is `same`."""

    name: str
    before: str
    now: str
    change: str
    sign: Literal["better", "worse", "same", "unknown"]


def find_trends(report: Report) -> tuple[Trend, ...]:
    """Nothing without an earlier run, or where nothing was measured now."""
    if report.earlier is None or report.verdict is None:
        return ()
    earlier, measures, tests = report.earlier, report.measures, report.verdict.tests
    return tuple(
        trend
        for trend in (
            _trend("Line coverage", earlier.coverage, report.verdict.coverage, percent, _points, better=1),
            _trend("Tests", earlier.tests, tests.total, _whole, _whole, better=1),
            _trend("Tests passed", earlier.passed, tests.passed, _whole, _whole, better=1),
            _trend("End-to-end tests passed", earlier.e2e_passed, measures.e2e_passed, _whole, _whole, better=1),
            _trend("Lighthouse", _score(earlier.lighthouse_score), _score(measures.lighthouse_score), _whole, _whole,
                   better=1),
            _trend("Time", earlier.duration_seconds, report.duration_seconds, duration, duration, better=-1,
                   noise=NOISE),
        )
        if trend is not None
    )  # fmt: skip


def compared_with(earlier: Earlier | None) -> str:
    """A sentence that says what `before` is."""
    if earlier is None:
        return "There is no earlier figure: no run for this branch is known to have passed here before."
    which = "the run that made the base commit" if earlier.is_base else "the last run that passed for this branch"
    at = f", {earlier.finished_at[:10]}" if earlier.finished_at else ""
    return f"Compared with {which} ({earlier.commit[:12]}{at})."


def _trend(
    name: str,
    before: float | None,
    now: float | None,
    show: Callable[[float], str],
    show_change: Callable[[float], str],
    *,
    better: int,
    noise: float = 0.0,
) -> Trend | None:
    if before is None and now is None:
        return None
    if before is None or now is None:
        told = ["no earlier figure" if before is None else show(before), "not measured" if now is None else show(now)]
        return Trend(name=name, before=told[0], now=told[1], change="", sign="unknown")
    change = now - before
    is_same = abs(change) <= noise * abs(before)
    sign: Literal["better", "worse", "same"] = "same" if is_same else "better" if change * better > 0 else "worse"
    written = f"{'▲ +' if change > 0 else '▼ −'}{show_change(abs(change))}" if change else "±0"
    return Trend(name=name, before=show(before), now=show(now), change=written, sign=sign)


def _whole(number: float) -> str:
    return f"{number:g}"


def _points(ratio: float) -> str:
    return f"{ratio * 100:.1f} points"


def _score(share: float | None) -> float | None:
    return None if share is None else round(share * 100)
