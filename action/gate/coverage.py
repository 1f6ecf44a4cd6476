"""Coverage over all reports: one set of lines for each source file, tests left out.

Several reports of one run (shards, processes) are joined line by line: covered anywhere is covered. Where two reports
disagree on which lines of a file there are to cover, they were made of different code; that is named.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fractions import Fraction

from controlplane.evidence import EvidenceFile, FileCoverage

_TEST_FOLDERS = frozenset(("test", "tests", "__tests__", "e2e"))
_TEST_FILE = re.compile(
    r"^(?:test_.*\.py|.*_test\.py|tests?\.py|conftest\.py|.*_test\.go|.*\.(?:test|spec)\.[cm]?[jt]sx?|.*Tests?\.(?:java|kt|cs))$"
)


@dataclass(frozen=True)
class Coverage:
    """`files` are non-test files by path. `share` is exact; None where nothing was measured."""

    files: tuple[FileCoverage, ...] = ()
    tests_left_out: int = 0
    conflicts: tuple[str, ...] = ()
    reports: tuple[EvidenceFile, ...] = ()
    complete: bool = True

    @property
    def covered(self) -> int:
        return sum(len(file.covered) for file in self.files)

    @property
    def total(self) -> int:
        return self.covered + sum(len(file.missing) for file in self.files)

    @property
    def share(self) -> Fraction | None:
        return Fraction(self.covered, self.total) if self.total and self.complete else None

    @property
    def ratio(self) -> float | None:
        """For showing only; judgements use `share`."""
        return round(self.covered / self.total, 6) if self.share is not None else None

    def missing_lines(self) -> tuple[str, ...]:
        """`path: 3, 7-9`, the file with most missing lines first."""
        short = [file for file in self.files if file.missing]
        short.sort(key=lambda file: (-len(file.missing), file.path))
        return tuple(tell_gap(file.path, file.missing) for file in short)


def merge_coverage(reports: tuple[EvidenceFile, ...], *, complete: bool) -> Coverage:
    """`complete` is false where a report that may have held coverage could not be read."""
    known: dict[str, FileCoverage] = {}
    conflicts: list[str] = []
    for report in reports:
        for file in report.lines:
            before = known.get(file.path)
            if before is not None and before.covered | before.missing != file.covered | file.missing:
                conflicts.append(f"{report.path} has other lines to cover in {file.path} than the reports before it")
            known[file.path] = file if before is None else _join(before, file)
    common = _common_folder(known)
    code = tuple(known[path] for path in sorted(known) if not is_test_path(path, common))
    return Coverage(code, len(known) - len(code), tuple(conflicts), reports, complete)


def _join(one: FileCoverage, other: FileCoverage) -> FileCoverage:
    covered = one.covered | other.covered
    return FileCoverage(path=one.path, covered=covered, missing=(one.missing | other.missing) - covered)


def is_test_path(path: str, common: str = "") -> bool:
    """Whether a file is test code by the customs of its language. `common` is a prefix that has no say."""
    *folders, name = path.removeprefix(common).split("/")
    return bool(_TEST_FILE.match(name)) or any(folder in _TEST_FOLDERS for folder in folders)


def _common_folder(paths: Iterable[str]) -> str:
    """Of absolute paths: a checkout below a folder named `tests` does not make everything a test."""
    absolute = [path for path in paths if path.startswith("/")]
    return os.path.commonpath([path.rpartition("/")[0] or "/" for path in absolute]) if absolute else ""


def tell_gap(path: str, lines: Collection[int]) -> str:
    """The lines of a file that no test covers."""
    said = "line {} is" if len(lines) == 1 else "lines {} are"
    return f"{path}: {said.format(spans(lines))} not covered"


def spans(numbers: Iterable[int], most: int = 12) -> str:
    """`3, 7-9, 12`; at most `most` spans."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    written = [str(first) if first == last else f"{first}-{last}" for first, last in runs[:most]]
    return ", ".join([*written, "…"] if len(runs) > most else written)
