"""/realtime/v1/events: status events as Server-Sent Events, for who may read them. docs/live.md is its contract.

In the cloud Realtime does this over a websocket; this route stands in for it on one's own machine. Each row is read
again as the caller before it is sent, so that whoever loses his rights in mid-stream gets nothing more.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from local.gateway.announcements import Announcements, Listener
from local.gateway.errors import GatewayError, RestError
from local.gateway.transaction import Caller, Gate

MOST_LISTENERS = 64
MOST_OF_ONE_SUBJECT = 8
HEARTBEAT_SECONDS = 15
LONGEST_HEARTBEAT_SECONDS = 60
READY_SECONDS = 5.0
PAGE = 1000
# An event carries the time of its making and is seen from its commit on. The roles that make events are stopped after
# 15 seconds, so whoever looks back that far misses none.
LOOK_BACK = timedelta(seconds=15)
REMEMBERED = 10_000
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

OPENING = """
    select case when $2::uuid is null then exists (select from public.projects where id = $1::uuid)
        else exists (select from public.runs where id = $2::uuid and project_id = $1::uuid) end, now()"""
BY_ID = """
    select to_jsonb(found) from (
        select id, run_id, spec_id, project_id, phase, message, metadata, created_at from public.status_events
        where id = any ($1::uuid[]) and project_id = $2::uuid) as found order by created_at, id desc"""
OF_PROJECT = "select public.list_events_v1($1::uuid, $2::timestamptz, $3::uuid, $4::integer)"
OF_RUN = "select public.list_run_events_v1($1::uuid, $2::timestamptz, $3::uuid, $4::integer)"


class Wish(BaseModel):
    """What the request asks for."""

    model_config = ConfigDict(frozen=True)

    project_id: str
    run_id: str | None
    # The last event that the client has; None: from now on.
    after: tuple[datetime, str] | None
    heartbeat_seconds: float


class EventService:
    """The route. At most 64 streams, at most eight of one person."""

    def __init__(self, gate: Gate, dsn: str) -> None:
        self._gate = gate
        self._announcements = Announcements(dsn)

    async def close(self) -> None:
        await self._announcements.close()

    async def stream(self, request: Request, caller: Caller) -> Response:
        """Raises RestError for what cannot be served; what goes wrong later ends the stream with an event `end`."""
        if request.method != "GET":
            raise RestError(405, "method-not-allowed", "A stream can only be asked for with GET.")
        wish = read_wish(request)
        subject = require_member(caller)
        self._require_place(subject)
        listener = Listener(wish.project_id, wish.run_id, subject)
        with contextlib.ExitStack() as until_served:
            # First the ear, then the look: what happens in between is heard.
            until_served.enter_context(self._announcements.joined(listener))
            if not await self._announcements.heard(READY_SECONDS):
                raise RestError(503, "PGRST001", "The database cannot be listened to.", hint="Is Postgres running?")
            # What was announced until here is not news.
            listener.take()
            reader = Reader(self._gate, caller, wish)
            opened_at = await reader.open()
            if opened_at is None:
                raise RestError(404, "not-found", "There is no such project or run for you.",
                    hint="Check the ids, and that you are a member of the project.")  # fmt: skip
            return Stream(follow(reader, listener, wish, opened_at), until_served.pop_all())

    def _require_place(self, subject: str) -> None:
        if self._announcements.count(subject) >= MOST_OF_ONE_SUBJECT:
            raise RestError(429, "too-many-streams", f"You have {MOST_OF_ONE_SUBJECT} open streams already.",
                hint="Close one.", headers={"Retry-After": "15"})  # fmt: skip
        if self._announcements.count() >= MOST_LISTENERS:
            raise RestError(503, "too-many-streams", f"There are {MOST_LISTENERS} open streams already.",
                hint="Try again later.", headers={"Retry-After": "15"})  # fmt: skip


class Stream(StreamingResponse):
    """Gives its place up when it ends, however it ends; also when nothing was ever sent."""

    def __init__(self, content: AsyncIterator[str], place: contextlib.ExitStack) -> None:
        super().__init__(content, media_type="text/event-stream", headers=HEADERS)
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            await super().__call__(scope, receive, send)


@dataclass
class Reader:
    """The caller's eyes: every read is a transaction of his own, under the policies as they are then."""

    gate: Gate
    caller: Caller
    wish: Wish
    # What was sent, so that looking back repeats nothing within one stream.
    _sent: OrderedDict[str, None] = field(default_factory=OrderedDict)

    async def open(self) -> datetime | None:
        """The database's time; None when the caller may not see what he wants to listen to."""
        [(is_seen, now)] = await self._run(OPENING, self.wish.project_id, self.wish.run_id)
        return now if is_seen else None

    async def look_up(self, event_ids: list[str]) -> list[dict[str, Any]]:
        rows = await self._run(BY_ID, event_ids, self.wish.project_id)
        return self._new(row[0] for row in rows)

    async def look_back(self, after: datetime, after_id: str | None) -> AsyncIterator[dict[str, Any]]:
        """Everything after that place, oldest first."""
        statement = OF_RUN if self.wish.run_id else OF_PROJECT
        while True:
            [(page,)] = await self._run(statement, self.wish.run_id or self.wish.project_id, after, after_id, PAGE)
            for event in self._new(page):
                yield event
            if len(page) < PAGE:
                return
            after, after_id = datetime.fromisoformat(page[-1]["created_at"]), page[-1]["id"]

    def _new(self, events: Any) -> list[dict[str, Any]]:
        new = [event for event in events if event["id"] not in self._sent]
        self._sent.update((event["id"], None) for event in new)
        while len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)
        return new

    async def _run(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return await self.gate.run(self.caller, statement, parameters, is_read_only=True)


async def follow(reader: Reader, listener: Listener, wish: Wish, opened_at: datetime) -> AsyncIterator[str]:
    """The text of the stream."""
    newest = wish.after[0] if wish.after else opened_at
    yield "retry: 2000\n: listening\n\n"
    try:
        if wish.after:
            async for event in reader.look_back(newest - LOOK_BACK, None):
                newest = max(newest, made_at(event))
                yield frame(event)
        while True:
            if not await listener.wait(wish.heartbeat_seconds):
                if await reader.open() is None:
                    yield ending("not-allowed")
                    return
                yield ": still here\n\n"
                continue
            event_ids = listener.take()
            events = reader.look_back(newest - LOOK_BACK, None) if event_ids is None else each(
                await reader.look_up(event_ids))  # fmt: skip
            async for event in events:
                newest = max(newest, made_at(event))
                yield frame(event)
    except GatewayError as error:
        yield ending("not-allowed" if error.status < 500 else "unavailable")


async def each(events: list[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    for event in events:
        yield event


def made_at(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["created_at"])


def frame(event: dict[str, Any]) -> str:
    # JSON holds no line break, so one data line is enough.
    return f"id: {event['created_at']}_{event['id']}\nevent: status_event\ndata: {json.dumps(event)}\n\n"


def ending(reason: str) -> str:
    return f"event: end\ndata: {json.dumps({'reason': reason})}\n\n"


def read_wish(request: Request) -> Wish:
    """Raises RestError naming the parameter that cannot be read."""
    query = request.query_params
    run_id = query.get("run_id")
    heartbeat = query.get("heartbeat", str(HEARTBEAT_SECONDS))
    if not heartbeat.isascii() or not heartbeat.isdigit() or not 1 <= int(heartbeat[:9]) <= LONGEST_HEARTBEAT_SECONDS:
        raise unreadable("heartbeat", f"a number of seconds from 1 to {LONGEST_HEARTBEAT_SECONDS}")
    return Wish(
        project_id=parse_uuid("project_id", query.get("project_id", "")),
        run_id=parse_uuid("run_id", run_id) if run_id is not None else None,
        after=parse_place(request.headers.get("last-event-id", "")),
        heartbeat_seconds=int(heartbeat),
    )


def parse_uuid(name: str, text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise unreadable(name, "a uuid") from error


def parse_place(text: str) -> tuple[datetime, str] | None:
    """Last-Event-ID as `frame` wrote it: created_at, an underscore, the event's id."""
    if not text:
        return None
    moment, _, event_id = text.rpartition("_")
    try:
        made = datetime.fromisoformat(moment)
        if made.tzinfo is None:
            raise ValueError(moment)
        # Looking back from the first of all days would leave the calendar.
        return made - LOOK_BACK + LOOK_BACK, str(uuid.UUID(event_id))
    except (ValueError, OverflowError) as error:
        raise unreadable("Last-Event-ID", "the id of an event of this stream") from error


def unreadable(name: str, expected: str) -> RestError:
    return RestError(400, "bad-parameter", f"{name} is not {expected}.", hint="docs/live.md describes the parameters.")


def require_member(caller: Caller) -> str:
    """The subject of a member's token. Raises RestError for everybody else."""
    identity = caller.identity
    if identity.is_anonymous:
        raise RestError(
            401, "not-authenticated", "Listening needs a member's token.", hint="Send it as a bearer token."
        )
    if identity.role != "authenticated" or identity.subject is None:
        raise RestError(403, "wrong-role", "Listening is for members.", hint="Use the token of a user's session.")
    return identity.subject
