"""coverage.py's JSON report (`coverage json`), recounted from each file's executed and missing lines.

Lines that coverage.py was told to exclude are not lines to cover, so they count on neither side; their number is kept
in no total. Whether an exclusion is new is the integrity check's question. Branches are not lines and are not counted.
"""

from __future__ import annotations

from typing import Any

from action.evidence.figures import plain_int, plain_number
from action.evidence.limits import Allowance, UnreadableReport
from action.evidence.linecount import LineCounter, source_path
from action.evidence.wording import Problems, one_line
from controlplane.evidence import CoverageTotals, EvidenceFile

_PERCENT_TOLERANCE = 0.011


def is_coveragepy(document: Any) -> bool:
    """Lenient, so that a report with its `files` cut out is a broken report and not a stranger."""
    if not isinstance(document, dict):
        return False
    meta, totals = document.get("meta"), document.get("totals")
    return (isinstance(totals, dict) and "percent_covered" in totals) or (
        isinstance(meta, dict) and "branch_coverage" in meta
    )


def read_coveragepy(document: Any, path: str, allowance: Allowance) -> EvidenceFile:
    files = document.get("files")
    if not isinstance(files, dict):
        raise UnreadableReport("it has no `files`, only totals, and totals are not believed")
    counter, problems = LineCounter(allowance), Problems()
    for name, entry in files.items():
        _count_file(source_path(name), entry, counter, problems, allowance)
    totals = counter.totals()
    if not totals.total:
        problems.add("there is no line in it to count")
    _check_summary("the totals", document.get("totals"), totals, problems, with_percent=not _has_branches(document))
    return EvidenceFile(
        path=path,
        kind="coverage",
        coverage=totals,
        problems=problems.told(),
        tool="coverage.py",
        lines=counter.files(),
    )


def _count_file(path: str, entry: Any, counter: LineCounter, problems: Problems, allowance: Allowance) -> None:
    if not isinstance(entry, dict):
        raise UnreadableReport(f"the entry of {one_line(path)} is no object")
    executed = _line_numbers(path, entry, "executed_lines", allowance)
    missing = _line_numbers(path, entry, "missing_lines", allowance)
    both = executed & missing
    if both:
        problems.add(f"{path}: {len(both)} lines are executed and missing at once, counted as missing")
    counter.add_file(path)
    counter.merge(path, {**dict.fromkeys(executed, True), **dict.fromkeys(missing, False)})
    counted = CoverageTotals(covered=len(executed - missing), total=len(executed | missing))
    _check_summary(path, entry.get("summary"), counted, problems, with_percent=False)


def _line_numbers(path: str, entry: dict[str, Any], key: str, allowance: Allowance) -> set[int]:
    written = entry.get(key)
    if not isinstance(written, list):
        raise UnreadableReport(f"{one_line(path)} has no list `{key}`")
    numbers: set[int] = set()
    for value in written:
        number = plain_int(value)
        if number is None:
            raise UnreadableReport(
                f"{one_line(path)}: `{key}` holds {one_line(repr(value), 40)}, which is no line number"
            )
        allowance.take_line()
        numbers.add(number)
    return numbers


def _has_branches(document: dict[str, Any]) -> bool:
    """With branches on, `percent_covered` mixes them in and says nothing about lines alone."""
    meta = document.get("meta")
    return bool(isinstance(meta, dict) and meta.get("branch_coverage"))


def _check_summary(
    where: str, summary: Any, counted: CoverageTotals, problems: Problems, *, with_percent: bool
) -> None:
    if not isinstance(summary, dict):
        return
    for key, figure in (("covered_lines", counted.covered), ("num_statements", counted.total)):
        if key in summary and plain_int(summary[key]) != figure:
            problems.add(f"{where}: {key} is {one_line(repr(summary[key]), 40)}, the lines say {figure}")
    if not with_percent or "percent_covered" not in summary or not counted.total:
        return
    percent = plain_number(summary["percent_covered"])
    if percent is None or abs(percent - 100 * counted.covered / counted.total) > _PERCENT_TOLERANCE:
        said = one_line(repr(summary["percent_covered"]), 40)
        problems.add(f"{where}: percent_covered is {said}, the lines say {100 * counted.covered / counted.total:.2f}")
