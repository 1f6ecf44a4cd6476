"""The Google double's own endpoints, under /_double/: mail in, mail out, pushes, tokens, faults, clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response
from starlette.routing import Route

from local.doubles.exchange import Call
from local.doubles.faults import ApiFaults, Fault
from local.doubles.google.consent import Consent, Person
from local.doubles.google.delegation import Delegations
from local.doubles.google.gmail import Gmail
from local.doubles.google.headers import read_headers
from local.doubles.google.identity import GMAIL_SCOPES, Identity
from local.doubles.google.mta import Envelope, stamp
from local.doubles.google.nouns import Message
from local.doubles.google.pubsub import Publisher, PushFaults, envelope
from local.doubles.google.state import DAY_MS, MailState
from local.doubles.server import RefusedControlError, control_route, parse_control, read_order
from local.doubles.signing import Signing
from local.doubles.validation import Problems

Path = Mapping[str, str]


# Stands for "sign a good one for each copy" in a push order.
SIGNED = "signed"


class AccountOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    email: str
    scopes: tuple[str, ...] = GMAIL_SCOPES
    revoked: bool = False


class PersonOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    email: str = ""
    agrees: bool = True
    scopes: tuple[str, ...] | None = None


class ServiceAccountOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    client_email: str
    scopes: tuple[str, ...] = GMAIL_SCOPES


class IdTokenOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    audience: str
    email: str | None = None
    claims: dict[str, Any] = {}
    header: dict[str, Any] = {}
    signing: Signing = "good"


class PushOrder(BaseModel):
    """`body` (any JSON, or a string sent as it is) or `data` (wrapped as Pub/Sub does, under `message_id`).

    `token` null sends none; left out, a good one is signed for each copy.
    """

    model_config = ConfigDict(extra="forbid")
    body: Any = None
    data: dict[str, Any] | None = None
    message_id: str = "1"
    token: str | None = SIGNED
    copies: int = Field(default=1, ge=1, le=10_000)
    parallel: int = Field(default=1, ge=1, le=64)


class FaultOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    push: PushFaults = PushFaults()
    api: list[Fault] = []
    history_gone: bool = False


class Controls:
    """Everything that a test or the demo asks of the double."""

    def __init__(
        self,
        state: MailState,
        identity: Identity,
        gmail: Gmail,
        publisher: Publisher,
        problems: Problems,
        faults: ApiFaults,
        consent: Consent,
        delegations: Delegations,
    ) -> None:
        self._state = state
        self._identity = identity
        self._gmail = gmail
        self._publisher = publisher
        self._problems = problems
        self._faults = faults
        self._consent = consent
        self._delegations = delegations

    def routes(self) -> list[Route]:
        return [
            control_route("/problems", "GET", lambda _call, _path: self._problems.as_documents()),
            control_route("/problems", "DELETE", lambda _call, _path: self._problems.clear()),
            control_route("/accounts", "POST", self.open_account),
            control_route("/consent", "POST", self.seat_person),
            control_route("/service-accounts", "POST", self.create_service_account),
            control_route("/id-token", "POST", self.mint_id_token),
            control_route("/deliver", "POST", self.deliver),
            control_route("/push", "POST", self.push),
            control_route("/push-config", "POST", self.configure_push),
            control_route("/deliveries", "GET", lambda _call, _path: self.list_deliveries()),
            control_route("/deliveries", "DELETE", lambda _call, _path: {"purged": self._publisher.purge()}),
            control_route("/faults", "POST", self.plan_faults),
            control_route("/clock", "POST", self.move_clock),
            control_route("/sent", "GET", lambda _call, _path: self.list_sent()),
            control_route("/sent/{id}.eml", "GET", self.download),
            control_route("/mailbox/{address}/messages", "GET", self.list_mailbox),
            control_route("/mailbox/{address}/messages/{id}.eml", "GET", self.download),
            control_route("/mailbox/{address}/messages/{id}", "DELETE", self.delete_message),
            control_route("/mailbox/{address}/expire-history", "POST", self.expire_history),
        ]

    def open_account(self, call: Call, _: Path) -> dict[str, Any]:
        order = read_order(AccountOrder, call)
        account = self._identity.open_account(order.email, order.scopes, revoked=order.revoked)
        self._state.open(account.email)
        return account.model_dump(mode="json") | {"token_uri": f"{call.base_url}/token"}

    def seat_person(self, call: Call, _: Path) -> dict[str, Any]:
        """Who agrees at the consent page from now on, and to what."""
        order = read_order(PersonOrder, call)
        self._consent.person = Person(order.email, order.agrees, order.scopes)
        return order.model_dump(mode="json")

    def create_service_account(self, call: Call, _: Path) -> dict[str, str]:
        order = read_order(ServiceAccountOrder, call)
        return self._delegations.create(order.client_email, order.scopes) | {"token_uri": f"{call.base_url}/token"}

    def mint_id_token(self, call: Call, _: Path) -> dict[str, str]:
        order = read_order(IdTokenOrder, call)
        email = order.email or self._publisher.config.service_account
        return {"token": self._identity.id_token(order.audience, email, order.claims, order.header, order.signing)}

    def deliver(self, call: Call, _: Path) -> dict[str, Any]:
        """The body is the mail. Query: `authenticated`, `mailbox`, `envelope_from`, `signed_by`, `labels`."""
        address = call.one("mailbox") or self._default_mailbox()
        authenticated = call.one("authenticated", "true")
        if authenticated not in ("true", "false"):
            raise RefusedControlError(422, "authenticated is true or false")
        sender = call.one("envelope_from") if any(name == "envelope_from" for name, _ in call.query) else None
        arrived = Envelope(address.lower(), authenticated == "true", sender, call.one("signed_by") or None)
        labels = call.one("labels", "INBOX,UNREAD").split(",")
        message = self._state.add(address, stamp(call.body, arrived), labels)
        notified = self._gmail.notify(address)
        ids = {"gmail_id": message.id, "thread_id": message.thread_id, "history_id": str(message.history_id)}
        return ids | {"mailbox": message.mailbox, "notified": notified}

    def push(self, call: Call, _: Path) -> dict[str, Any]:
        """Posts at once and waits: hostile bodies, forged tokens, N copies, several at a time."""
        order = read_order(PushOrder, call)
        if not self._publisher.config.endpoint:
            raise RefusedControlError(
                409, "no push endpoint; set AICD_GOOGLE_PUSH_ENDPOINT or POST /_double/push-config"
            )
        wrapped = order.data is not None
        document = envelope(order.message_id, order.data or {}, "2026-11-21T00:00:00.000Z") if wrapped else order.body
        body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        with ThreadPoolExecutor(order.parallel) as pool:
            attempts = list(
                pool.map(lambda _: self._publisher.post(body, self._push_token(order)), range(order.copies))
            )
        return {"statuses": [attempt.status for attempt in attempts], "errors": [a.error for a in attempts if a.error]}

    def configure_push(self, call: Call, _: Path) -> dict[str, Any]:
        changes = parse_control(call)
        if unknown := changes.keys() - {"endpoint", "audience", "service_account", "ack_seconds"}:
            raise RefusedControlError(422, f"unknown settings: {', '.join(sorted(unknown))}")
        return asdict(self._publisher.configure(**changes))

    def list_deliveries(self) -> list[dict[str, Any]]:
        return [delivery.model_dump(mode="json") for delivery in self._publisher.deliveries()]

    def plan_faults(self, call: Call, _: Path) -> dict[str, Any]:
        order = read_order(FaultOrder, call)
        self._publisher.plan(order.push)
        self._faults.plan(order.api)
        self._gmail.history_gone = order.history_gone
        return order.model_dump(mode="json") | {"injected_so_far": self._faults.injected}

    def move_clock(self, call: Call, _: Path) -> dict[str, int]:
        seconds = parse_control(call).get("advance_seconds", 0)
        if not isinstance(seconds, int) or not 0 <= seconds <= 366 * DAY_MS // 1000:
            raise RefusedControlError(422, "advance_seconds is a whole number of seconds, forward only")
        self._state.clock_offset_ms += seconds * 1000
        return {"now_ms": self._state.now_ms()}

    def list_sent(self) -> list[dict[str, Any]]:
        """Every mail sent by messages.send, oldest first."""
        sent = [m for a in self._state.addresses() for m in self._state.messages(a) if "SENT" in m.label_ids]
        return [self._show(message) for message in sorted(sent, key=lambda message: message.id)]

    def list_mailbox(self, _: Call, path: Path) -> list[dict[str, Any]]:
        return [self._show(message) for message in self._state.messages(path["address"])]

    def download(self, _: Call, path: Path) -> Response:
        addresses = [path["address"]] if "address" in path else self._state.addresses()
        if not any(self._state.message(address, path["id"]) for address in addresses):
            raise RefusedControlError(404, "there is no such message")
        return Response(self._state.raw(path["id"]), media_type="message/rfc822")

    def delete_message(self, _: Call, path: Path) -> dict[str, bool]:
        message = self._state.message(path["address"], path["id"])
        if message is None:
            raise RefusedControlError(404, "there is no such message")
        self._state.delete(message)
        return {"deleted": True}

    def expire_history(self, _: Call, path: Path) -> dict[str, str]:
        """Forgets the mailbox's history so far: an older startHistoryId answers 404 from now on."""
        now = self._state.open(path["address"]).history_id
        self._state.change_mailbox(path["address"], oldest_history_id=now)
        return {"oldest_history_id": str(now)}

    def _show(self, message: Message) -> dict[str, Any]:
        fields = [{"name": n, "value": v} for n, v in read_headers(self._state.raw(message.id)).fields]
        kept = message.model_dump(mode="json", include={"id", "thread_id", "mailbox", "label_ids", "size"})
        return kept | {"history_id": str(message.history_id), "headers": fields}

    def _push_token(self, order: PushOrder) -> str | None:
        return self._publisher.token() if order.token == SIGNED else order.token

    def _default_mailbox(self) -> str:
        account = self._identity.only_account()
        if account is None:
            raise RefusedControlError(422, "which mailbox? give ?mailbox=ADDRESS")
        return account.email
