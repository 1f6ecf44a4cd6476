"""ruff: `check` as JSON, in full, concise and grouped text, and `format --check`."""

from __future__ import annotations

import re
from typing import Any

from action.evidence.limits import Allowance, UnreadableReport
from action.evidence.lintreport import finding, lint_report, objects, stated_in
from controlplane.evidence import EvidenceFile

_CLEAN = re.compile(r"^All checks passed!$", re.MULTILINE)
_SUM = re.compile(r"^Found (\d+) errors?\.$", re.MULTILINE)
_SUM_AFTER_FIX = re.compile(r"^Found \d+ errors? \(\d+ fixed, (\d+) remaining\)\.$", re.MULTILINE)
_FULL = re.compile(r"^ *--> \S.*:\d+:\d+$", re.MULTILINE)
_CONCISE = re.compile(r"^\S.*?:\d+:\d+: (?:[A-Z]+\d+|[a-z-]+:?) .*$", re.MULTILINE)
_GROUPED = re.compile(r"^ +\d+:\d+ +[A-Z]+\d+ .*$", re.MULTILINE)
_NOTHING_CHECKED = "No Python files found"
_FORMAT_SUM = re.compile(r"^(\d+) files? would be reformatted", re.MULTILINE)
_FORMAT_CLEAN = re.compile(r"^\d+ files? already formatted$", re.MULTILINE)
_FORMAT_FINDING = re.compile(r"^(?:Would reformat|unformatted): .+$", re.MULTILINE)


def is_ruff_json(document: Any) -> bool:
    return _is_list_with(document, "filename", "location", "message")


def _is_list_with(document: Any, *keys: str) -> bool:
    return (
        isinstance(document, list)
        and bool(document)
        and isinstance(document[0], dict)
        and all(key in document[0] for key in keys)
    )


def read_ruff_json(document: Any, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    return lint_report(path, "ruff", [_as_text(entry) for entry in objects(document, "the report")], None)


def _as_text(entry: dict[str, Any]) -> str:
    location = entry.get("location")
    row = location.get("row") if isinstance(location, dict) else "?"
    return finding(entry.get("filename"), row, f"{entry.get('code') or 'invalid-syntax'} {entry.get('message')}")


def is_empty_list(document: Any) -> bool:
    """`[]` is how ruff, and other linters with a JSON list, say that they found nothing."""
    return isinstance(document, list) and not document


def read_empty_list(document: Any, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001
    return lint_report(path, "", [], None)


def is_ruff_text(text: str) -> bool:
    summed = any(pattern.search(text) for pattern in (_CLEAN, _SUM, _SUM_AFTER_FIX))
    return summed or (bool(_FULL.search(text)) and not is_ruff_format(text))


def read_ruff_text(text: str, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    if _NOTHING_CHECKED in text:
        raise UnreadableReport("ruff found no Python file, so nothing was checked")
    found = [line.strip() for line in _FULL.findall(text)] or _CONCISE.findall(text) or _GROUPED.findall(text)
    stated = 0 if _CLEAN.search(text) else stated_in(_SUM, text)
    if stated is None:
        stated = stated_in(_SUM_AFTER_FIX, text)
    cut = () if stated is not None else ("its last line, the sum, is missing: the output is cut off",)
    return lint_report(path, "ruff", found, stated, *cut)


def is_ruff_format(text: str) -> bool:
    return bool(_FORMAT_SUM.search(text) or _FORMAT_CLEAN.search(text))


def read_ruff_format(text: str, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    return lint_report(path, "ruff", _FORMAT_FINDING.findall(text), stated_in(_FORMAT_SUM, text) or 0)
