"""The two doors of a Supabase project that we use: verbs through PostgREST, objects through the official `storage3`.

`supabase.create_client` puts its own two together with sign-in, realtime and edge functions. We use none of these, and
importing them takes longer than everything else that a function does before its first answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from controlplane.store.rest import Rest

if TYPE_CHECKING:
    import httpx
    from storage3 import SyncStorageClient


class Client:
    """Storage is opened when it is first used. The headers are those that supabase's own Client sends."""

    def __init__(self, url: str, publishable_key: str, authorization: str, http: httpx.Client) -> None:
        self._url = url.rstrip("/")
        self._headers = {"apiKey": publishable_key, "Authorization": authorization}
        self._http = http
        self._rest = Rest(self._url, self._headers, http)

    def call(self, verb: str, parameters: Mapping[str, Any]) -> Any:
        """Call one of our verbs, once."""
        return self._rest.call(verb, parameters)

    @cached_property
    def storage(self) -> SyncStorageClient:
        """The buckets."""
        from storage3 import SyncStorageClient

        return SyncStorageClient(f"{self._url}/storage/v1/", headers=self._headers, http_client=self._http)
