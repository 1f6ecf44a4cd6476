"""What the evidence says about single lines: failing tests, findings, touched judges, changed lines without a test.

Paths come from reports that anybody may have written: one that is not a plain path inside the repository is dropped,
and its message goes on without a place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Literal

from action.gate.criteria.diff_coverage_min import count_changed_lines
from action.gate.facts import TYPE_CHECKERS, Facts
from controlplane.evidence import Evidence, EvidenceFile, TestCase
from controlplane.noun import Noun
from controlplane.verdict import Verdict

MAX_ANNOTATIONS = 500
MAX_MESSAGE = 2000
MAX_TITLE = 200
MAX_PATH = 500
PER_STEP = 10  # GitHub shows ten errors and ten warnings of a step, and drops the rest
_PLACE = re.compile(r"^(?P<path>[^:\n]{1,500}):(?P<line>[0-9]{1,7})(?::[0-9]{1,7})?:?\s*(?P<text>.*)$", re.DOTALL)
_UNPRINTABLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")


class Annotation(Noun):
    """`path` is from the repository's root and empty without a place; `line` counts from 1. Texts are plain words."""

    level: Literal["error", "warning"]
    rule: str
    message: str
    title: str
    path: str = ""
    line: int = 1
    end_line: int = 1


def annotate(evidence: Evidence, verdict: Verdict, *, every_gap: bool = False) -> tuple[Annotation, ...]:
    """Errors first, then by place; each once; at most MAX_ANNOTATIONS. Criteria themselves are not among them.

    Changed lines without a test are told where coverage is what is missing, or `every_gap` is wanted.
    """
    failing = {criterion.id for criterion in verdict.failing()}
    found = {*_tests(evidence), *_findings(evidence, failing), *_integrity(evidence)}
    if every_gap or failing & {"diff_coverage_min", "coverage_min"}:
        found |= {*_uncovered(evidence)}
    ordered = sorted(found, key=lambda one: (one.level, one.path, one.line, one.rule, one.title, one.message))
    return tuple(ordered[:MAX_ANNOTATIONS])


def of_criteria(verdict: Verdict) -> tuple[Annotation, ...]:
    """Each criterion that did not pass, without a place."""
    return tuple(
        Annotation(level="error", rule=one.id, title=plain(one.id, MAX_TITLE), message=plain(one.reason, MAX_MESSAGE))
        for one in verdict.failing()
    )


def for_step(verdict: Verdict, annotations: Iterable[Annotation]) -> tuple[Annotation, ...]:
    """What one step may show: ten errors and ten warnings, half of the errors for what failed as a whole."""
    placed = tuple(annotations)
    errors = [one for one in placed if one.level == "error"]
    whole = list(of_criteria(verdict))
    room = max(PER_STEP // 2, PER_STEP - len(errors))
    shown = whole[:room]
    shown += errors[: PER_STEP - len(shown)]
    return (*shown, *[one for one in placed if one.level == "warning"][:PER_STEP])


def inside(path: str) -> str:
    """The path in its plain spelling, or nothing where it could name anything but a file of the repository."""
    cleaned = path.replace("\\", "/").removeprefix("./")
    parts = PurePosixPath(cleaned).parts
    odd = (
        not parts
        or cleaned.startswith("/")
        or ".." in parts
        or re.search(r"[:\n]", cleaned)
        or _UNPRINTABLE.search(cleaned)
    )
    return "" if odd or len(cleaned) > MAX_PATH else "/".join(parts)


def plain(text: str, limit: int) -> str:
    """Without control characters, direction marks and invisible spaces; line feeds stay. Never empty: GitHub wants
    words."""
    clean = _UNPRINTABLE.sub(" ", text[: 4 * limit]).strip()
    return (clean if len(clean) <= limit else clean[: limit - 1] + "…") or "-"


def _tests(evidence: Evidence) -> Iterator[Annotation]:
    for file in evidence.files:
        for case in file.cases:
            if case.outcome in ("failed", "error"):
                yield _of_case(case)


def _of_case(case: TestCase) -> Annotation:
    named = case.node_id.split("::")[0]  # pytest's node ids begin with the file; a class name of others does not
    path = inside(case.file) or (inside(named) if named.endswith(".py") else "")
    line = max(1, case.line or 1)
    said = plain(case.message or case.outcome, MAX_MESSAGE)
    title = plain(f"{'Failing' if case.outcome == 'failed' else 'Broken'} test: {case.node_id}", MAX_TITLE)
    return Annotation(level="error", rule="unit_pass", title=title, message=said, path=path, line=line, end_line=line)


def _findings(evidence: Evidence, failing: set[str]) -> Iterator[Annotation]:
    for file in evidence.files:
        rule = _rule_of(file)
        for finding in file.findings:
            placed = _PLACE.match(finding)
            path = inside(placed["path"]) if placed else ""
            line = max(1, int(placed["line"])) if placed else 1
            yield Annotation(
                level="error" if rule in failing else "warning",
                rule=rule,
                title=plain(file.tool or file.kind, MAX_TITLE),
                message=plain(placed["text"] if placed and path else finding, MAX_MESSAGE),
                path=path,
                line=line,
                end_line=line,
            )


def _rule_of(file: EvidenceFile) -> str:
    if file.tool in TYPE_CHECKERS:
        return "type_check"
    return "security_max" if file.severities else "lint_pass"


def _integrity(evidence: Evidence) -> Iterator[Annotation]:
    for finding in evidence.integrity or ():
        if not finding.fails:
            continue
        named = f" ({', '.join(finding.node_ids[:5])})" if finding.node_ids else ""
        yield Annotation(
            level="error",
            rule="integrity",
            title=plain(f"Integrity: {finding.kind}", MAX_TITLE),
            message=plain(f"{finding.reason or finding.kind}{named}", MAX_MESSAGE),
            path=inside(finding.file),
        )


def _uncovered(evidence: Evidence) -> Iterator[Annotation]:
    if evidence.changed_lines is None:
        return
    for path, missing in count_changed_lines(evidence.changed_lines, Facts(evidence))[1]:
        for first, last in _spans(missing):
            where = f"Line {first} is" if first == last else f"Lines {first} to {last} are"
            yield Annotation(
                level="warning",
                rule="diff_coverage_min",
                title="No test runs this",
                message=f"{where} new or changed, and run by no test.",
                path=inside(path),
                line=first,
                end_line=last,
            )


def _spans(lines: Iterable[int]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for line in sorted(lines):
        if spans and line == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], line)
        else:
            spans.append((line, line))
    return spans
