"""Line coverage of non-test code, counted by us from the lines that ran and the bytes that were verified."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from action.verify.checkout import Snapshot
from action.verify.coveragesettings import PRAGMA, CoverageSettings, read_coverage_settings
from action.verify.layout import is_side_script, is_source
from action.verify.sandbox import Cell
from controlplane.evidence import CoverageTotals, FileCoverage

ANALYSIS_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class LineCoverage:
    """`files` has every source file, also those never imported. `problems` name files that could not be parsed."""

    files: tuple[FileCoverage, ...]
    excluded: Mapping[str, tuple[int, ...]]
    problems: tuple[str, ...]

    @property
    def totals(self) -> CoverageTotals:
        covered = sum(len(file.covered) for file in self.files)
        return CoverageTotals(covered=covered, total=covered + sum(len(file.missing) for file in self.files))


def measure_lines(
    base: Snapshot, head: Snapshot, executed: Iterable[Mapping[str, frozenset[int]]], cell: Cell, script: Path
) -> LineCoverage | None:
    """Join the runs' lines with the head's statements. None when the analysis itself could not be run.

    `executed` maps paths relative to the root to lines. Which files count, and which lines are excused, is for the
    base's settings to say: an exclusion that the change adds excuses nothing.
    """
    settings = read_coverage_settings(base.contents)
    ran = _union(executed)
    files = {
        path: {"text": without_new_pragmas(base.text(path), head.text(path)), "executed": sorted(ran.get(path, ()))}
        for path in source_files(base, head, settings, ran)
    }
    order = {"exclude": settings.exclude, "files": files}
    outcome = cell.run(
        [cell.python, "-I", "-P", script],
        timeout_seconds=ANALYSIS_TIMEOUT_SECONDS,
        cwd=cell.folder,
        stdin=json.dumps(order).encode(),
        channel=True,
    )
    if outcome.exit_code != 0:
        return None
    return _line_coverage(json.loads(outcome.channel), files)


def source_files(
    base: Snapshot, head: Snapshot, settings: CoverageSettings, ran: Mapping[str, frozenset[int]]
) -> list[str]:
    """The head's product files that count.

    A file the change adds outside the base's `source` counts too, unless the base omits it: code is not uncounted by
    where it is put. Set-up scripts, documentation and examples count only if the tests ran them.
    """
    patterns = base.pytest_config.python_files
    chosen = []
    for path in sorted(head.contents):
        if not is_source(path, patterns) or (is_side_script(path) and path not in ran):
            continue
        added = path not in base.contents
        wider = CoverageSettings(omit=settings.omit)
        if settings.is_source(path) or (added and wider.is_source(path)):
            chosen.append(path)
    return chosen


def without_new_pragmas(base: str, head: str) -> str:
    """The head's source with the pragmas taken out that the base's file does not have, line for line."""
    head = _without_pretended_checker(base, head)
    if not re.search(PRAGMA, head):
        return head
    known = Counter(line.strip() for line in base.splitlines() if re.search(PRAGMA, line))
    lines = []
    for line in head.splitlines():
        if re.search(PRAGMA, line):
            if known[line.strip()] > 0:
                known[line.strip()] -= 1
            else:
                line = re.sub(PRAGMA, "#", line)
        lines.append(line)
    return "\n".join(lines) + "\n"


def _without_pretended_checker(base: str, head: str) -> str:
    """`if TYPE_CHECKING:` is excused since it never runs; where a module gives that name a value of its own, it may."""
    own = re.compile(r"^\s*(TYPE_CHECKING)\b[^=\n]*=\s*(?!False\b)", re.MULTILINE)
    if not own.search(head) or own.search(base):
        return head
    return re.sub(r"\bTYPE_CHECKING\b", "CHECKING_TYPES", head)


def write_coverage_json(coverage: LineCoverage, path: Path) -> None:
    """Write coverage.py's own JSON format, which every reader knows."""
    files: dict[str, Any] = {}
    for file in coverage.files:
        files[file.path] = {
            "executed_lines": sorted(file.covered),
            "missing_lines": sorted(file.missing),
            "excluded_lines": list(coverage.excluded.get(file.path, ())),
            "summary": _summary(len(file.covered), len(file.missing), len(coverage.excluded.get(file.path, ()))),
        }
    totals = coverage.totals
    excluded = sum(map(len, coverage.excluded.values()))
    document = {
        "meta": {"format": 3, "branch_coverage": False, "show_contexts": False},
        "files": files,
        "totals": _summary(totals.covered, totals.total - totals.covered, excluded),
    }
    path.write_text(json.dumps(document, indent=1))


def _line_coverage(answer: Mapping[str, Any], asked: Mapping[str, Any]) -> LineCoverage:
    files, problems, excluded = [], [], {}
    for path in asked:
        found = answer.get(path, {"error": "no answer"})
        if "error" in found:
            problems.append(f"{path}: it cannot be parsed ({found['error']}); each of its lines counts as missing")
            lines = asked[path]["text"].splitlines()
            missing = frozenset(number for number, line in enumerate(lines, start=1) if line.strip())
            files.append(FileCoverage(path=path, covered=frozenset(), missing=missing))
        else:
            excluded[path] = tuple(found["excluded"])
            files.append(
                FileCoverage(path=path, covered=frozenset(found["covered"]), missing=frozenset(found["missing"]))
            )
    return LineCoverage(tuple(files), excluded, tuple(problems))


def _summary(covered: int, missing: int, excluded: int) -> dict[str, Any]:
    statements = covered + missing
    percent = 100.0 * covered / statements if statements else 100.0
    return {
        "covered_lines": covered,
        "num_statements": statements,
        "percent_covered": percent,
        "missing_lines": missing,
        "excluded_lines": excluded,
    }


def _union(runs: Iterable[Mapping[str, frozenset[int]]]) -> dict[str, frozenset[int]]:
    union: dict[str, frozenset[int]] = {}
    for run in runs:
        for path, lines in run.items():
            union[path] = union.get(path, frozenset()) | lines
    return union
