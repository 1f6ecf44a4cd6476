"""What an unreadable file might have been. A guess is only ever used against the file, never for it."""

from __future__ import annotations

import re
from pathlib import PurePath

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
)
_NAMES: tuple[tuple[re.Pattern[str], tuple[Kind, ...]], ...] = (
    (re.compile(r"junit|^test-|test-?results|testresults", re.IGNORECASE), ("junit",)),
    (re.compile(r"cobertura|coverage|lcov", re.IGNORECASE), ("coverage",)),
    (re.compile(r"playwright|e2e", re.IGNORECASE), ("playwright", "junit")),
    (re.compile(r"lighthouse|lhr|lh\.report", re.IGNORECASE), ("lighthouse",)),
    (re.compile(r"\.sarif", re.IGNORECASE), ("sarif",)),
    (re.compile(r"ruff|flake8|eslint|pylint|mypy|pyright|lint|types", re.IGNORECASE), ("lint",)),
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


def named_kinds(path: str) -> tuple[Kind, ...]:
    """What the file's own name promises; nothing for names that promise nothing, and for pages and pictures."""
    name = PurePath(path).name
    if PurePath(path).suffix.lower() in _OTHER_SUFFIXES:
        return ()
    return next((kinds for pattern, kinds in _NAMES if pattern.search(name)), ())
