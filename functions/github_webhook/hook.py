"""A delivery of GitHub's: proven on the raw bytes, then read, then recorded once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from controlplane.errors import Conflict
from controlplane.secret import Secret
from functions._shared.api.jsonbody import JSON, load_json, media_type
from functions._shared.api.refusals import Unreadable, UnsupportedMediaType
from functions._shared.endpoint import Call
from functions._shared.envelope import Answer
from functions.github_webhook.events import read_event
from functions.github_webhook.signature import HEADER, verify

log = structlog.get_logger(__name__)

DELIVERY = re.compile(r"[A-Za-z0-9-]{1,100}")


class EventStore(Protocol):
    """What recording needs."""

    def record_github_event(self, delivery_id: str, event: Mapping[str, Any]) -> Mapping[str, Any]: ...


class Replayed(Conflict):
    """A delivery with this id was recorded already."""

    default_code = "delivery-replayed"


@dataclass(frozen=True)
class Hook:
    """The wired function."""

    secret: Secret
    store: EventStore

    def handle(self, call: Call) -> Answer:
        """Answers with the outcome: recorded, known, ignored, unknown-repository or unknown-run. What fails on our side
        may be delivered again; a delivery that was recorded may not."""
        verify(self.secret, call.header(HEADER), call.body)
        delivery_id, name = call.header("X-GitHub-Delivery"), call.header("X-GitHub-Event")
        if not DELIVERY.fullmatch(delivery_id):
            raise Unreadable("The delivery has no id.", code="delivery-id-missing")
        if media_type(call) != JSON:
            raise UnsupportedMediaType("The payload is read as JSON only.", fix=f"Set the content type to {JSON}.")
        event = read_event(name, load_json(call.body))
        if event is None:
            return Answer(data={"outcome": "ignored"})
        told = self.store.record_github_event(delivery_id, event)
        log.info("GitHub told", event_name=name, kind=event["kind"], outcome=told["outcome"], delivery_id=delivery_id)
        if told["outcome"] == "replayed":
            raise Replayed(fix="Nothing has to be done.")
        return Answer(data={"outcome": told["outcome"], "run_id": told["run_id"]})
