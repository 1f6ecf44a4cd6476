"""pylint: `--output-format` text, json and json2."""

from __future__ import annotations

import re
from typing import Any

from action.evidence.limits import Allowance
from action.evidence.lintreport import finding, lint_report, objects
from controlplane.evidence import EvidenceFile

_MARK = re.compile(r"^(?:\*{13} Module |Your code has been rated at )", re.MULTILINE)
_FINDING = re.compile(r"^\S.*?:\d+:\d+: [CRWEF]\d{4}: .*$", re.MULTILINE)


def is_pylint_json(document: Any) -> bool:
    entries = document.get("messages") if isinstance(document, dict) and "statistics" in document else document
    if isinstance(document, dict) and entries == []:
        return True
    return isinstance(entries, list) and bool(entries) and isinstance(entries[0], dict) and "symbol" in entries[0]


def read_pylint_json(document: Any, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    entries = objects(document.get("messages") if isinstance(document, dict) else document, "the report")
    found = [
        finding(entry.get("path"), entry.get("line"), f"{entry.get('symbol')} {entry.get('message')}")
        for entry in entries
        if entry.get("type") != "info"
    ]
    return lint_report(path, "pylint", found, None)


def is_pylint_text(text: str) -> bool:
    return bool(_MARK.search(text))


def read_pylint_text(text: str, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    return lint_report(path, "pylint", _FINDING.findall(text), None)
