"""Runs whose report, exit code and events do not say the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from action.verify.pytestrun import PytestRun
from controlplane.evidence import IntegrityFinding


def find_mismatches(runs: Mapping[str, PytestRun]) -> Iterator[IntegrityFinding]:
    for name, run in runs.items():
        if run.purpose == "collect" or not run.recorded.mismatches:
            continue
        yield IntegrityFinding(
            kind="report-mismatch",
            fails=True,
            file=name,
            node_ids=tuple(sorted({text.partition(": ")[0] for text in run.recorded.mismatches if "::" in text})),
            reason="; ".join(run.recorded.mismatches[:10]),
        )
