"""report.html: one file, no script, nothing fetched; light and dark, on screen and on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from action.gate.render import show
from action.publish.markdown import ranges
from action.publish.screenshots import Screenshot
from action.publish.wording import duration, percent
from controlplane.report import ArtifactNote, Report

if TYPE_CHECKING:
    from jinja2 import Template

USEFUL = ("bundle", "verdict", "sarif", "patch", "junit", "coverage")
MAX_USEFUL = 12
TEMPLATE = Path(__file__).with_name("report.html.j2")


def write_page(
    report: Report,
    trace: Mapping[str, tuple[str, ...]],
    screenshots: tuple[Screenshot, ...] = (),
    kept: Sequence[ArtifactNote] = (),
) -> str:
    """The whole page. `kept` are the files beside it, of which those worth opening are named.

    Every text goes through autoescape; nothing of a sender's becomes a link."""
    broken = [case for case in report.cases if case.outcome in ("failed", "error")]
    page: str = _template().render(
        report=report,
        trace=trace,
        broken=broken[:200],
        counted=_counted(report),
        screenshots=screenshots,
        useful=_useful(kept),
        passed=report.result.value == "PASSED",
    )
    return page


def _useful(kept: Sequence[ArtifactNote]) -> list[ArtifactNote]:
    """What somebody may want to open, the bundle first; logs and pictures are found where the others are."""
    worth = [note for note in kept if note.kind in USEFUL]
    return sorted(worth, key=lambda note: (USEFUL.index(note.kind), note.name))[:MAX_USEFUL]


def _counted(report: Report) -> dict[str, int]:
    counts: dict[str, int] = {}
    for case in report.cases:
        counts[case.outcome] = counts.get(case.outcome, 0) + 1
    return counts


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(figure=show, percent=percent, duration=duration, ranges=ranges)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
