"""What all readers of lint and type output share: findings counted one by one, and held against the tool's own sum.

An issue is an error or a warning; notes and informations are none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from action.evidence.limits import FINDINGS_KEPT, UnreadableReport
from action.evidence.wording import one_line
from controlplane.evidence import EvidenceFile

TYPE_CHECKERS = ("mypy", "pyright")


def lint_report(path: str, tool: str, findings: Sequence[str], stated: int | None, *problems: str) -> EvidenceFile:
    """`stated` is the tool's own sum. Where it differs, something was cut off or altered: evidence of nothing."""
    if stated is not None and stated != len(findings):
        raise UnreadableReport(f"{tool} says {stated}, but {len(findings)} findings are listed: cut off or altered")
    return EvidenceFile(
        path=path,
        kind="lint",
        issues=len(findings),
        problems=problems,
        tool=tool,
        findings=tuple(one_line(finding) for finding in findings[:FINDINGS_KEPT]),
    )


def stated_in(pattern: re.Pattern[str], text: str) -> int | None:
    """The sum in the last line that `pattern` finds, as its first group."""
    found = pattern.findall(text)
    figure = found[-1] if found else ""
    figure = figure[0] if isinstance(figure, tuple) else figure
    return int(figure) if figure and len(figure) <= 9 else None


def objects(value: Any, what: str) -> list[dict[str, Any]]:
    """A list of objects, or UnreadableReport."""
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise UnreadableReport(f"{what} is no list of objects")
    return value


def finding(file: Any, line: Any, text: Any) -> str:
    return one_line(f"{file}:{line}: {text}")
