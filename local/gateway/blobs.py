"""The bytes of objects, as files named by object id and version: nothing that a caller wrote is part of a path."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import AsyncIterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from local.gateway.errors import StorageError

CHUNK = 1024 * 1024


class StagedBlob(BaseModel):
    """Bytes that have arrived, but belong to no object yet."""

    model_config = ConfigDict(frozen=True)

    path: Path
    size: int
    etag: str


class BlobStore:
    """A directory with one file per version of an object. A file appears whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._staging = directory / "staging"
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(parents=True)

    def path_of(self, object_id: str, version: str) -> Path:
        # Both are uuids from the database; parsing them makes sure of it.
        identifier, number = uuid.UUID(object_id), uuid.UUID(version)
        return self._directory / identifier.hex[:2] / identifier.hex / number.hex

    async def stage(self, chunks: AsyncIterable[bytes], limit: int) -> StagedBlob:
        """Write the chunks to a file of their own. Raises StorageError 413 at the first byte beyond `limit`."""
        path = self._staging / uuid.uuid4().hex
        digest = hashlib.md5(usedforsecurity=False)  # what Storage shows as eTag
        size = 0
        try:
            with path.open("wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > limit:
                        raise too_large()
                    digest.update(chunk)
                    file.write(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return StagedBlob(path=path, size=size, etag=f'"{digest.hexdigest()}"')

    def keep(self, blob: StagedBlob, object_id: str, version: str) -> None:
        """Give the bytes their place; before the row is committed, so that no row is ever without its bytes."""
        target = self.path_of(object_id, version)
        target.parent.mkdir(parents=True, exist_ok=True)
        blob.path.replace(target)

    def copy(self, source: Path, object_id: str, version: str) -> None:
        target = self.path_of(object_id, version)
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = self._staging / uuid.uuid4().hex
        shutil.copyfile(source, staging)
        staging.replace(target)

    def discard(self, blob: StagedBlob) -> None:
        blob.path.unlink(missing_ok=True)

    def remove(self, object_id: str, version: str) -> None:
        """Delete one version; a file that is gone already is fine."""
        path = self.path_of(object_id, version)
        path.unlink(missing_ok=True)
        for directory in (path.parent, path.parent.parent):
            try:
                directory.rmdir()
            except OSError:
                return


def too_large() -> StorageError:
    return StorageError(
        413, "EntityTooLarge", "The object exceeded the maximum allowed size", error="Payload too large"
    )
