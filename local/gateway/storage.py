"""/storage/v1: objects with signed addresses, by Storage's rules."""

from __future__ import annotations

import json
import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from local.gateway.blobs import BlobStore
from local.gateway.errors import NotServedError, StorageError
from local.gateway.objects import NewObject, ObjectRows, StoredObject, itself, no_such_bucket, no_such_key
from local.gateway.rest import read_body
from local.gateway.settings import GatewaySettings
from local.gateway.signing import Signer, StorageToken
from local.gateway.transaction import Caller, Gate
from local.gateway.upload import Upload, receive_upload

# https://github.com/supabase/storage, src/storage/limits.ts: what S3 calls safe, and a little more.
KEY = re.compile(r"[\w/!.*'() &$=@;:+,?-]*", re.ASCII)
LONGEST_KEY = 1024
MOST_KEYS = 1000
JSON_LIMIT = 1024 * 1024
DOWNLOAD, UPLOAD = "download", "upload"
# A stored page may be shown, but is a stranger on this origin: it runs no script and reaches nothing.
ISOLATION = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
}


class StorageService:
    """Rows in the database, bytes on disk."""

    def __init__(self, gate: Gate, settings: GatewaySettings, signer: Signer) -> None:
        self._rows = ObjectRows(gate)
        self._blobs = BlobStore(settings.storage_dir)
        self._settings = settings
        self._signer = signer

    async def upload(self, request: Request, caller: Caller, bucket_id: str, name: str) -> Response:
        """POST makes an object, or replaces one with `x-upsert: true`; PUT always may replace."""
        require_key(name)
        is_upsert = request.method == "PUT" or request.headers.get("x-upsert") == "true"
        bucket = await self._rows.fetch_bucket(bucket_id)
        new = new_object(bucket_id, name, caller.identity.subject, is_upsert=is_upsert)
        # Before the first byte is read: who may not write costs us nothing.
        await self._rows.require_upload_permission(caller, new)
        upload = await receive_upload(request, bucket, self._blobs, self._settings.max_body_bytes)
        return await self._store(new, upload)

    async def upload_signed(self, request: Request, bucket_id: str, name: str) -> Response:
        """Whoever holds the URL writes, once, or as often as he likes if it was signed for that."""
        require_key(name)
        token = self._verify(request, UPLOAD, bucket_id, name)
        bucket = await self._rows.fetch_bucket(bucket_id)
        new = new_object(bucket_id, name, token.owner, is_upsert=token.upsert)
        if not token.upsert and await self._rows.find_names(itself("storage.object.upload_signed"), bucket_id, [name]):
            raise StorageError(409, "KeyAlreadyExists", "The resource already exists", error="Duplicate")
        upload = await receive_upload(request, bucket, self._blobs, self._settings.max_body_bytes)
        return await self._store(new, upload)

    async def sign_upload(self, request: Request, caller: Caller, bucket_id: str, name: str) -> Response:
        require_key(name)
        is_upsert = request.headers.get("x-upsert") == "true"
        await self._rows.fetch_bucket(bucket_id)
        new = new_object(bucket_id, name, caller.identity.subject, is_upsert=is_upsert)
        await self._rows.require_upload_permission(caller, new)
        token = self._sign(
            UPLOAD,
            bucket_id,
            name,
            self._settings.signed_upload_seconds,
            owner=caller.identity.subject,
            upsert=is_upsert,
        )
        return JSONResponse({"url": f"/object/upload/sign/{_address(bucket_id, name)}?token={token}", "token": token})

    async def download(self, request: Request, caller: Caller, bucket_id: str, name: str) -> Response:
        require_key(name)
        return self._send(request, await self._rows.fetch_object(caller, bucket_id, name))

    async def download_signed(self, request: Request, bucket_id: str, name: str) -> Response:
        require_key(name)
        self._verify(request, DOWNLOAD, bucket_id, name)
        return self._send(request, await self._rows.fetch_object(itself("storage.object.get_signed"), bucket_id, name))

    async def download_public(self, request: Request, bucket_id: str, name: str) -> Response:
        require_key(name)
        bucket = await self._rows.fetch_bucket(bucket_id)
        if not bucket.public:
            raise no_such_bucket()
        return self._send(request, await self._rows.fetch_object(itself("storage.object.get_public"), bucket_id, name))

    async def info(self, caller: Caller, bucket_id: str, name: str) -> Response:
        require_key(name)
        found = await self._rows.fetch_object(caller, bucket_id, name)
        metadata = found.metadata
        return JSONResponse(
            {
                "id": found.id,
                "name": found.name,
                "version": found.version,
                "bucket_id": found.bucket_id,
                "size": metadata.get("size"),
                "content_type": metadata.get("mimetype"),
                "cache_control": metadata.get("cacheControl"),
                "etag": metadata.get("eTag"),
                "metadata": found.user_metadata or {},
                "last_modified": found.updated_at,
                "created_at": found.created_at,
            }
        )

    async def sign(self, request: Request, caller: Caller, bucket_id: str, name: str) -> Response:
        require_key(name)
        seconds = _expiry(await _read_object(request))
        await self._rows.fetch_object(caller, bucket_id, name)
        return JSONResponse({"signedURL": self._signed_address(bucket_id, name, seconds)})

    async def sign_many(self, request: Request, caller: Caller, bucket_id: str) -> Response:
        body = await _read_object(request)
        seconds, names = _expiry(body), _names(body, "paths")
        visible = await self._rows.find_names(caller, bucket_id, names)
        return JSONResponse([self._signed_entry(bucket_id, name, seconds, is_found=name in visible) for name in names])

    async def list(self, request: Request, caller: Caller, bucket_id: str) -> Response:
        body = await _read_object(request)
        prefix = str(body.get("prefix") or "")
        if prefix and not prefix.endswith("/"):
            prefix += "/"
        sort = body.get("sortBy") or {}
        if not isinstance(sort, dict):
            raise StorageError(400, "InvalidParameter", "Invalid Parameter sortBy")
        entries = await self._rows.list_entries(
            caller,
            bucket_id,
            prefix=prefix,
            search=str(body.get("search") or ""),
            limit=_number(body, "limit", 100),
            offset=_number(body, "offset", 0),
            sort=(str(sort.get("column") or "name"), str(sort.get("order") or "asc")),
        )
        return Response(entries, media_type="application/json")

    async def remove(self, request: Request, caller: Caller, bucket_id: str) -> Response:
        names = _names(await _read_object(request), "prefixes")
        removed = await self._rows.delete_objects(caller, bucket_id, names)
        # After the commit: a row without bytes would be a lie, bytes without a row are only waste.
        for identifier, version, _ in removed:
            self._blobs.remove(identifier, version)
        return Response(f"[{','.join(row for _, _, row in removed)}]", media_type="application/json")

    async def remove_one(self, caller: Caller, bucket_id: str, name: str) -> Response:
        require_key(name)
        removed = await self._rows.delete_objects(caller, bucket_id, [name])
        if not removed:
            raise no_such_key()
        self._blobs.remove(removed[0][0], removed[0][1])
        return JSONResponse({"message": "Successfully deleted"})

    async def move(self, request: Request, caller: Caller) -> Response:
        bucket_id, source, destination = await _read_move(request)
        identifier = await self._rows.rename_object(caller, bucket_id, source, destination)
        return JSONResponse({"message": "Successfully moved", "Id": identifier, "Key": f"{bucket_id}/{destination}"})

    async def copy(self, request: Request, caller: Caller) -> Response:
        bucket_id, source, destination = await _read_move(request)
        original = await self._rows.fetch_object(caller, bucket_id, source)
        new = new_object(bucket_id, destination, caller.identity.subject, is_upsert=False).model_copy(
            update={"metadata": original.metadata, "user_metadata": original.user_metadata}
        )
        path = self._blobs.path_of(original.id, original.version)
        await self._rows.insert_as(caller, new, lambda: self._blobs.copy(path, new.id, new.version))
        key = f"{bucket_id}/{destination}"
        return JSONResponse({"Id": new.id, "Key": key, "name": destination, "bucket_id": bucket_id})

    async def list_buckets(self, caller: Caller) -> Response:
        return JSONResponse(await self._rows.list_buckets(caller))

    async def get_bucket(self, caller: Caller, bucket_id: str) -> Response:
        found = await self._rows.list_buckets(caller, bucket_id)
        if not found:
            raise no_such_bucket()
        return JSONResponse(found[0])

    async def _store(self, new: NewObject, upload: Upload) -> Response:
        blob = upload.blob
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        metadata = {
            "eTag": blob.etag,
            "size": blob.size,
            "mimetype": upload.media_type,
            "cacheControl": upload.cache_control,
            "lastModified": now,
            "contentLength": blob.size,
            "httpStatusCode": 200,
        }
        row = new.model_copy(update={"metadata": metadata, "user_metadata": upload.user_metadata})
        try:
            identifier, replaced = await self._rows.write_object(
                row, lambda identifier: self._blobs.keep(blob, identifier, new.version)
            )
        except BaseException:
            self._blobs.discard(blob)
            raise
        if replaced is not None:
            self._blobs.remove(identifier, replaced)
        return JSONResponse({"Id": identifier, "Key": f"{new.bucket_id}/{new.name}"})

    def _send(self, request: Request, found: StoredObject) -> Response:
        path = self._blobs.path_of(found.id, found.version)
        if not path.is_file():
            raise no_such_key()
        metadata = found.metadata
        headers = {
            "Cache-Control": str(metadata.get("cacheControl", "no-cache")),
            "ETag": str(metadata.get("eTag", "")),
            **ISOLATION,
        }
        wanted_name = request.query_params.get("download")
        if wanted_name is not None:
            name = wanted_name or found.name.rsplit("/", 1)[-1]
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        return FileResponse(path, headers=headers, media_type=str(metadata.get("mimetype", "application/octet-stream")))

    def _sign(self, purpose: str, bucket_id: str, name: str, seconds: int, **more: Any) -> str:
        expiry = int(time.time()) + seconds
        token = StorageToken(purpose=purpose, url=f"{bucket_id}/{name}", exp=expiry, **more)
        return self._signer.sign_storage_url(token)

    def _signed_address(self, bucket_id: str, name: str, seconds: int) -> str:
        token = self._sign(DOWNLOAD, bucket_id, name, seconds)
        return f"/object/sign/{_address(bucket_id, name)}?token={token}"

    def _signed_entry(self, bucket_id: str, name: str, seconds: int, *, is_found: bool) -> dict[str, str | None]:
        if not is_found:
            message = "Either the object does not exist or you do not have access to it"
            return {"error": message, "path": name, "signedURL": None}
        return {"error": None, "path": name, "signedURL": self._signed_address(bucket_id, name, seconds)}

    def _verify(self, request: Request, purpose: str, bucket_id: str, name: str) -> StorageToken:
        token = request.query_params.get("token", "")
        return self._signer.verify_storage_url(token, purpose=purpose, url=f"{bucket_id}/{name}")


def new_object(bucket_id: str, name: str, owner_id: str | None, *, is_upsert: bool) -> NewObject:
    return NewObject(
        id=str(uuid.uuid4()),
        version=str(uuid.uuid4()),
        bucket_id=bucket_id,
        name=name,
        owner_id=owner_id,
        is_upsert=is_upsert,
    )


def require_key(name: str) -> None:
    """Raises StorageError InvalidKey."""
    if not name or len(name) > LONGEST_KEY or KEY.fullmatch(name) is None or name.startswith("/"):
        raise StorageError(400, "InvalidKey", f"Invalid key: {name}")


def _address(bucket_id: str, name: str) -> str:
    return quote(f"{bucket_id}/{name}")


async def _read_object(request: Request) -> dict[str, Any]:
    body = await read_body(request, JSON_LIMIT)
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise StorageError(400, "InvalidRequest", "The body is not valid JSON") from error
    if not isinstance(parsed, dict):
        raise StorageError(400, "InvalidRequest", "The body must be an object")
    return parsed


async def _read_move(request: Request) -> tuple[str, str, str]:
    """Bucket, source key and destination key."""
    body = await _read_object(request)
    names = [body.get(name) for name in ("bucketId", "sourceKey", "destinationKey")]
    bucket_id, source, destination = (name if isinstance(name, str) else "" for name in names)
    require_key(source)
    require_key(destination)
    if body.get("destinationBucket") not in (None, bucket_id):
        raise NotServedError("moving and copying between buckets")
    return bucket_id, source, destination


def _expiry(body: dict[str, Any]) -> int:
    seconds = body.get("expiresIn")
    text = str(seconds) if isinstance(seconds, int | str) and not isinstance(seconds, bool) else ""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**31):
        raise StorageError(400, "InvalidParameter", "Invalid Parameter expiresIn")
    if body.get("transform"):
        raise NotServedError("image transformations")
    return int(text)


def _names(body: dict[str, Any], field: str) -> list[str]:
    names = body.get(field)
    if not isinstance(names, list) or not names or len(names) > MOST_KEYS:
        raise StorageError(400, "InvalidParameter", f"Invalid Parameter {field}")
    if not all(isinstance(name, str) and "\0" not in name for name in names):
        raise StorageError(400, "InvalidParameter", f"Invalid Parameter {field}")
    return names


def _number(body: dict[str, Any], field: str, default: int) -> int:
    value = body.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise StorageError(400, "InvalidParameter", f"Invalid Parameter {field}")
    return value
