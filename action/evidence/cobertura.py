"""Cobertura XML (coverage.py, gcovr, coverlet, istanbul, pytest-cov …), recounted from `line` elements.

A `class` repeats its methods' lines: those right inside the class count, and the methods' only where the class has
none of its own. One source file may be spread over several classes (inner classes, lambdas, generics); a line that was
hit in any of them is covered.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from action.evidence.figures import parse_count, parse_rate
from action.evidence.limits import Allowance, UnreadableReport
from action.evidence.linecount import LineCounter, source_path
from action.evidence.wording import Problems, one_line
from controlplane.evidence import EvidenceFile, Kind

# Rates are written with as few as three digits; coverage.py cuts them off rather than rounding.
_RATE_TOLERANCE = 0.0011


def is_cobertura(root: str, _attributes: dict[str, str]) -> bool:
    """Tried after Clover, whose root is `coverage` too."""
    return root == "coverage"


@dataclass
class _Class:
    path: str
    rate: str | None
    own: dict[int, bool] = field(default_factory=dict)
    methods: dict[int, bool] = field(default_factory=dict)


class CoberturaReader:
    kind: Kind = "coverage"

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._problems = Problems()
        self._counter = LineCounter(allowance)
        self._header: dict[str, str] = {}
        self._class: _Class | None = None
        self._in_methods = 0
        self._classes = 0

    def start(self, name: str, attributes: dict[str, str]) -> bool:
        if name == "line":
            if self._class is not None:
                self._take_line(self._class, attributes)
        elif name == "class":
            self._start_class(attributes)
        elif name == "methods":
            self._in_methods += 1
        elif name == "coverage":
            self._header = attributes
        return False

    def end(self, name: str, text: str) -> None:  # noqa: ARG002 - the reader's shape; Cobertura keeps nothing in text
        if name == "class":
            self._end_class()
        elif name == "methods":
            self._in_methods -= 1

    def finish(self, path: str) -> EvidenceFile:
        totals = self._counter.totals()
        if not totals.total:
            self._problems.add("there is no line in it to count")
        self._check_header(totals.covered, totals.total)
        return EvidenceFile(
            path=path,
            kind=self.kind,
            coverage=totals,
            problems=self._problems.told(),
            tool="cobertura",
            lines=self._counter.files(),
        )

    def _start_class(self, attributes: dict[str, str]) -> None:
        if self._class is not None:
            raise UnreadableReport("a class begins inside another one")
        name = attributes.get("filename", "")
        if not name:
            raise UnreadableReport("a class has no file name, so its lines belong nowhere")
        self._class = _Class(source_path(name), attributes.get("line-rate"))
        self._counter.add_file(self._class.path)
        self._classes += 1

    def _take_line(self, klass: _Class, attributes: dict[str, str]) -> None:
        number = parse_count(attributes.get("number"))
        if number is None:
            raise UnreadableReport(
                f'a line of {klass.path} has the number "{one_line(attributes.get("number", ""), 40)}"'
            )
        lines = klass.methods if self._in_methods else klass.own
        self._allowance.take_line()
        lines[number] = lines.get(number, False) or self._is_hit(klass.path, number, attributes.get("hits"))

    def _is_hit(self, path: str, number: int, hits: str | None) -> bool:
        count = parse_count(hits)
        if count is None:
            said = "no hits" if hits is None else f'hits="{one_line(hits, 40)}"'
            self._problems.add(f"{path}:{number} has {said}, counted as missing")
        return bool(count)

    def _end_class(self) -> None:
        assert self._class is not None  # ends only after it began
        klass, self._class = self._class, None
        lines = klass.own or klass.methods
        if lines:
            self._check_rate(klass.path, klass.rate, sum(lines.values()), len(lines))
            self._counter.merge(klass.path, lines)

    def _check_header(self, covered: int, total: int) -> None:
        for key, counted in (("lines-valid", total), ("lines-covered", covered)):
            if key not in self._header:
                continue
            said = parse_count(self._header[key])
            if said is None:
                self._problems.add(f'the header\'s {key}="{one_line(self._header[key], 40)}" is no count')
            elif said != counted:
                self._problems.add(f"the header says {key}={said}, the lines say {counted}")
        self._check_rate("the header", self._header.get("line-rate"), covered, total)

    def _check_rate(self, where: str, text: str | None, covered: int, total: int) -> None:
        if text is None:
            return
        rate = parse_rate(text)
        if rate is None:
            self._problems.add(f'{where}: line-rate="{one_line(text, 40)}" is no share from 0 to 1')
        elif total and abs(rate - covered / total) > _RATE_TOLERANCE:
            self._problems.add(f"{where}: line-rate={text.strip()}, the lines say {covered / total:.4f}")
