"""report.html: one file, no script, nothing fetched; light and dark, on screen and on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from action.gate.render import show
from action.publish.markdown import ranges
from action.publish.places import link_to, link_to_file, where
from action.publish.screenshots import Screenshot
from action.publish.trends import compared_with, find_trends
from action.publish.wording import duration, percent
from controlplane.report import ArtifactNote, Report

if TYPE_CHECKING:
    from jinja2 import Template

USEFUL = ("bundle", "verdict", "sarif", "patch", "junit", "coverage")
MAX_USEFUL = 12
MAX_SPOTS = 100
TEMPLATE = Path(__file__).with_name("report.html.j2")


def write_page(
    report: Report,
    trace: Mapping[str, tuple[str, ...]],
    screenshots: tuple[Screenshot, ...] = (),
    kept: Sequence[ArtifactNote] = (),
) -> str:
    """The whole page. `kept` are the files beside it, of which those worth opening are named.

    Every text goes through autoescape; links lead to the repository's own pages, the pull request and the log.
    """
    broken = [case for case in report.cases if case.outcome in ("failed", "error")]
    page: str = _template().render(
        report=report,
        trace=trace,
        broken=broken[:200],
        counted=_counted(report),
        screenshots=screenshots,
        useful=_useful(kept),
        spots=[(spot, where(spot), link_to(report, spot)) for spot in report.spots[:MAX_SPOTS]],
        file_links={file.path: link_to_file(report, file.path) for file in report.covered},
        trends=find_trends(report),
        compared=compared_with(report.earlier),
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
