"""What one call costs, settled once, however it ends: by what came of it, else by the most that it may have cost."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from action.money import Ledger
from action.money.meter import Meter
from action.money.unanswered import has_left, may_have_begun


@dataclass(eq=False)
class Bill:
    """`size` is the question's, in bytes, `tokens` what its answer may have at most. A call that `is_free` is none of
    the ledger's business. From any thread."""

    ledger: Ledger
    model: str
    size: int
    tokens: int
    fast: bool = False
    is_free: bool = False
    meter: Meter = field(default_factory=lambda: Meter(streamed=True))
    _is_open: bool = False
    _settled: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self) -> None:
        """From here on it may cost something."""
        self._is_open = True

    def refuse(self) -> None:
        """It cost nothing: what proves us was not taken, or is not there."""
        self._is_open = False

    def break_off(self, error: BaseException) -> None:
        self._is_open = self._is_open and has_left(error)

    def answer(self, status: int, told: str, meter: Meter) -> None:
        """`told` is the type of the API's own error."""
        self.meter = meter
        self._is_open = may_have_begun(status, told)

    @property
    def is_lost(self) -> bool:
        """Whether it may have cost something and nothing says what."""
        return self._is_open and self.meter.usage is None and not self.meter.refusal

    def settle(self) -> None:
        """The first time counts; what comes later of a call that was given up is not heard any more."""
        with self._lock:
            if self._settled:
                return
            self._settled = True
        usage = self.meter.usage
        if self.is_free:
            return
        if usage is not None:
            self.ledger.add("builder", self.meter.model, usage, self.meter.message)
        elif self.is_lost:
            self.ledger.write_off("builder", self.model, self.size, self.tokens, fast=self.fast)
