"""A verdict for a person: a table on a terminal, plain lines elsewhere, and for each criterion that failed, or
passed without a figure, why.
"""

from __future__ import annotations

import re
import sys

from action.gate.render import show
from controlplane.verdict import Criterion, Verdict

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")
_STYLES = {"passed": "green", "failed": "red", "not_measured": "yellow"}
_EVIDENCE_LINES = 10


def print_verdict(verdict: Verdict) -> None:
    """On stdout: this is the result."""
    if sys.stdout.isatty():
        _print_table(verdict)
    else:
        for criterion in verdict.criteria:
            print(f"{criterion.status:<12}  {_plain(criterion.id)}: {_measured(criterion)}")
    for criterion in verdict.criteria:
        # A yes without a figure has its reason in words as well.
        if criterion.status == "passed" and criterion.actual is not None:
            continue
        print(f"\n{_plain(criterion.id)}: {_plain(criterion.reason)}")
        for line in criterion.evidence[:_EVIDENCE_LINES]:
            print(f"  - {_plain(line)}")
    print(f"\n{verdict.result.value}")


def _print_table(verdict: Verdict) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("criterion", "required", "actual", "status")
    for criterion in verdict.criteria:
        cells = (criterion.id, show(criterion.required), show(criterion.actual))
        # Text, not str: a test's name in brackets is no markup.
        status = Text(criterion.status.replace("_", " "), style=_STYLES[criterion.status])
        table.add_row(*(Text(_plain(cell)) for cell in cells), status)
    Console().print(table)


def _measured(criterion: Criterion) -> str:
    return _plain(f"required {show(criterion.required)}, actual {show(criterion.actual)}")


def _plain(text: str) -> str:
    """Without the control characters that would speak to the terminal."""
    return _UNPRINTABLE.sub(" ", text)
