"""JaCoCo's XML, recounted from the `line` elements of its source files; a line is covered when any instruction ran."""

from __future__ import annotations

from action.evidence.figures import parse_count
from action.evidence.limits import Allowance, UnreadableReport
from action.evidence.linecount import LineCounter, source_path
from action.evidence.wording import Problems, one_line
from controlplane.evidence import EvidenceFile, Kind


def is_jacoco(root: str, attributes: dict[str, str]) -> bool:
    return root == "report" and "name" in attributes


class JacocoReader:
    kind: Kind = "coverage"

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._problems = Problems()
        self._counter = LineCounter(allowance)
        self._package = ""
        self._path: str | None = None
        self._depth = 0
        self._declared: tuple[int | None, int | None] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> bool:
        self._depth += 1
        if name == "package":
            self._package = attributes.get("name", "")
        elif name == "sourcefile":
            self._path = source_path(f"{self._package}/{attributes.get('name', '')}".lstrip("/"))
            self._counter.add_file(self._path)
        elif name == "line" and self._path is not None:
            self._take_line(self._path, attributes)
        elif name == "counter" and self._depth == 2 and attributes.get("type") == "LINE":
            self._declared = (parse_count(attributes.get("covered")), parse_count(attributes.get("missed")))
        return False

    def end(self, name: str, text: str) -> None:  # noqa: ARG002 - the reader's shape; JaCoCo keeps nothing in text
        self._depth -= 1
        if name == "sourcefile":
            self._path = None

    def finish(self, path: str) -> EvidenceFile:
        totals = self._counter.totals()
        if not totals.total:
            self._problems.add("there is no line in it to count")
        if self._declared not in (None, (totals.covered, totals.total - totals.covered)):
            self._problems.add(
                f"the header's LINE counter does not fit: the lines say {totals.covered} covered of {totals.total}"
            )
        return EvidenceFile(
            path=path,
            kind=self.kind,
            coverage=totals,
            problems=self._problems.told(),
            tool="jacoco",
            lines=self._counter.files(),
        )

    def _take_line(self, path: str, attributes: dict[str, str]) -> None:
        number, covered = parse_count(attributes.get("nr")), parse_count(attributes.get("ci"))
        if number is None:
            raise UnreadableReport(f'a line of {path} has the number "{one_line(attributes.get("nr", ""), 40)}"')
        if covered is None:
            self._problems.add(f"{path}:{number} has no count of covered instructions, counted as missing")
        self._allowance.take_line()
        self._counter.merge(path, {number: bool(covered)})
