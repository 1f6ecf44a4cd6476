"""One request, one transaction: as the caller's role, with his claims, and mostly in one round trip."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from pydantic import BaseModel, ConfigDict, Field

from local.gateway.catalogue import Catalogue, load_catalogue
from local.gateway.errors import RestError, translate_database_error
from local.gateway.identity import Identity

Connection = psycopg.AsyncConnection[Any]
Row = tuple[Any, ...]
# What Supabase sets as db-schemas and db-extra-search-path.
SEARCH_PATH = '"public", "extensions"'
POOL_WAIT_SECONDS = 10.0
RECONNECT_SECONDS = 0.5
ISOLATION_LEVELS = frozenset({"read committed", "repeatable read", "serializable"})


class Caller(BaseModel):
    """Who asks, and what of his request functions and policies may look at."""

    model_config = ConfigDict(frozen=True)

    identity: Identity
    method: str
    path: str
    # Lower-cased names, as one JSON object.
    headers_json: str
    # Further settings of the transaction, such as Storage's own.
    settings: dict[str, str] = Field(default_factory=dict)


class Gate:
    """The pool of `authenticator` connections and the catalogue, kept current by `notify pgrst`."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool = AsyncConnectionPool(
            dsn,
            min_size=2,
            max_size=10,
            timeout=POOL_WAIT_SECONDS,
            open=False,
            kwargs={
                "autocommit": True,
                # Raw: parameters are $1, $2, so a percent sign in a name means nothing.
                "cursor_factory": psycopg.AsyncRawCursor,
                # A pipeline that fails half-way skips the PREPAREs behind the fault, and psycopg would believe in them.
                "prepare_threshold": None,
                "application_name": "local gateway",
            },
        )
        self._catalogue: Catalogue | None = None
        self._background: set[asyncio.Task[None]] = set()

    @property
    def catalogue(self) -> Catalogue:
        assert self._catalogue is not None, "the gate is not open"
        return self._catalogue

    async def open(self) -> None:
        await self._pool.open(wait=True, timeout=POOL_WAIT_SECONDS)
        await self.reload()
        self._spawn(self._listen())

    async def close(self) -> None:
        for task in self._background:
            task.cancel()
        await self._pool.close(timeout=0.3)

    async def reload(self) -> None:
        """Read the catalogue anew."""
        async with self._connection() as connection:
            self._catalogue = await load_catalogue(connection)

    async def run(
        self,
        caller: Caller,
        statement: str,
        parameters: Sequence[Any] = (),
        *,
        is_read_only: bool = False,
        function_settings: dict[str, str] | None = None,
        approve: Callable[[list[Row]], None] | None = None,
    ) -> list[Row]:
        """Run one statement as the caller and commit. `approve` sees the rows first and rolls all back by raising.

        Raises GatewayError: what the database answered, in PostgREST's words.
        """
        async with self.transaction(caller) as connection:
            async with connection.pipeline():
                await self._become(
                    connection, caller, is_read_only=is_read_only, function_settings=function_settings or {}
                )
                cursor = await connection.execute(statement, parameters)
                if approve is None:
                    await connection.execute("commit")
            rows: list[Row] = await cursor.fetchall()
            if approve is not None:
                approve(rows)
                await connection.execute("commit")
            return rows

    @contextlib.asynccontextmanager
    async def session(self, caller: Caller, *, is_trial: bool = False) -> AsyncIterator[Connection]:
        """A transaction for several statements; commits at the end of the block, unless that raises or was a trial."""
        async with self.transaction(caller) as connection:
            async with connection.pipeline():
                await self._become(connection, caller, is_read_only=False, function_settings={})
            yield connection
            if not is_trial:
                await connection.execute("commit")

    @contextlib.asynccontextmanager
    async def transaction(self, caller: Caller) -> AsyncIterator[Connection]:
        """A connection, given back clean whatever happens, with the database's errors translated."""
        try:
            async with self._connection() as connection:
                try:
                    yield connection
                finally:
                    if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
                        await connection.execute("rollback")
        except psycopg.OperationalError as error:
            if error.sqlstate is None or error.sqlstate.startswith("57P"):
                # The server went away, and with it every idle connection: have them replaced before the next request.
                self._spawn(self._pool.check())
            raise translate_database_error(error, is_anonymous=caller.identity.is_anonymous) from error
        except psycopg.Error as error:
            raise translate_database_error(error, is_anonymous=caller.identity.is_anonymous) from error

    async def call_as_authenticator(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        """For what belongs to no caller; the login role itself may do next to nothing."""
        try:
            async with self._connection() as connection:
                cursor = await connection.execute(statement, parameters)
                return await cursor.fetchall()
        except psycopg.Error as error:
            raise translate_database_error(error, is_anonymous=True) from error

    async def _become(
        self, connection: Connection, caller: Caller, *, is_read_only: bool, function_settings: dict[str, str]
    ) -> None:
        """Open the transaction and take on the caller's role. Queued, not awaited, when inside a pipeline."""
        catalogue = self.catalogue
        isolation = function_settings.get("default_transaction_isolation", "read committed")
        if isolation not in ISOLATION_LEVELS:
            isolation = "read committed"
        await connection.execute(f"begin isolation level {isolation} read {'only' if is_read_only else 'write'}")
        settings = {
            "search_path": SEARCH_PATH,
            "role": caller.identity.role,
            **catalogue.role_settings.get(caller.identity.role, {}),
            "request.jwt.claims": caller.identity.claims_json,
            "request.method": caller.method,
            "request.path": caller.path,
            "request.headers": caller.headers_json,
            "request.cookies": "{}",
            **{name: value for name, value in function_settings.items() if name == "statement_timeout"},
            **caller.settings,
        }
        numbers = range(1, 2 * len(settings), 2)
        calls = ", ".join(f"set_config(${number}, ${number + 1}, true)" for number in numbers)
        await connection.execute(f"select {calls}", [word for pair in settings.items() for word in pair])
        if catalogue.pre_request is not None:
            await connection.execute(f"select {catalogue.pre_request}()")

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            connection = await self._pool.getconn()
        except PoolTimeout as error:
            raise RestError(
                504, "PGRST003", "Timed out acquiring connection from connection pool.", hint="Is Postgres running?"
            ) from error
        try:
            yield connection
        finally:
            await self._pool.putconn(connection)

    async def _listen(self) -> None:
        """Reload when a migration says `notify pgrst, 'reload schema'`; reload after each reconnection as well."""
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(self._dsn, autocommit=True)
                async with connection:
                    await connection.execute("listen pgrst")
                    await self.reload()
                    async for _ in connection.notifies():
                        await self.reload()
            except (psycopg.Error, RestError):
                await asyncio.sleep(RECONNECT_SECONDS)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
