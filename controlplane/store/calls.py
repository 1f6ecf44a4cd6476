"""The two kinds of exchange with Supabase, a verb and an object, each repeated and translated."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from controlplane.errors import Conflict
from controlplane.store.outcomes import translated, unreadable
from controlplane.store.patience import patiently

if TYPE_CHECKING:
    from controlplane.store.client import Client

CHUNK_BYTES = 1 << 20
Answer = TypeVar("Answer")


class Caller:
    """What FunctionsStore and RunnerStore are made of."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _call(self, verb: str, answer: type[Answer], /, **arguments: Any) -> Answer:
        """Call a verb by name; arguments are cleaned of what Postgres cannot keep."""
        given: Answer = self._ask(verb, (answer,), arguments)
        return given

    def _look_up(self, verb: str, **arguments: Any) -> dict[str, Any] | None:
        """As `_call`, for a verb that answers null where there is nothing."""
        found: dict[str, Any] | None = self._ask(verb, (dict, type(None)), arguments)
        return found

    def _ask(self, verb: str, kinds: tuple[type, ...], arguments: Mapping[str, Any]) -> Any:
        parameters = {f"p_{name}": clean(value) for name, value in arguments.items()}

        def once() -> Any:
            with translated(verb):
                given = self._client.call(verb, parameters)
            if not isinstance(given, kinds):
                raise unreadable(verb)
            return given

        return patiently(once)

    def _put(self, bucket: str, path: str, content: bytes | Path, content_type: str) -> None:
        """Store an object. The same bytes once more are fine; other bytes under the same path are a Conflict."""

        def once() -> None:
            with translated(f"storing an object in {bucket}"):
                self._client.storage.from_(bucket).upload(
                    path, content, {"content-type": content_type, "x-upsert": "false", "cache-control": "3600"}
                )

        try:
            patiently(once)
        except Conflict:
            if sha256_of(self._get(bucket, path)) != sha256_of(content):
                raise

    def _get(self, bucket: str, path: str) -> bytes:
        def once() -> bytes:
            with translated(f"reading an object of {bucket}"):
                return self._client.storage.from_(bucket).download(path)

        return patiently(once)

    def _sign(self, bucket: str, path: str, seconds: int, download_name: str) -> str:
        def once() -> str:
            with translated(f"signing a link to {bucket}"):
                answer = self._client.storage.from_(bucket).create_signed_url(
                    path, seconds, {"download": download_name}
                )
                return str(answer["signedURL"])

        return patiently(once)


def clean(value: Any) -> Any:
    """Text without NUL and lone surrogates: jsonb keeps neither, and one in a subject must not lose a mail."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {str(clean(name)): clean(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    return value


def sha256_of(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()
    with content.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
