"""The handler of a function that works one kind of outbox row off."""

from __future__ import annotations

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
    work: Work

    def handle(self, call: Call) -> Answer:
        """Answer with the counts. Raises `NotAuthenticated`, or `OutsideError` when the database is away."""
        self.proof.verify(call)
        return Answer(data=drain_outbox(self.store, self.work).as_json())
