"""How much one call may read: hostile input costs at most 2 seconds and 300 MB (the promise in threats, row 15).

The figures were measured on two cores: at each of them alone the promise still holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from controlplane.errors import CallerError

MEBIBYTE = 1024 * 1024
XML_BYTES = 64 * MEBIBYTE
JSON_BYTES = 24 * MEBIBYTE
TEXT_BYTES = 8 * MEBIBYTE
XML_DEPTH = 100
# One tag, comment or attribute list. expat holds a token in memory until it is complete.
XML_TOKEN_BYTES = 4 * MEBIBYTE
XML_ATTRIBUTES = 200
XML_ELEMENTS = 1_000_000
LCOV_LINES = 1_000_000
# A container costs some sixty times the two bytes it is written with, an element some thirty times.
JSON_CONTAINERS = 500_000
JSON_ELEMENTS = 2_000_000
FOLDER_FILES = 2_000
FOLDER_DEPTH = 16
FINDINGS_KEPT = 50
PROBLEMS_KEPT = 20


class UnreadableReport(CallerError):
    """The file is evidence of nothing."""

    default_code = "unreadable-report"


@dataclass
class Allowance:
    """What is left for one call, over all its files; spent as files are read."""

    bytes_left: int = 256 * MEBIBYTE
    cases_left: int = 120_000
    lines_left: int = 600_000
    sources_left: int = 50_000

    def take_bytes(self, count: int) -> None:
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise UnreadableReport("the reports together are larger than 256 MiB, so this one was not read")

    def take_case(self) -> None:
        self.take_cases(1)

    def take_cases(self, count: int) -> None:
        self.cases_left -= count
        if self.cases_left < 0:
            raise UnreadableReport("there are more than 120,000 test cases and suites in the reports together")

    def take_source(self) -> None:
        self.sources_left -= 1
        if self.sources_left < 0:
            raise UnreadableReport("there are more than 50,000 source files in the coverage reports together")

    def take_line(self) -> None:
        self.lines_left -= 1
        if self.lines_left < 0:
            raise UnreadableReport("there are more than 600,000 covered or missing lines in the reports together")
