"""Where at GitHub a line of the change can be seen: in the diff where it is part of it, else in the file.

Anchors in a diff are `#diff-`, the SHA-256 of the path, and R with the line's number on the right side. Paths come from
reports; they are quoted, and only ever lead to pages of the repository itself.
"""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from controlplane.report import Report, Spot


def link_to(report: Report, spot: Spot) -> str:
    """Empty where there is nothing to link to: no page of the repository, or no place."""
    if not (report.web_url and report.commit and spot.path):
        return ""
    changed = any(file.path == spot.path for file in report.files)
    if changed and (spot.in_diff or not spot.line):
        return f"{_diff_page(report)}#diff-{hashlib.sha256(spot.path.encode()).hexdigest()}{_lines(spot, 'R')}"
    return link_to_file(report, spot.path) + (f"#{_lines(spot, 'L')}" if spot.line else "")


def link_to_file(report: Report, path: str) -> str:
    """The whole file at the measured commit; empty where it cannot be seen."""
    if not (report.web_url and report.commit):
        return ""
    return f"{report.web_url}/blob/{report.commit}/{quote(path)}"


def where(spot: Spot) -> str:
    """`calc/add.py:3` or `calc/add.py:3-7`, as people write it."""
    if not spot.line:
        return spot.path
    return f"{spot.path}:{spot.line}" if spot.end_line <= spot.line else f"{spot.path}:{spot.line}-{spot.end_line}"


def _diff_page(report: Report) -> str:
    if report.pull_request_url:
        return f"{report.pull_request_url}/files"
    return f"{report.web_url}/compare/{report.base}...{report.commit}"


def _lines(spot: Spot, side: str) -> str:
    if not spot.line:
        return ""
    return f"{side}{spot.line}" if spot.end_line <= spot.line else f"{side}{spot.line}-{side}{spot.end_line}"
