"""Opening the official client: which headers it sends, how long it waits, and what a broken answer becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, SecretStr

from controlplane.errors import CallerError

if TYPE_CHECKING:
    import httpx

    from supabase import Client

# Asked before every request, so that work which outlives its token goes on with a fresh one. May raise our errors;
# an OutsideError has the whole call tried again.
TokenSource = Callable[[], SecretStr]

# A verb answers in milliseconds; an artifact of 100 MB needs longer, but never so long between two packets.
TIMEOUT_SECONDS = 30.0
CONNECT_SECONDS = 5.0


class Connection(BaseModel):
    """Where the project is and who we are there: the publishable key opens the door, the token says who comes.

    `token` may stay empty where a TokenSource is given to `connect`.
    """

    model_config = ConfigDict(frozen=True)

    url: str
    publishable_key: str
    token: SecretStr = SecretStr("")


class BadConnection(CallerError):
    """The project's address or key cannot be used."""

    default_code = "bad-supabase-connection"


def connect(connection: Connection, token_source: TokenSource | None = None) -> Client:
    """The official client, presenting our token, or the source's newest one, on every request. Nothing is sent yet.

    The client refreshes and keeps no session: our tokens are minted, not signed in for. Raises BadConnection.
    """
    import httpx

    from controlplane.store.outcomes import refuse_server_faults
    from supabase import ClientOptions, SupabaseException, create_client

    http = httpx.Client(
        timeout=httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS),
        event_hooks={
            "request": [_presenting(token_source)] if token_source else [],
            "response": [refuse_server_faults],
        },
        follow_redirects=False,
    )
    options = ClientOptions(
        headers={"Authorization": f"Bearer {connection.token.get_secret_value()}"},
        auto_refresh_token=False,
        persist_session=False,
        # Retries are ours: the client's own wait up to seven seconds and ignore Retry-After.
        postgrest_client_retry=False,
        httpx_client=http,
    )
    try:
        return create_client(connection.url, connection.publishable_key, options)
    except SupabaseException as error:
        raise BadConnection(
            f"Supabase cannot be reached as configured: {error.message}.",
            fix="Check SUPABASE_URL (https://…) and SUPABASE_PUBLISHABLE_KEY.",
        ) from error


def _presenting(token_source: TokenSource) -> Callable[[httpx.Request], None]:
    """The hook that replaces what the client would present: it keeps the header it was made with."""

    def present(request: httpx.Request) -> None:
        request.headers["Authorization"] = f"Bearer {token_source().get_secret_value()}"

    return present
