"""Opening the official client: which headers it sends, how long it waits, and what a broken answer becomes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane.errors import CallerError
from controlplane.secret import NO_SECRET, Secret
from controlplane.store.client import Client
from controlplane.tls import authorities_for

if TYPE_CHECKING:
    import httpx

# Asked before every request, so that work which outlives its token goes on with a fresh one. May raise our errors;
# an OutsideError has the whole call tried again.
TokenSource = Callable[[], Secret]

# A verb answers in milliseconds; an artifact of 100 MB needs longer, but never so long between two packets.
TIMEOUT_SECONDS = 30.0
CONNECT_SECONDS = 5.0
_ADDRESS = re.compile(r"https?://[^\s/]+", re.IGNORECASE)


@dataclass(frozen=True)
class Connection:
    """Where the project is and who we are there: the publishable key opens the door, the token says who comes.

    `token` may stay empty where a TokenSource is given to `connect`.
    """

    url: str
    publishable_key: str
    token: Secret = NO_SECRET
    timeout_seconds: float = TIMEOUT_SECONDS


class BadConnection(CallerError):
    """The project's address or key cannot be used."""

    default_code = "bad-supabase-connection"


def connect(connection: Connection, token_source: TokenSource | None = None) -> Client:
    """The official client, presenting our token, or the source's newest one, on every request. Nothing is sent yet.

    The client refreshes and keeps no session: our tokens are minted, not signed in for. Raises BadConnection.
    """
    import httpx

    from controlplane.store.outcomes import refuse_server_faults

    if not _ADDRESS.match(connection.url) or not connection.publishable_key:
        raise BadConnection(
            "Supabase cannot be reached as configured: the address is no http(s) address, or the key is blank.",
            fix="Check SUPABASE_URL (https://…) and SUPABASE_PUBLISHABLE_KEY.",
        )
    http = httpx.Client(
        verify=authorities_for(connection.url),
        timeout=httpx.Timeout(connection.timeout_seconds, connect=CONNECT_SECONDS),
        event_hooks={
            "request": [_presenting(token_source)] if token_source else [],
            "response": [refuse_server_faults],
        },
        follow_redirects=False,
    )
    token = connection.token.get_secret_value() or connection.publishable_key
    return Client(connection.url, connection.publishable_key, f"Bearer {token}", http)


def _presenting(token_source: TokenSource) -> Callable[[httpx.Request], None]:
    """The hook that replaces what the client would present: it keeps the header it was made with."""

    def present(request: httpx.Request) -> None:
        request.headers["Authorization"] = f"Bearer {token_source().get_secret_value()}"

    return present
