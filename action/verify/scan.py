"""One scan: which scanner is run, and on what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from action.verify.checkout import Snapshot
from action.verify.repository import Entry


@dataclass(frozen=True)
class Scan:
    """`id` is the scanner's name as its reports are known by. Without a command there is nothing for it to look at, or
    it cannot be run and `refusal` says why. `notes` are for the reader of the evidence.
    """

    id: str
    tree: Snapshot = field(default_factory=lambda: tree_of({}))
    command: tuple[str, ...] = ()
    needs_network: bool = False
    roomy: bool = False
    refusal: str = ""
    notes: tuple[str, ...] = ()


def tree_of(contents: Mapping[str, bytes]) -> Snapshot:
    """A tree of plain files, which no commit has."""
    return Snapshot("", {path: Entry("100644", "") for path in contents}, contents)
