"""Pub/Sub push: signed deliveries to the endpoint, redelivered until it acknowledges, on the record.

At least once, in no promised order, as the real service. A delivery that was pending when the double died goes on after
its restart. Only 102, 200, 201, 202 and 204 acknowledge.
"""

from __future__ import annotations

import base64
import heapq
import json
import random
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, Field

from local.doubles.google.identity import Identity
from local.doubles.google.nouns import Attempt, Delivery
from local.doubles.journal import Journal

ACKNOWLEDGED = frozenset({102, 200, 201, 202, 204})
SUBSCRIPTION = "projects/aicd-local/subscriptions/gmail-push"
# A quarter of an hour at the longest backoff: an endpoint may well restart in between.
MAX_ATTEMPTS = 200
FIRST_BACKOFF_SECONDS = 0.1
MAX_BACKOFF_SECONDS = 5.0
PARALLEL = 8


@dataclass(frozen=True)
class PushConfig:
    """Where the subscription pushes to, and as whom. Without an endpoint deliveries wait."""

    endpoint: str = ""
    audience: str = ""
    service_account: str = "push@aicd-local.iam.gserviceaccount.com"
    ack_seconds: float = 30.0


class PushFaults(BaseModel):
    """drop_rate: share of notifications lost for ever; duplicates: extra copies of each; delay_seconds: up to so late,
    each differently, which also reorders; require_watch: notify only where a live watch says so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drop_rate: float = Field(default=0, ge=0, le=1)
    duplicates: int = Field(default=0, ge=0, le=100)
    delay_seconds: float = Field(default=0, ge=0, le=600)
    require_watch: bool = False
    seed: int | None = None


def envelope(message_id: str, data: dict[str, Any], published_at: str) -> dict[str, Any]:
    """The wrapped push body, with both spellings of each name, as Pub/Sub sends it."""
    encoded = base64.b64encode(json.dumps(data).encode()).decode("ascii")
    message = {"data": encoded, "messageId": message_id, "message_id": message_id}
    return {
        "message": message | {"publishTime": published_at, "publish_time": published_at},
        "subscription": SUBSCRIPTION,
    }


class Publisher:
    """Delivers in the background, with a few workers."""

    def __init__(self, journal: Journal, identity: Identity, config: PushConfig) -> None:
        self._journal = journal
        self._deliveries = journal.collection("deliveries", Delivery)
        self._identity = identity
        self._wake = threading.Condition()
        self._due: list[tuple[float, int, str]] = []
        self._ticket = 0
        self._closed = False
        self._random = random.Random()  # noqa: S311 - faults, not secrets
        self.config = config
        self.faults = PushFaults()
        self._workers = ThreadPoolExecutor(PARALLEL, thread_name_prefix="push")
        self._client = httpx.Client(trust_env=False)
        self._thread = threading.Thread(target=self._run, name="push-clock", daemon=True)

    def start(self) -> None:
        for delivery in self._deliveries.values():
            if delivery.state == "pending":
                self._schedule(delivery.message_id, 0)
        self._thread.start()

    def close(self) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def configure(self, **changes: Any) -> PushConfig:
        """Another endpoint, audience or account; what waits goes there."""
        self.config = replace(self.config, **changes)
        with self._wake:
            self._wake.notify_all()
        return self.config

    def plan(self, faults: PushFaults) -> None:
        self.faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311 - faults, not secrets

    def publish(self, email: str, history_id: int) -> list[Delivery]:
        """One notification, made lasting before it is sent; empty when a planned fault drops it."""
        delivery = Delivery(
            message_id=str(10**16 + secrets.randbelow(9 * 10**16)),
            email=email,
            history_id=history_id,
            published_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )
        if self._random.random() < self.faults.drop_rate:
            delivery = delivery.model_copy(update={"state": "dropped"})
        with self._journal.transaction():
            self._deliveries.put(delivery.message_id, delivery)
        if delivery.state == "dropped":
            return []
        for _ in range(1 + self.faults.duplicates):
            self._schedule(delivery.message_id, self._random.uniform(0, self.faults.delay_seconds))
        return [delivery]

    def purge(self) -> int:
        """Gives up on everything that still waits, as a seek to now does; returns how many."""
        waiting = [delivery for delivery in self._deliveries.values() if delivery.state == "pending"]
        with self._journal.transaction():
            for delivery in waiting:
                self._deliveries.put(delivery.message_id, delivery.model_copy(update={"state": "dead"}))
        return len(waiting)

    def deliveries(self) -> list[Delivery]:
        return self._deliveries.values()

    def body_of(self, delivery: Delivery) -> dict[str, Any]:
        # Google documents a string and has been seen to send a number: either is sent, by the id's last digit.
        number = int(delivery.message_id) % 2 == 0
        data = {
            "emailAddress": delivery.email,
            "historyId": delivery.history_id if number else str(delivery.history_id),
        }
        return envelope(delivery.message_id, data, delivery.published_at)

    def post(self, body: bytes, token: str | None) -> Attempt:
        """One push, now. `token` None sends no Authorization at all."""
        headers = {
            "content-type": "application/json",
            "user-agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
        }
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        status, error = None, None
        try:
            answer = self._client.post(
                self.config.endpoint, content=body, headers=headers, timeout=self.config.ack_seconds
            )
            status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as failure:
            error = type(failure).__name__
        return Attempt(at=datetime.now(UTC).isoformat(), status=status, error=error)

    def token(self) -> str:
        audience = self.config.audience or self.config.endpoint
        return self._identity.id_token(audience, self.config.service_account)

    def _schedule(self, message_id: str, delay: float) -> None:
        with self._wake:
            self._ticket += 1
            heapq.heappush(self._due, (time.monotonic() + delay, self._ticket, message_id))
            self._wake.notify_all()

    def _run(self) -> None:
        while (message_id := self._next_due()) is not None:
            try:
                self._workers.submit(self._deliver, message_id)
            except RuntimeError:
                return  # closed in between

    def _next_due(self) -> str | None:
        with self._wake:
            while not self._closed:
                wait = self._due[0][0] - time.monotonic() if self._due and self.config.endpoint else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._due)[2]
                self._wake.wait(wait)
        return None

    def _deliver(self, message_id: str) -> None:
        delivery = self._deliveries.get(message_id)
        if delivery is None or delivery.state == "dead":
            return
        attempt = self.post(json.dumps(self.body_of(delivery)).encode(), self.token())
        if self._closed:
            return
        with self._journal.transaction():
            delivery = self._note(self._deliveries.get(message_id) or delivery, attempt)
            self._deliveries.put(message_id, delivery)
        if delivery.state == "pending":
            backoff = min(FIRST_BACKOFF_SECONDS * 2 ** (len(delivery.attempts) - 1), MAX_BACKOFF_SECONDS)
            self._schedule(message_id, backoff)

    def _note(self, delivery: Delivery, attempt: Attempt) -> Delivery:
        attempts = (*delivery.attempts, attempt)
        state = delivery.state
        if attempt.status in ACKNOWLEDGED:
            state = "acknowledged"
        elif state == "pending" and len(attempts) >= MAX_ATTEMPTS:
            state = "dead"
        return delivery.model_copy(update={"attempts": attempts, "state": state})
