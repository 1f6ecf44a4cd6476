"""Test cases: one as a noun, and very many of them in the form that a reader of reports can afford."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, overload

from controlplane.noun import Noun

Outcome = Literal["passed", "failed", "error", "skipped", "xfailed"]
Group = Literal["", "base", "change"]


class TestCase(Noun):
    """One test as the report has it. `node_id` is pytest's `path::class::name` where known, else `classname::name`.

    `group` tells runs apart: `base` (the base's tests), `change` (the change's own), empty for reports from outside.
    """

    __test__ = False  # not a pytest class

    node_id: str
    outcome: Outcome
    duration_seconds: float | None = None
    message: str = ""
    file: str = ""
    line: int | None = None
    group: Group = ""


class Detail(NamedTuple):
    """What most cases do not have: they passed, and their report names no file."""

    message: str = ""
    file: str = ""
    line: int | None = None
    group: Group = ""


@dataclass(frozen=True)
class Columns:
    """Cases by column, as a reader adds them; `details` by the index of the case.

    A report may hold 100,000 cases. A noun for each costs five times what finding it in the XML does, and even a plain
    tuple for each keeps the garbage collector busy for a quarter of the time; lists of strings and floats do not.
    """

    node_ids: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: list[float | None] = field(default_factory=list)
    details: dict[int, Detail] = field(default_factory=dict)


class Cases(Sequence[TestCase]):
    """What a reader counted: behaves as the tuple of nouns that it becomes when one of them is first looked at.

    The columns are not to be changed once they are in here. `group` goes before what they say; None leaves it to them.
    """

    __slots__ = ("_columns", "_group", "_nouns")

    def __init__(self, columns: Columns, group: Group | None = None) -> None:
        self._columns = columns
        self._group: Group | None = group
        self._nouns: tuple[TestCase, ...] | None = None

    def in_group(self, group: Group) -> Cases:
        """The same cases, all of them in `group`."""
        return Cases(self._columns, group)

    def outcomes(self) -> Sequence[Outcome]:
        """How each of them ended, without making nouns."""
        return self._columns.outcomes

    def __len__(self) -> int:
        return len(self._columns.node_ids)

    @overload
    def __getitem__(self, index: int) -> TestCase: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[TestCase, ...]: ...
    def __getitem__(self, index: int | slice) -> TestCase | tuple[TestCase, ...]:
        return self._as_nouns()[index]

    def __iter__(self) -> Iterator[TestCase]:
        return iter(self._as_nouns())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | Cases) and self._as_nouns() == tuple(other)

    def __hash__(self) -> int:
        return hash(self._as_nouns())

    def __repr__(self) -> str:
        return f"Cases({self._as_nouns()!r})"

    def _as_nouns(self) -> tuple[TestCase, ...]:
        if self._nouns is None:
            self._nouns = tuple(map(self._noun, range(len(self))))
        return self._nouns

    def _noun(self, index: int) -> TestCase:
        columns = self._columns
        message, file, line, group = columns.details.get(index, _NO_DETAIL)
        return TestCase(
            node_id=columns.node_ids[index],
            outcome=columns.outcomes[index],
            duration_seconds=columns.seconds[index],
            message=message,
            file=file,
            line=line,
            group=group if self._group is None else self._group,
        )


_NO_DETAIL = Detail()
