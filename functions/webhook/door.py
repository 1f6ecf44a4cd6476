"""The order of things: proven on the raw bytes, its id claimed, and only then read and taken in as the API does."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from controlplane import ids
from controlplane.errors import Conflict
from functions._shared.api.body import read_handed
from functions._shared.api.callers import ApiCaller, admit
from functions._shared.api.idempotency import Claim
from functions._shared.api.ports import SubmissionStore
from functions._shared.api.submit import Intake
from functions._shared.api.views import as_json, view_submitted
from functions._shared.endpoint import Call
from functions._shared.envelope import Answer
from functions.webhook.delivery import Delivery, read_delivery, refused

CREATED, OK = 201, 200


class SourceStore(SubmissionStore, Protocol):
    """What proving a source needs, and taking in what it sends."""

    def open_webhook_call(self, source: str, signed: str, signatures: Sequence[str]) -> Mapping[str, Any] | None: ...


class Replayed(Conflict):
    """A delivery with this id was taken in already."""

    default_code = "delivery-replayed"


@dataclass(frozen=True)
class Door:
    """The wired function."""

    store: SourceStore
    intake: Intake
    clock: Callable[[], float] = time.time

    def handle(self, call: Call) -> Answer:
        """POST /SOURCE with what POST /specs takes. What fails on our side may be delivered again; a delivery that was
        taken in, or refused for what it says, may not."""
        delivery = read_delivery(call, self.clock())
        caller = self._prove(delivery)
        body_hash = hashlib.sha256(call.body).hexdigest()
        claim = Claim(caller.name, delivery.delivery_id, body_hash, call.correlation_id, self.store)
        if claim.begin()["outcome"] != "new":
            raise Replayed(fix="Give each delivery an id of its own; nothing has to be done about this one.")
        return claim.serve(lambda: self._take_in(call, caller, delivery))

    def _prove(self, delivery: Delivery) -> ApiCaller:
        opened = self.store.open_webhook_call(delivery.source, delivery.signed, delivery.unverified_signatures)
        if opened is None:
            raise refused("signature")
        return admit("webhook", str(opened["name"]), frozenset({"specs:write"}), opened["limit"])

    def _take_in(self, call: Call, caller: ApiCaller, delivery: Delivery) -> Answer:
        handed = read_handed(call)
        spec_id = ids.spec_id(json.dumps([caller.name, delivery.delivery_id]), handed.content)
        made = self.intake.submit(handed, spec_id, caller, call.correlation_id)
        told = view_submitted(made.row, duplicate=made.duplicate, notes=made.notes)
        return Answer(data=as_json(told), status=OK if made.duplicate else CREATED)
