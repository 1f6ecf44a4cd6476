"""pyright: its text and `--outputjson`. `information` is no finding."""

from __future__ import annotations

import re
from typing import Any

from action.evidence.figures import plain_int
from action.evidence.limits import Allowance, UnreadableReport
from action.evidence.lintreport import finding, lint_report, objects
from controlplane.evidence import EvidenceFile

_SUM = re.compile(r"^(\d{1,9}) errors?, (\d{1,9}) warnings?, \d+ (?:informations?|notes?)[ \t\r]*$", re.MULTILINE)
_FINDING = re.compile(r"^[ \t]+\S.*?:\d+:\d+ - (?:error|warning): .*$", re.MULTILINE)
_NOTHING_CHECKED = "No source files found"


def is_pyright_text(text: str) -> bool:
    return bool(_SUM.search(text))


def read_pyright_text(text: str, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    if _NOTHING_CHECKED in text:
        raise UnreadableReport("pyright found no source file, so nothing was checked")
    errors, warnings = _SUM.findall(text)[-1]
    return lint_report(path, "pyright", [line.strip() for line in _FINDING.findall(text)], int(errors) + int(warnings))


def is_pyright_json(document: Any) -> bool:
    return isinstance(document, dict) and "generalDiagnostics" in document


def read_pyright_json(document: Any, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    summary = document.get("summary")
    if isinstance(summary, dict) and plain_int(summary.get("filesAnalyzed")) == 0:
        raise UnreadableReport("pyright looked at no file, so nothing was checked")
    entries = objects(document["generalDiagnostics"], "`generalDiagnostics`")
    found = [_as_text(entry) for entry in entries if entry.get("severity") != "information"]
    return lint_report(path, "pyright", found, _stated(summary))


def _stated(summary: Any) -> int | None:
    if not isinstance(summary, dict):
        return None
    figures = [plain_int(summary.get(key)) for key in ("errorCount", "warningCount")]
    known = [figure for figure in figures if figure is not None]
    return sum(known) if len(known) == len(figures) else None


def _as_text(entry: dict[str, Any]) -> str:
    place = entry.get("range")
    start = place.get("start") if isinstance(place, dict) else None
    line = plain_int(start.get("line")) if isinstance(start, dict) else None
    return finding(entry.get("file"), "?" if line is None else line + 1, entry.get("message"))
