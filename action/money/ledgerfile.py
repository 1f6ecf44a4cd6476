"""`ledger.jsonl` of the run folder: every entry, which of them the control plane has, and what was spent before.

Lines are only ever added. One is an `Entry`, `{"told": ID}`, or `{"earlier_usd": TEXT}`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from controlplane.errors import BrokenPromise
from controlplane.noun import Noun

NAME = "ledger.jsonl"
Kind = Literal["planner", "builder"]
NOTHING = Decimal(0)
Dollars = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class Entry(Noun):
    """One call. `cost_usd` in US dollars; `id` is a uuid, so that telling it twice counts it once."""

    id: str
    kind: Kind
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: Dollars = NOTHING


class Earlier(Noun):
    """What the run had spent before this file was begun, by an attempt of which no other trace is left here."""

    earlier_usd: Dollars


@dataclass
class Kept:
    """What a ledger's file says; `earlier_usd` is None until the control plane was asked."""

    entries: dict[str, Entry] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    earlier_usd: Decimal | None = None

    @property
    def spent_usd(self) -> Decimal | None:
        """The whole run's; None where nothing was ever counted, for then nobody knows whether it cost anything."""
        if not self.entries and not self.earlier_usd:
            return None
        return sum((one.cost_usd for one in self.entries.values()), self.earlier_usd or NOTHING)


def append_line(file: Path | None, noun: Entry | Earlier | dict[str, str]) -> None:
    if file is not None:
        text = json.dumps(noun) if isinstance(noun, dict) else noun.model_dump_json()
        with file.open("a", encoding="utf-8") as lines:
            lines.write(text + "\n")


def read_ledger(file: Path | None) -> Kept:
    """Raises BrokenPromise where it cannot be read: what was spent must not become nothing."""
    kept = Kept()
    if file is None or not file.exists():
        return kept
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            _take(kept, json.loads(line))
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenPromise("The run folder's ledger.jsonl cannot be read.", "Start the run again.") from error
    return kept


def _take(kept: Kept, line: dict[str, Any]) -> None:
    if "told" in line:
        kept.told.add(str(line["told"]))
    elif "earlier_usd" in line:
        kept.earlier_usd = Earlier.model_validate(line).earlier_usd
    else:
        entry = Entry.model_validate(line)
        kept.entries[entry.id] = entry
