"""The verdict as Markdown, for a pull request's body and the step summary. Its texts come from test names and reports
that anybody may have written, so nothing in them may link, mention, close an issue, or leave its cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from controlplane.verdict import Criterion, Verdict

# GitHub takes 65,536 characters in a pull request's body; what else stands there needs room too.
MARKDOWN_BYTES = 50_000
_MARKS = {"passed": "✅ passed", "failed": "❌ failed", "not_measured": "⚠️ not measured"}
_CELL_LENGTH = 400
_ROWS = 100
_EVIDENCE_LINES = 10
_ZERO_WIDTH = "\u200b"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-!|~>])")
# GitHub links these after Markdown and entities are gone; only a character in between stops it.
_LINKED = re.compile(r"(@|#(?=\d)|\bGH-(?=\d)|:(?=//)|\bwww(?=\.)|\bmailto(?=:))", re.IGNORECASE)


def verdict_markdown(verdict: Verdict, limit: int = MARKDOWN_BYTES) -> str:
    """A table of all criteria, and below it what each failing one rests on; at most `limit` bytes of UTF-8."""
    lines = list(_bounded(_lines(verdict), limit))
    return "\n".join(lines) + "\n"


def escape_markdown(text: str, length: int = _CELL_LENGTH) -> str:
    """One line that Markdown, HTML and GitHub's own linking all take for plain words."""
    clean = _UNPRINTABLE.sub(" ", text[: 4 * length]).strip()
    if len(clean) > length:
        clean = clean[: length - 1] + "…"
    clean = clean.replace("&", "&amp;").replace("<", "&lt;")
    return _MARKDOWN.sub(r"\\\1", _LINKED.sub(lambda found: found.group(0) + _ZERO_WIDTH, clean))


def _lines(verdict: Verdict) -> Iterator[str]:
    met = len(verdict.criteria) - len(verdict.failing())
    yield f"**{verdict.result.value}**: {met} of {len(verdict.criteria)} criteria are met."
    yield ""
    yield "| Criterion | Required | Actual | Status | Reason |"
    yield "|---|---|---|---|---|"
    for criterion in verdict.criteria[:_ROWS]:
        yield _row(criterion)
    if len(verdict.criteria) > _ROWS:
        yield f"| … and {len(verdict.criteria) - _ROWS} more | | | | |"
    yield ""
    yield _figures(verdict)
    for criterion in verdict.failing()[:_ROWS]:
        yield from _evidence(criterion)


def _row(criterion: Criterion) -> str:
    cells = (criterion.id, show(criterion.required), show(criterion.actual))
    shown = " | ".join(escape_markdown(cell, 100) for cell in cells)
    return f"| {shown} | {_MARKS[criterion.status]} | {escape_markdown(criterion.reason)} |"


def _figures(verdict: Verdict) -> str:
    tests = verdict.tests
    coverage = "not measured" if verdict.coverage is None else f"{verdict.coverage:.1%}"
    return (
        f"Tests: {tests.total} ({tests.passed} passed, {tests.failed} failed, {tests.errors} errors, "
        f"{tests.skipped} skipped). Line coverage of non-test code: {coverage}."
    )


def _evidence(criterion: Criterion) -> Iterator[str]:
    if not criterion.evidence:
        return
    yield ""
    yield f"<details><summary>{_summary(criterion.id)}</summary>"
    yield ""
    for line in criterion.evidence[:_EVIDENCE_LINES]:
        yield f"- {escape_markdown(line)}"
    if len(criterion.evidence) > _EVIDENCE_LINES:
        yield f"- … and {len(criterion.evidence) - _EVIDENCE_LINES} more"
    yield ""
    yield "</details>"


def _summary(text: str) -> str:
    """Inside an HTML element Markdown's backslashes would be shown."""
    return re.sub(r"[^A-Za-z0-9_. -]", " ", text[:80])


def show(value: Any) -> str:
    """A figure as people write it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {show(one)}" for key, one in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _bounded(lines: Iterator[str], limit: int) -> Iterator[str]:
    """Whole lines only; an opened `<details>` is closed."""
    left, opened = limit - 200, False
    for line in lines:
        left -= len(line.encode()) + 1
        if left < 0:
            if opened:
                yield "\n</details>"
            yield "\n… cut off here: the full verdict is in the report."
            return
        opened = line.startswith("<details>") or (opened and line != "</details>")
        yield line
