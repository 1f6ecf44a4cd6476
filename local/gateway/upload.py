"""Receiving an upload: multipart as the official client sends it, or the bare bytes."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from local.gateway.blobs import CHUNK, BlobStore, StagedBlob, too_large
from local.gateway.errors import StorageError
from local.gateway.objects import Bucket

# Multipart adds boundaries, part headers and two small fields to the bytes themselves.
MULTIPART_OVERHEAD = 64 * 1024
DEFAULT_TYPE = "application/octet-stream"


class Upload(BaseModel):
    """Bytes on our disk, with what their sender said of them."""

    model_config = ConfigDict(frozen=True)

    blob: StagedBlob
    media_type: str
    cache_control: str
    user_metadata: dict[str, Any] | None


async def receive_upload(request: Request, bucket: Bucket, blobs: BlobStore, limit: int) -> Upload:
    """Stage the bytes, stopping at the first one too many. Raises StorageError for size, type and form."""
    limit = min(limit, bucket.file_size_limit) if bucket.file_size_limit is not None else limit
    is_form = request.headers.get("content-type", "").lower().startswith("multipart/form-data")
    allowance = limit + (MULTIPART_OVERHEAD if is_form else 0)
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > allowance:
        raise too_large()
    try:
        if is_form:
            return await _receive_form(request, bucket, blobs, limit)
        return await _receive_bytes(request, bucket, blobs, limit)
    except ClientDisconnect as error:
        raise StorageError(400, "Aborted", "The upload was broken off") from error


async def _receive_bytes(request: Request, bucket: Bucket, blobs: BlobStore, limit: int) -> Upload:
    media_type = request.headers.get("content-type", DEFAULT_TYPE)
    _require_media_type(bucket, media_type)
    blob = await blobs.stage(request.stream(), limit)
    return Upload(
        blob=blob,
        media_type=media_type,
        cache_control=request.headers.get("cache-control", "no-cache"),
        user_metadata=None,
    )


async def _receive_form(request: Request, bucket: Bucket, blobs: BlobStore, limit: int) -> Upload:
    stream = _bounded(request.stream(), limit + MULTIPART_OVERHEAD)
    try:
        form = await MultiPartParser(request.headers, stream, max_files=1, max_fields=10).parse()
    except MultiPartException as error:
        raise StorageError(400, "InvalidRequest", f"The form cannot be read: {error.message}") from error
    try:
        file = next((value for value in form.values() if isinstance(value, UploadFile)), None)
        if file is None:
            raise StorageError(400, "InvalidRequest", "No content provided")
        media_type = file.content_type or DEFAULT_TYPE
        _require_media_type(bucket, media_type)
        seconds = str(form.get("cacheControl") or "")
        return Upload(
            user_metadata=_parse_metadata(form.get("metadata")),
            blob=await blobs.stage(_chunks(file), limit),
            media_type=media_type,
            cache_control=f"max-age={seconds}" if seconds.isdigit() else "no-cache",
        )
    finally:
        await form.close()


async def _bounded(stream: AsyncGenerator[bytes, None], limit: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in stream:
        size += len(chunk)
        if size > limit:
            raise too_large()
        yield chunk


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(CHUNK):
        yield chunk


def _parse_metadata(value: object) -> dict[str, Any] | None:
    if not isinstance(value, str):
        return None
    try:
        metadata = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise StorageError(400, "InvalidParameter", "Invalid Parameter metadata") from error
    if not isinstance(metadata, dict):
        raise StorageError(400, "InvalidParameter", "Invalid Parameter metadata")
    return metadata


def _require_media_type(bucket: Bucket, media_type: str) -> None:
    """A bucket may list types, or whole families of them as `image/*`. Raises StorageError 415."""
    if not bucket.allowed_mime_types:
        return
    name = media_type.partition(";")[0].strip().lower()
    family = name.partition("/")[0]
    allowed = {entry.lower() for entry in bucket.allowed_mime_types}
    if not allowed & {name, f"{family}/*", "*", "*/*"}:
        raise StorageError(
            415, "InvalidMimeType", f"mime type {media_type} is not supported", error="invalid_mime_type"
        )
