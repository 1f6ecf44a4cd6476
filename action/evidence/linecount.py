"""Counting lines of source files, each line once."""

from __future__ import annotations

from action.evidence.limits import Allowance
from controlplane.evidence import CoverageTotals, FileCoverage

_PATH_LENGTH = 1000


def source_path(written: str) -> str:
    """One spelling for a file, whatever system wrote it; half characters, which JSON can escape, become `?`."""
    path = written[:_PATH_LENGTH].encode("utf-8", "replace").decode().replace("\\", "/")
    while path.startswith("./"):
        path = path[2:]
    return path


class LineCounter:
    """Lines by file. A line that was hit once is covered, however often it was missed elsewhere."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._lines: dict[str, dict[int, bool]] = {}

    def add_file(self, path: str) -> None:
        """A file without a line to cover is still a file that was looked at."""
        if path not in self._lines:
            self._allowance.take_source()
            self._lines[path] = {}

    def merge(self, path: str, lines: dict[int, bool]) -> None:
        """Lines of a file that was added before; takes the dictionary over."""
        known = self._lines.get(path)
        if not known:
            self._lines[path] = lines
            return
        for number, hit in lines.items():
            known[number] = hit or known.get(number, False)

    def totals(self) -> CoverageTotals:
        covered = sum(sum(lines.values()) for lines in self._lines.values())
        return CoverageTotals(covered=covered, total=sum(map(len, self._lines.values())))

    def files(self) -> tuple[FileCoverage, ...]:
        return tuple(_file(path, lines) for path, lines in sorted(self._lines.items()))


def _file(path: str, lines: dict[int, bool]) -> FileCoverage:
    return FileCoverage(path=path, covered=_numbers(lines, hit=True), missing=_numbers(lines, hit=False))


def _numbers(lines: dict[int, bool], *, hit: bool) -> frozenset[int]:
    return frozenset(number for number, was_hit in lines.items() if was_hit is hit)
