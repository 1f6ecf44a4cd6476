"""The handler of a function that works some kinds of outbox rows off."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from functions._shared.callers.proof import CallerProof
from functions._shared.endpoint import Call
from functions._shared.envelope import Answer
from functions._shared.outbox.drain import Work, drain_outbox
from functions._shared.ports import OutboxStore


@dataclass(frozen=True)
class Drainer:
    """Whoever may call, the same is done: what is due is worked off. The body is proven, and then not needed."""

    proof: CallerProof
    store: OutboxStore
    work: tuple[Work, ...]

    def handle(self, call: Call) -> Answer:
        """Answer with the counts of all kinds together.

        Raises `NotAuthenticated`, or `OutsideError` when the database is away.
        """
        self.proof.verify(call)
        counts = Counter[str]()
        for work in self.work:
            counts.update(drain_outbox(self.store, work).as_json())
        return Answer(data=dict(counts))
