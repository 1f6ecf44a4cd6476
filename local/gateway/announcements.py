"""The one ear on Postgres for status events, and the hand that passes their ids on to whoever listens.

A notification says that there is something to see, and never what: who hears it reads the row as himself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg

from local.gateway.transaction import RECONNECT_SECONDS

CHANNEL = "aicd_events"
# A listener that is slower than this forgets the ids and reads what he missed by its time instead.
MOST_PENDING = 1000


@dataclass(eq=False)
class Listener:
    """One client's place: the ids announced since he last looked."""

    project_id: str
    # None: all of the project.
    run_id: str | None
    # Whose connection it is.
    subject: str
    _pending: list[str] = field(default_factory=list)
    _is_behind: bool = False
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, event_id: str) -> None:
        if len(self._pending) < MOST_PENDING:
            self._pending.append(event_id)
        else:
            self._is_behind = True
        self._woken.set()

    def fall_behind(self) -> None:
        """Something may have been missed."""
        self._is_behind = True
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        """Whether there is something to look for; False after so many seconds of silence."""
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def take(self) -> list[str] | None:
        """The ids announced since the last call; None when some are not known and must be looked for."""
        taken, is_behind = self._pending, self._is_behind
        self._pending, self._is_behind = [], False
        self._woken.clear()
        return None if is_behind else taken


class Announcements:
    """Listens from the first listener on, over one connection for all of them."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._is_heard = asyncio.Event()

    def count(self, subject: str | None = None) -> int:
        return sum(subject in (None, one.subject) for one in self._listeners)

    @contextlib.contextmanager
    def joined(self, listener: Listener) -> Iterator[None]:
        self._listeners.add(listener)
        try:
            yield
        finally:
            self._listeners.discard(listener)

    async def heard(self, seconds: float) -> bool:
        """Start listening, if that has not happened yet; whether Postgres is heard within so many seconds."""
        if self._task is None:
            self._task = asyncio.create_task(self._listen())
        try:
            await asyncio.wait_for(self._is_heard.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self) -> None:
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(self._dsn, autocommit=True)
                async with connection:
                    await connection.execute(f"listen {CHANNEL}")
                    self._is_heard.set()
                    # Whatever was announced while nobody heard it is gone.
                    for listener in self._listeners:
                        listener.fall_behind()
                    async for notice in connection.notifies():
                        self._pass_on(notice.payload)
            except psycopg.Error:
                self._is_heard.clear()
                await asyncio.sleep(RECONNECT_SECONDS)

    def _pass_on(self, payload: str) -> None:
        # Anybody with a connection to Postgres may notify: what cannot be read is nobody's event.
        try:
            told = json.loads(payload)
            event_id, project_id, run_id = str(told["id"]), told["project_id"], told.get("run_id")
        except (ValueError, TypeError, KeyError, AttributeError):
            return
        for listener in self._listeners:
            if listener.project_id == project_id and listener.run_id in (None, run_id):
                listener.tell(event_id)
