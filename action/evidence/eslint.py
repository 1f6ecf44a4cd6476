"""eslint: `--format json` and its default text (stylish)."""

from __future__ import annotations

import re
from typing import Any

from action.evidence.limits import Allowance
from action.evidence.lintreport import finding, lint_report, objects, stated_in
from controlplane.evidence import EvidenceFile

_SUM = re.compile(r"^\u2716 (\d+) problems? \(", re.MULTILINE)
_FINDING = re.compile(r"^ +\d+:\d+ +(?:error|warning) +\S.*$", re.MULTILINE)


def is_eslint_json(document: Any) -> bool:
    return (
        isinstance(document, list)
        and bool(document)
        and isinstance(document[0], dict)
        and "filePath" in document[0]
        and "messages" in document[0]
    )


def read_eslint_json(document: Any, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    found = [
        finding(file.get("filePath"), message.get("line"), f"{message.get('ruleId')} {message.get('message')}")
        for file in objects(document, "the report")
        for message in objects(file.get("messages"), "`messages`")
    ]
    return lint_report(path, "eslint", found, None)


def is_eslint_text(text: str) -> bool:
    return bool(_SUM.search(text))


def read_eslint_text(text: str, path: str, allowance: Allowance) -> EvidenceFile:  # noqa: ARG001 - the table's shape
    return lint_report(path, "eslint", [line.strip() for line in _FINDING.findall(text)], stated_in(_SUM, text))
