"""Whose certificates are believed, and not longer looked for than they are needed."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


def authorities_for(url: str) -> ssl.SSLContext:
    """httpx' `verify` for a client that speaks to this address alone. Reading the list of authorities takes as long as
    a function's first answer, and every client of its own would read it anew. So all that speak https share what was
    read once; an http address shows no certificate, and without any authority https could not be spoken there.
    """
    return _authorities() if url.lower().startswith("https:") else _nobody()


@functools.cache
def _authorities() -> ssl.SSLContext:
    """Those that httpx itself believes."""
    import httpx

    return httpx.create_ssl_context()


@functools.cache
def _nobody() -> ssl.SSLContext:
    import ssl

    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
