"""mypy: its text, and the JSON lines of `--output json`. Notes explain an error and are none themselves."""

from __future__ import annotations

import re
from typing import Any

from action.evidence.limits import Allowance, UnreadableReport
from action.evidence.lintreport import finding, lint_report, objects, stated_in
from controlplane.evidence import EvidenceFile

_CLEAN = re.compile(r"^Success: no issues found in (\d+) source files?$", re.MULTILINE)
_SUM = re.compile(r"^Found (\d+) errors? in \d+ files? \(", re.MULTILINE)
_FINDING = re.compile(r"^\S.*?: error: .*$", re.MULTILINE)


def is_mypy_text(text: str) -> bool:
    return bool(_CLEAN.search(text) or _SUM.search(text) or re.search(r"^\S.*?:\d+: error: ", text, re.MULTILINE))


def read_mypy_text(text: str, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    clean = _CLEAN.findall(text)
    if clean and int(clean[-1][:9]) == 0:
        raise UnreadableReport("mypy looked at no source file, so nothing was checked")
    stated = 0 if clean else stated_in(_SUM, text)
    cut = () if stated is not None else ("its last line, the sum, is missing: the output is cut off",)
    return lint_report(path, "mypy", _FINDING.findall(text), stated, *cut)


def is_mypy_json(document: Any) -> bool:
    first = document[0] if isinstance(document, list) and document else document
    return isinstance(first, dict) and {"file", "line", "severity", "message"} <= first.keys()


def read_mypy_json(document: Any, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    entries = objects(document if isinstance(document, list) else [document], "the report")
    errors = [entry for entry in entries if entry.get("severity") != "note"]
    return lint_report(
        path, "mypy", [finding(entry.get("file"), entry.get("line"), entry.get("message")) for entry in errors], None
    )
