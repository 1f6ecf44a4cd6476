"""LCOV tracefiles (geninfo(1)), recounted from `DA` records; `LF` and `LH` are only compared."""

from __future__ import annotations

from action.evidence.figures import parse_count
from action.evidence.limits import LCOV_LINES, Allowance, UnreadableReport
from action.evidence.linecount import LineCounter, source_path
from action.evidence.wording import Problems, one_line
from controlplane.evidence import EvidenceFile

_FIRST_RECORDS = ("TN:", "SF:")


def is_lcov(text: str) -> bool:
    return (text.lstrip().startswith(_FIRST_RECORDS) and "\nDA:" in text) or text.lstrip().startswith("SF:")


def read_lcov(text: str, path: str, allowance: Allowance) -> EvidenceFile:
    if text.count("\n") > LCOV_LINES:
        raise UnreadableReport(f"it has more than {LCOV_LINES:,} lines")
    reader = _Tracefile(allowance)
    for number, line in enumerate(text.splitlines(), start=1):
        reader.take(number, line.strip())
    if reader.source is not None:
        raise UnreadableReport(f"the record of {one_line(reader.source)} never ends: the file is cut off")
    totals = reader.counter.totals()
    if not totals.total:
        reader.problems.add("there is no line in it to count")
    return EvidenceFile(
        path=path,
        kind="coverage",
        coverage=totals,
        problems=reader.problems.told(),
        tool="lcov",
        lines=reader.counter.files(),
    )


class _Tracefile:
    def __init__(self, allowance: Allowance) -> None:
        self.counter = LineCounter(allowance)
        self.problems = Problems()
        self.source: str | None = None
        self._allowance = allowance
        self._lines: dict[int, bool] = {}

    def take(self, at: int, line: str) -> None:
        key, _, value = line.partition(":")
        if key == "SF":
            if self.source is not None:
                raise UnreadableReport(f"line {at}: a record begins inside another one")
            self.source, self._lines = source_path(value), {}
            self.counter.add_file(self.source)
        elif key == "DA":
            self._take_line(at, value)
        elif key in ("LF", "LH"):
            self._compare(key, value)
        elif line == "end_of_record":
            self._end()

    def _take_line(self, at: int, value: str) -> None:
        fields = value.split(",")
        number = parse_count(fields[0])
        if self.source is None or number is None or len(fields) < 2:
            raise UnreadableReport(f"line {at} is no line record of a source file")
        self._allowance.take_line()
        hits = parse_count(fields[1])
        if hits is None:
            said = one_line(fields[1], 40)
            self.problems.add(f'{self.source}:{number} has the count "{said}", counted as missing')
        self._lines[number] = self._lines.get(number, False) or bool(hits)

    def _compare(self, key: str, value: str) -> None:
        counted = len(self._lines) if key == "LF" else sum(self._lines.values())
        if self.source is not None and parse_count(value) != counted:
            self.problems.add(f"{self.source}: {key} says {one_line(value, 40)}, the lines say {counted}")

    def _end(self) -> None:
        if self.source is None:
            raise UnreadableReport("a record ends that never began")
        self.counter.merge(self.source, self._lines)
        self.source, self._lines = None, {}
