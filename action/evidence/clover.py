"""Clover's XML (Clover, istanbul, PHPUnit), recounted from `line` elements; `metrics` count statements, not lines.

Lines of type `method` are headings of methods and no lines to cover.
"""

from __future__ import annotations

from action.evidence.figures import parse_count
from action.evidence.limits import Allowance, UnreadableReport
from action.evidence.linecount import LineCounter, source_path
from action.evidence.wording import Problems, one_line
from controlplane.evidence import EvidenceFile, Kind


def is_clover(root: str, attributes: dict[str, str]) -> bool:
    """Cobertura's root is `coverage` too; it always carries a rate."""
    return (
        root == "coverage" and "line-rate" not in attributes and ("clover" in attributes or "generated" in attributes)
    )


class CloverReader:
    kind: Kind = "coverage"

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._problems = Problems()
        self._counter = LineCounter(allowance)
        self._path: str | None = None

    def start(self, name: str, attributes: dict[str, str]) -> bool:
        if name == "file":
            self._path = source_path(attributes.get("path") or attributes.get("name", ""))
            self._counter.add_file(self._path)
        elif name == "line" and self._path is not None and attributes.get("type") != "method":
            self._take_line(self._path, attributes)
        return False

    def end(self, name: str, text: str) -> None:  # noqa: ARG002 - the reader's shape; Clover keeps nothing in text
        if name == "file":
            self._path = None

    def finish(self, path: str) -> EvidenceFile:
        totals = self._counter.totals()
        if not totals.total:
            self._problems.add("there is no line in it to count")
        return EvidenceFile(
            path=path,
            kind=self.kind,
            coverage=totals,
            problems=self._problems.told(),
            tool="clover",
            lines=self._counter.files(),
        )

    def _take_line(self, path: str, attributes: dict[str, str]) -> None:
        number, count = parse_count(attributes.get("num")), parse_count(attributes.get("count"))
        if number is None:
            raise UnreadableReport(f'a line of {path} has the number "{one_line(attributes.get("num", ""), 40)}"')
        if count is None:
            self._problems.add(f"{path}:{number} has no count, counted as missing")
        self._allowance.take_line()
        self._counter.merge(path, {number: bool(count)})
