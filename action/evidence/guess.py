"""What an unreadable file might have been. A guess is only ever used against the file, never for it."""

from __future__ import annotations

import re
from pathlib import PurePath

from action.evidence.scanreport import BANDIT, NPM_AUDIT, PIP_AUDIT
from controlplane.evidence import Kind

ALL_KINDS: tuple[Kind, ...] = ("junit", "coverage", "playwright", "lighthouse", "sarif", "lint")

# What only one format writes, wherever in the first bytes it stands.
_MARKS: tuple[tuple[re.Pattern[bytes], Kind], ...] = (
    (re.compile(rb"<testsuites?\b|<testcase\b|<test-(?:run|results|case)\b|<assembl(?:y|ies)\b|<TestRun\b"), "junit"),
    (re.compile(rb"<coverage\b|<sourcefile\b|\bline-rate=|^SF:|\nDA:\d"), "coverage"),
    (re.compile(rb'"(?:executed_lines|missing_lines|percent_covered)"'), "coverage"),
    (re.compile(rb'"lighthouseVersion"'), "lighthouse"),
    (re.compile(rb'"(?:runs|\$schema)"[^\n]{0,200}sarif|sarif-schema'), "sarif"),
    (re.compile(rb'"(?:projectName|expectedStatus|globalSetup)"'), "playwright"),
    (re.compile(rb'"(?:generalDiagnostics|filePath|noqa_row|ruleId)"'), "lint"),
    (re.compile(rb'"(?:issue_severity|SEVERITY\.HIGH|skip_reason|vulns|auditReportVersion|advisories)"'), "lint"),
)
# Scanners write of the same kind as linters, and are asked for by another criterion.
_SCANNERS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb'"(?:issue_severity|SEVERITY\.HIGH)"'), BANDIT),
    (re.compile(rb'"(?:skip_reason|vulns)"'), PIP_AUDIT),
    (re.compile(rb'"(?:auditReportVersion|advisories)"'), NPM_AUDIT),
)
_SCANNER_NAMES = (
    (re.compile(r"bandit", re.IGNORECASE), BANDIT),
    (re.compile(r"pip.?audit", re.IGNORECASE), PIP_AUDIT),
    (re.compile(r"npm.?audit", re.IGNORECASE), NPM_AUDIT),
)
_NAMES: tuple[tuple[re.Pattern[str], tuple[Kind, ...]], ...] = (
    (re.compile(r"junit|^test-|test-?results|testresults", re.IGNORECASE), ("junit",)),
    (re.compile(r"cobertura|coverage|lcov", re.IGNORECASE), ("coverage",)),
    (re.compile(r"playwright|e2e", re.IGNORECASE), ("playwright", "junit")),
    (re.compile(r"lighthouse|lhr|lh\.report", re.IGNORECASE), ("lighthouse",)),
    (re.compile(r"\.sarif", re.IGNORECASE), ("sarif",)),
    (re.compile(r"ruff|flake8|eslint|pylint|mypy|pyright|lint|types", re.IGNORECASE), ("lint",)),
    (re.compile(r"bandit|(?:pip|npm).?audit", re.IGNORECASE), ("lint",)),
)
_SUFFIXES: dict[str, tuple[Kind, ...]] = {
    ".xml": ("junit", "coverage"),
    ".json": ("coverage", "playwright", "lighthouse", "sarif", "lint"),
    ".sarif": ("sarif",),
    ".info": ("coverage",),
    ".lcov": ("coverage",),
    ".txt": ("lint",),
    ".log": ("lint",),
    ".out": ("lint",),
}
_OTHER_SUFFIXES = (".html", ".htm", ".css", ".js", ".png", ".jpg", ".jpeg", ".webm", ".zip", ".svg", ".md", ".gz")


def guess_kinds(path: str, head: bytes) -> tuple[Kind, ...]:
    """By its first bytes, else by its name, else by its suffix; all kinds when nothing hints at fewer."""
    plain = head.replace(b"\0", b"")
    for mark, kind in _MARKS:
        if mark.search(plain):
            return (kind,)
    return named_kinds(path) or _SUFFIXES.get(PurePath(path).suffix.lower(), ALL_KINDS)


def guess_scanner(path: str, head: bytes) -> str:
    """Which security scanner it is of, by what stands in it, else by its name; empty where nothing hints at one."""
    by_mark = next((scanner for mark, scanner in _SCANNERS if mark.search(head)), "")
    return by_mark or next((scanner for name, scanner in _SCANNER_NAMES if name.search(PurePath(path).name)), "")


def named_kinds(path: str) -> tuple[Kind, ...]:
    """What the file's own name promises; nothing for names that promise nothing, and for pages and pictures."""
    name = PurePath(path).name
    if PurePath(path).suffix.lower() in _OTHER_SUFFIXES:
        return ()
    return next((kinds for pattern, kinds in _NAMES if pattern.search(name)), ())
