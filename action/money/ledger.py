"""The run's ledger: every call's tokens and cost, and what is left of the budget.

An entry is kept in this process, in `ledger.jsonl` of the run folder, and by the control plane. Nothing fails open: an
entry that the control plane did not take is offered again with the next one, and `sync` raises while one is left.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Protocol

from action.money.prices import PriceTable, shipped_prices
from action.money.usage import Usage
from controlplane.errors import AicdError, BrokenPromise, OutsideError
from controlplane.noun import Noun

Kind = Literal["planner", "builder"]
NOTHING = Decimal(0)


class Entry(Noun):
    """One call. `cost_usd` in US dollars; `id` is a uuid, so that telling it twice counts it once."""

    id: str
    kind: Kind
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: Decimal = NOTHING


class CostRecords(Protocol):
    """The part of controlplane's RunnerStore that costs are written to."""

    def record_cost(self, run_id: str, entry: Mapping[str, Any]) -> Mapping[str, Any]: ...


class Ledger:
    """Safe to use from several threads. `limit_usd` None means that only the control plane sets a limit.

    `file` is `ledger.jsonl`: what an earlier verb of the same run wrote there is counted as spent.
    """

    def __init__(
        self,
        run_id: str,
        limit_usd: float | None,
        records: CostRecords | None = None,
        file: Path | None = None,
        table: PriceTable | None = None,
    ) -> None:
        self.table = table or shipped_prices()
        self._run_id = run_id
        self._limit = None if limit_usd is None else Decimal(str(limit_usd))
        self._records = records
        self._file = file
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] = {entry.id: entry for entry in _read(file)}
        self._untold: list[Entry] = []
        self._held: dict[object, Decimal] = {}
        self._left_elsewhere: Decimal | None = None

    def add(self, kind: Kind, model: str, usage: Usage, call: str = "", cost_usd: float | None = None) -> Entry:
        """Count one call. `call` is the API's id of the message: the same one is counted once.

        `cost_usd` is for a program that knows its own cost better than our list does.
        """
        number = uuid.uuid5(uuid.UUID(self._run_id), f"cost/{call}") if call else uuid.uuid4()
        cost = self.table.cost(model, usage) if cost_usd is None else Decimal(str(cost_usd))
        entry = Entry(
            id=str(number),
            kind=kind,
            model=model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens + usage.cache_write_1h_tokens,
            cost_usd=cost,
        )
        with self._lock:
            if entry.id in self._entries:
                return self._entries[entry.id]
            self._entries[entry.id] = entry
            if self._file is not None:
                with self._file.open("a", encoding="utf-8") as file:
                    file.write(entry.model_dump_json() + "\n")
            self._untold.append(entry)
            if self._left_elsewhere is not None:
                self._left_elsewhere -= cost
            self._tell()
        return entry

    def spent(self, kind: Kind | None = None) -> Decimal:
        with self._lock:
            return sum((one.cost_usd for one in self._entries.values() if kind in (None, one.kind)), NOTHING)

    def entries(self, kind: Kind | None = None) -> tuple[Entry, ...]:
        with self._lock:
            return tuple(one for one in self._entries.values() if kind in (None, one.kind))

    def left(self) -> Decimal | None:
        """What may still be spent: the least of the run's own limit and the control plane's; None without a limit.

        Money that calls under way may cost (`hold`) is not left.
        """
        with self._lock:
            own = None if self._limit is None else self._limit - self.spent()
            known = [left for left in (own, self._left_elsewhere) if left is not None]
            return min(known) - sum(self._held.values(), NOTHING) if known else None

    def set_left(self, left_usd: float | None) -> None:
        """What `read_budget` of the control plane says is left, reservations of this run included."""
        with self._lock:
            self._left_elsewhere = None if left_usd is None else Decimal(str(left_usd))

    def is_spent(self) -> bool:
        left = self.left()
        return left is not None and left <= 0

    @contextmanager
    def hold(self, most_usd: Decimal) -> Iterator[None]:
        """Keep back what a call may cost at most, until it has ended and its cost is counted."""
        key = object()
        with self._lock:
            self._held[key] = most_usd
        try:
            yield
        finally:
            with self._lock:
                del self._held[key]

    def sync(self) -> None:
        """Offer what the control plane has not taken yet; raises OutsideError while something is left."""
        with self._lock:
            self._tell()
            if self._untold:
                raise OutsideError(
                    f"{len(self._untold)} costs could not be told to the control plane.",
                    "Nothing more is spent until they can.",
                    "costs-not-recorded",
                )

    def _tell(self) -> None:
        while self._untold and self._records is not None:
            try:
                answer = self._records.record_cost(self._run_id, _as_json(self._untold[0]))
            except AicdError:
                return  # offered again with the next entry, and `sync` insists
            self._untold.pop(0)
            left = answer.get("left_usd")
            untold = sum((one.cost_usd for one in self._untold), NOTHING)
            self._left_elsewhere = None if left is None else Decimal(str(left)) - untold
        if self._records is None:
            self._untold.clear()


def _as_json(entry: Entry) -> dict[str, Any]:
    return {**entry.model_dump(mode="json"), "cost_usd": float(entry.cost_usd)}


def _read(file: Path | None) -> Iterator[Entry]:
    if file is None or not file.exists():
        return
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            yield Entry.model_validate_json(line)
        except ValueError as error:
            raise BrokenPromise("The run folder's ledger.jsonl cannot be read.", "Start the run again.") from error
