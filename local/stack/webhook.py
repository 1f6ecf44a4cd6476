"""What Supabase's database webhook and Cloud Scheduler do in the cloud, for the embedded stack.

An insert into `outbox` announces itself with NOTIFY; this relay posts it to the function that handles its kind, signed
as docs/architecture.md says. Once in a while it calls `tick`, the safety net, in the same way.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import httpx
import structlog
from pydantic import SecretStr

from functions._shared.callers.webhook import sign_webhook
from local.stack.identity import StackIdentity

CHANNEL = "aicd_outbox"
TICK_SECONDS = 5.0
POST_SECONDS = 120.0
# The function of a kind has its name, but for these.
FUNCTION_OF = {"cancel": "dispatch"}

log = structlog.get_logger()


def webhook_body(record: dict[str, Any]) -> bytes:
    """The body of a database webhook for a new outbox row."""
    document = {"type": "INSERT", "table": "outbox", "schema": "public", "record": record, "old_record": None}
    return json.dumps(document).encode()


class Relay:
    """Listens and posts until stopped; what fails is left to the next tick, as in the cloud."""

    def __init__(self, identity: StackIdentity, dsn: str) -> None:
        self._identity = identity
        self._dsn = dsn
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._listen, name="outbox-relay", daemon=True),
            threading.Thread(target=self._tick, name="scheduler", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def post(self, function: str, record: dict[str, Any]) -> None:
        """Call one function as the database webhook would; a failure is logged, never raised."""
        body = webhook_body(record)
        headers = {"Content-Type": "application/json"}
        now = int(time.time())
        signature = sign_webhook(SecretStr(self._identity.outbox_secret), now, body)
        headers |= {"X-Aicd-Timestamp": str(now), "X-Aicd-Signature": signature}
        try:
            answer = httpx.post(self._identity.url(function), content=body, headers=headers, timeout=POST_SECONDS)
        except httpx.HTTPError as error:
            log.warning("webhook-failed", function=function, error=type(error).__name__)
            return
        if answer.status_code >= httpx.codes.BAD_REQUEST:
            log.warning("webhook-refused", function=function, status=answer.status_code)

    def _listen(self) -> None:
        import psycopg

        while not self._stopping.is_set():
            try:
                with psycopg.connect(self._dsn, autocommit=True) as connection:
                    connection.execute(f"listen {CHANNEL}")
                    self._relay(connection)
            except psycopg.Error as error:
                if self._stopping.is_set():
                    return
                log.warning("relay-lost-database", error=type(error).__name__)
                self._stopping.wait(0.5)

    def _relay(self, connection: Any) -> None:
        while not self._stopping.is_set():
            for notice in connection.notifies(timeout=0.5):
                record = json.loads(notice.payload)
                function = FUNCTION_OF.get(record["kind"], record["kind"])
                threading.Thread(target=self.post, args=(function, record), daemon=True).start()

    def _tick(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            self.post("tick", {"id": None, "kind": "tick"})
