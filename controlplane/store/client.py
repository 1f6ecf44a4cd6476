"""The two parts of the official client that we speak through: `postgrest` for verbs, `storage3` for objects.

`supabase.create_client` puts the same two together with sign-in, realtime and edge functions. We use none of these, and
importing them takes longer than everything else that a function does before its first answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx
    from postgrest import SyncPostgrestClient, SyncRPCFilterRequestBuilder
    from storage3 import SyncStorageClient


class Client:
    """Each part is opened when it is first used. The headers are those that supabase's own Client sends."""

    def __init__(self, url: str, publishable_key: str, authorization: str, http: httpx.Client) -> None:
        self._url = url.rstrip("/")
        self._headers = {"apiKey": publishable_key, "Authorization": authorization}
        self._http = http

    def rpc(self, verb: str, parameters: Mapping[str, Any]) -> SyncRPCFilterRequestBuilder:
        """A call of one of our verbs; nothing is sent before `execute`."""
        return self._rest.rpc(verb, dict(parameters))

    @cached_property
    def _rest(self) -> SyncPostgrestClient:
        from postgrest import SyncPostgrestClient

        # Retries are ours: the client's own wait up to seven seconds and ignore Retry-After.
        return SyncPostgrestClient(
            f"{self._url}/rest/v1", headers=self._headers, http_client=self._http, retry_enabled=False
        )

    @cached_property
    def storage(self) -> SyncStorageClient:
        """The buckets."""
        from storage3 import SyncStorageClient

        return SyncStorageClient(f"{self._url}/storage/v1/", headers=self._headers, http_client=self._http)
