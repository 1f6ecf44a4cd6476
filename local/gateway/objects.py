"""Rows of storage.objects and storage.buckets: every statement that Storage runs, as the caller or for itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pydantic import BaseModel, ConfigDict

from local.gateway.errors import GatewayError, RestError, StorageError
from local.gateway.identity import SERVICE_IDENTITY
from local.gateway.transaction import Caller, Connection, Gate, Row

MOST_LISTED = 1000
SORTABLE = frozenset({"name", "updated_at", "created_at", "last_accessed_at"})


class Bucket(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    public: bool
    file_size_limit: int | None
    allowed_mime_types: list[str] | None


class StoredObject(BaseModel):
    """A row of storage.objects, as far as serving it needs."""

    model_config = ConfigDict(frozen=True)

    id: str
    version: str
    name: str
    bucket_id: str
    metadata: dict[str, Any]
    user_metadata: dict[str, Any] | None
    created_at: str
    updated_at: str


class NewObject(BaseModel):
    """What an upload or a copy writes."""

    model_config = ConfigDict(frozen=True)

    id: str
    version: str
    bucket_id: str
    name: str
    owner_id: str | None
    is_upsert: bool
    metadata: dict[str, Any] = {}
    user_metadata: dict[str, Any] | None = None

    @property
    def parameters(self) -> list[Any]:
        user_metadata = None if self.user_metadata is None else json.dumps(self.user_metadata)
        metadata = json.dumps(self.metadata)
        return [self.id, self.bucket_id, self.name, self.owner_id, self.version, metadata, user_metadata]

    @property
    def insertion(self) -> str:
        return INSERT + (UPSERT if self.is_upsert else "")


OBJECT = """
select id::text, version, name, bucket_id, coalesce(metadata, '{}'), user_metadata,
    to_json(created_at) #>> '{}', to_json(updated_at) #>> '{}'
from storage.objects where bucket_id = $1 and name = $2
"""
# The owner is whatever `sub` says; the old column `owner` takes it only when it is a uuid.
INSERT = """
insert into storage.objects (id, bucket_id, name, owner, owner_id, version, metadata, user_metadata)
values ($1::uuid, $2, $3, case when $4 ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then $4::uuid end,
    $4, $5, $6::jsonb, $7::jsonb)
"""
UPSERT = """
on conflict (bucket_id, name) do update set owner = excluded.owner, owner_id = excluded.owner_id,
    version = excluded.version, metadata = excluded.metadata, user_metadata = excluded.user_metadata
"""
DELETE = """
delete from storage.objects where bucket_id = $1 and name = any($2)
returning id::text, version, row_to_json(objects)::text
"""
BUCKET = "select id, coalesce(public, false), file_size_limit, allowed_mime_types from storage.buckets where id = $1"
BUCKETS = """
select json_build_object('id', id, 'name', name, 'owner', coalesce(owner_id, ''), 'public', public, 'type', type,
    'file_size_limit', file_size_limit, 'allowed_mime_types', allowed_mime_types,
    'created_at', created_at, 'updated_at', updated_at)
from storage.buckets where $1::text is null or id = $1 order by name
"""
# Folders are what stands before the next slash; they have no row, hence no id.
LIST = """
with found as (
    select substr(name, length($2) + 1) as rest, objects.* from storage.objects
    where bucket_id = $1 and starts_with(name, $2) and strpos(lower(substr(name, length($2) + 1)), lower($3)) = 1
), entries as (
    select distinct split_part(rest, '/', 1) as name, null::uuid as id, null::timestamptz as updated_at,
        null::timestamptz as created_at, null::timestamptz as last_accessed_at, null::jsonb as metadata
    from found where strpos(rest, '/') > 0
    union all
    select rest, id, updated_at, created_at, last_accessed_at, metadata from found where strpos(rest, '/') = 0
)
select coalesce(json_agg(entry), '[]')::text from (
    select * from entries order by id is not null, {column} {direction}, name limit $4 offset $5
) as entry
"""


class ObjectRows:
    """Reads and writes rows. Row level security holds for a `caller`; where none is taken, Storage acts for itself."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def fetch_bucket(self, bucket_id: str) -> Bucket:
        """Its limits hold for callers who may not see it, so Storage looks itself. Raises StorageError 404."""
        rows = await self._run(
            itself("storage.bucket.get"),
            BUCKET,
            [bucket_id],
        )
        if not rows:
            raise no_such_bucket()
        return Bucket(**dict(zip(Bucket.model_fields, rows[0], strict=True)))

    async def list_buckets(self, caller: Caller, bucket_id: str | None = None) -> list[dict[str, Any]]:
        """Those the caller may see, in the API's form; with `bucket_id` at most that one."""
        return [row[0] for row in await self._run(caller, BUCKETS, [bucket_id])]

    async def fetch_object(self, caller: Caller, bucket_id: str, name: str) -> StoredObject:
        """Raises StorageError 404 when it is not there, or not for the caller: the two look the same."""
        rows = await self._run(caller, OBJECT, [bucket_id, name])
        if not rows:
            raise no_such_key()
        return StoredObject(**dict(zip(StoredObject.model_fields, rows[0], strict=True)))

    async def find_names(self, caller: Caller, bucket_id: str, names: list[str]) -> set[str]:
        query = "select name from storage.objects where bucket_id = $1 and name = any($2)"
        return {row[0] for row in await self._run(caller, query, [bucket_id, names])}

    async def list_entries(
        self,
        caller: Caller,
        bucket_id: str,
        *,
        prefix: str,
        search: str,
        limit: int,
        offset: int,
        sort: tuple[str, str],
    ) -> str:
        """Files and folders directly under `prefix`, as JSON."""
        column, direction = sort
        if column not in SORTABLE or direction not in ("asc", "desc"):
            raise StorageError(400, "InvalidParameter", "Invalid Parameter sortBy")
        statement = LIST.format(column=column, direction=direction)
        parameters = [bucket_id, prefix, search, min(limit, MOST_LISTED), offset]
        return str((await self._run(caller, statement, parameters))[0][0])

    async def require_upload_permission(self, caller: Caller, new: NewObject) -> None:
        """Write the row as the caller and take it back. Raises StorageError 403 or 409."""
        async with self._session(caller, is_trial=True) as connection:
            await connection.execute(new.insertion, new.parameters)

    async def write_object(self, new: NewObject, before_commit: Callable[[str], None]) -> tuple[str, str | None]:
        """Write the row for Storage itself; the object's id, and the version that it replaced.

        `before_commit` gets the id: an object that is replaced keeps its own. Raises StorageError 409.
        """
        async with self._session(itself("storage.object.upload")) as connection:
            # One writer per key, or the loser's bytes would never be found again.
            await connection.execute(
                "select pg_advisory_xact_lock(hashtextextended($1, 0))", [f"{new.bucket_id}/{new.name}"]
            )
            cursor = await connection.execute(OBJECT, [new.bucket_id, new.name])
            previous = await cursor.fetchone()
            cursor = await connection.execute(new.insertion + " returning id::text", new.parameters)
            row = await cursor.fetchone()
            assert row is not None
            before_commit(row[0])
        return row[0], previous[1] if previous else None

    async def insert_as(self, caller: Caller, new: NewObject, before_commit: Callable[[], None]) -> None:
        """Write the row as the caller. Raises StorageError 403 or 409."""
        async with self._session(caller) as connection:
            await connection.execute(new.insertion, new.parameters)
            before_commit()

    async def rename_object(self, caller: Caller, bucket_id: str, name: str, new_name: str) -> str:
        """The object's id. Raises StorageError 404, 403 or 409."""
        statement = "update storage.objects set name = $3 where bucket_id = $1 and name = $2 returning id::text"
        rows = await self._run(caller, statement, [bucket_id, name, new_name])
        if not rows:
            raise no_such_key()
        return str(rows[0][0])

    async def delete_objects(self, caller: Caller, bucket_id: str, names: list[str]) -> list[tuple[str, str, str]]:
        """Id, version and row (as JSON) of each object that the caller could delete."""
        allowed = caller.model_copy(update={"settings": caller.settings | {"storage.allow_delete_query": "true"}})
        return [(row[0], row[1], row[2]) for row in await self._run(allowed, DELETE, [bucket_id, names])]

    async def _run(self, caller: Caller, statement: str, parameters: list[Any]) -> list[Row]:
        try:
            return await self._gate.run(caller, statement, parameters)
        except RestError as error:
            raise as_storage_error(error) from error

    @asynccontextmanager
    async def _session(self, caller: Caller, *, is_trial: bool = False) -> AsyncIterator[Connection]:
        try:
            async with self._gate.session(caller, is_trial=is_trial) as connection:
                yield connection
        except RestError as error:
            raise as_storage_error(error) from error


def itself(operation: str) -> Caller:
    """Storage, acting after somebody's right was proven: by a trial, or by a signed URL."""
    settings = {"storage.operation": operation}
    return Caller(identity=SERVICE_IDENTITY, method="", path="", headers_json="{}", settings=settings)


def no_such_key() -> StorageError:
    return StorageError(404, "NoSuchKey", "Object not found", error="not_found")


def no_such_bucket() -> StorageError:
    return StorageError(404, "NoSuchBucket", "Bucket not found", error="Bucket not found")


def as_storage_error(error: GatewayError) -> GatewayError:
    """The database's answer in Storage's words."""
    code, message = str(error.body["code"]), str(error.body["message"])
    if code == "42501":
        return StorageError(403, "AccessDenied", message, error="Unauthorized")
    if code == "23505":
        return StorageError(409, "KeyAlreadyExists", "The resource already exists", error="Duplicate")
    if code == "23503":
        return no_such_bucket()
    if code in ("PGRST301", "PGRST303"):
        return StorageError(403, "InvalidJWT", message, error="Unauthorized")
    if code.startswith("PGRST0"):
        return StorageError(500, "DatabaseTimeout", message)
    return StorageError(500, "DatabaseError", message)
