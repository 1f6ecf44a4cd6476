"""flake8's text, which is also the concise form of other linters: `path:line:column: CODE message`, and nothing else.

A clean flake8 run prints nothing, and nothing is evidence of nothing: an empty file is not read as clean.
"""

from __future__ import annotations

import re

from action.evidence.limits import Allowance
from action.evidence.lintreport import lint_report
from controlplane.evidence import EvidenceFile

_FINDING = re.compile(r"^\S.*?:\d+:\d+: [A-Z]+\d+ .*$")
_COUNT = re.compile(r"^\d+$")


def is_flake8(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    return (
        bool(lines)
        and bool(_FINDING.match(lines[0]))
        and all(_FINDING.match(line) or _COUNT.match(line) for line in lines)
    )


def read_flake8(text: str, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    lines = [line for line in text.splitlines() if line.strip()]
    counts = [int(line[:9]) for line in lines if _COUNT.match(line)]
    return lint_report(path, "flake8", [line for line in lines if _FINDING.match(line)], counts[-1] if counts else None)
