"""Whose certificates are believed, and not longer looked for than they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


def authorities_for(url: str) -> ssl.SSLContext | bool:
    """httpx' `verify` for a client that speaks to this address alone. An http address shows no certificate, and reading
    the list of authorities takes as long as a function's first answer; without any, https could not be spoken either.
    """
    import ssl

    return True if url.lower().startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
