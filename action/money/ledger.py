"""The run's ledger: every call's tokens and cost, and what is left of the budget.

An entry is kept in this process, in `ledger.jsonl` of the run folder, and by the control plane. Nothing fails open: an
entry that the control plane did not take is offered again with the next one, and by the next verb that opens the file;
`sync` raises while one is left.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from action.money.ledgerfile import NOTHING, Earlier, Entry, Kind, append_line, read_ledger
from action.money.prices import PriceTable, shipped_prices
from action.money.usage import Usage, most_tokens
from controlplane.errors import AicdError, OutsideError


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
        kept = read_ledger(file)
        self._entries = kept.entries
        self._untold = [entry for entry in kept.entries.values() if entry.id not in kept.told]
        self._earlier = kept.earlier_usd
        self._held: dict[object, Decimal] = {}
        self._left_elsewhere: Decimal | None = None

    def add(
        self, kind: Kind, model: str, usage: Usage, call: str = "", cost_usd: float | Decimal | None = None
    ) -> Entry:
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
            append_line(self._file, entry)
            self._untold.append(entry)
            if self._left_elsewhere is not None:
                self._left_elsewhere -= cost
            self._tell()
        return entry

    def write_off(self, kind: Kind, model: str, size: int, output_tokens: int, *, fast: bool = False) -> Entry:
        """Of a call that was sent, and of whose answer nothing is known: the most that it may have cost."""
        usage = Usage(input_tokens=most_tokens(size), output_tokens=output_tokens)
        return self.add(kind, model, usage, cost_usd=self.table.most(model, size, output_tokens, fast=fast))

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
            own = None if self._limit is None else self._limit - self.spent() - (self._earlier or NOTHING)
            known = [left for left in (own, self._left_elsewhere) if left is not None]
            return min(known) - sum(self._held.values(), NOTHING) if known else None

    def set_left(self, left_usd: float | None) -> None:
        """What `read_budget` of the control plane says is left, reservations of this run included."""
        with self._lock:
            self._left_elsewhere = None if left_usd is None else Decimal(str(left_usd)) - self._untold_usd()

    def learn_earlier(self, spent_usd: float | None) -> None:
        """What the whole run has spent, as the control plane says once all of this file is told: beyond it, it was
        spent by an attempt whose run folder is gone. Only the first answer counts."""
        with self._lock:
            if self._earlier is not None or spent_usd is None or self._untold:
                return
            self._earlier = max(NOTHING, Decimal(str(spent_usd)) - self.spent())
            append_line(self._file, Earlier(earlier_usd=self._earlier))

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

    def offer(self) -> bool:
        """Offer what the control plane has not taken yet; False while something is left."""
        with self._lock:
            self._tell()
            return not self._untold

    def sync(self) -> None:
        """As `offer`, but raises OutsideError while something is left."""
        with self._lock:
            if not self.offer():
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
            append_line(self._file, {"told": self._untold.pop(0).id})
            left = answer.get("left_usd")
            self.set_left(left)
        if self._records is None:
            self._untold.clear()

    def _untold_usd(self) -> Decimal:
        return sum((one.cost_usd for one in self._untold), NOTHING)


def _as_json(entry: Entry) -> dict[str, Any]:
    return {**entry.model_dump(mode="json"), "cost_usd": float(entry.cost_usd)}
