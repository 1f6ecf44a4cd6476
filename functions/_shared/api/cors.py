"""Which web pages may call the API from a browser (Fetch standard, "CORS protocol").

Nobody's, unless AICD_CORS_ORIGINS names their origins, exactly: a page sends its user's key, so `*` is refused. No
cookie counts here, so credentials are never allowed. A preflight bears no key, and is answered before one is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from functions._shared.envelope import NO_CONTENT, Rendered
from functions._shared.loopback import is_loopback

if TYPE_CHECKING:
    import flask

    from functions._shared.settings import Environment

METHODS = ("GET", "POST")
ASKED_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "apikey", "x-client-info")
# What the API sends beyond what a page may read in any case.
TOLD_HEADERS = (
    "Allow", "Idempotency-Replayed", "Location", "Retry-After", "WWW-Authenticate", "X-Correlation-Id",
    "X-RateLimit-Limit", "X-RateLimit-Remaining",
)  # fmt: skip
# How long a browser need not ask again, and how long it takes until an origin that was struck off is refused.
PREFLIGHT_SECONDS = 600
DEFAULT_PORTS = {"https": 443, "http": 80}


def read_origins(environment: Environment) -> frozenset[str]:
    """From AICD_CORS_ORIGINS, separated by commas; what is wrong there is told by `check`."""
    written = [origin.strip() for origin in environment.optional("AICD_CORS_ORIGINS").split(",")]
    origins = frozenset(origin for origin in written if origin)
    wrong = sorted(origin for origin in origins if not _is_origin(origin))
    if wrong:
        environment.refuse(
            f"AICD_CORS_ORIGINS has {', '.join(wrong)}: an origin is https://HOST or https://HOST:PORT, as browsers "
            "write it, and http on this machine only"
        )
        return frozenset()
    return origins


def share(request: flask.Request, origins: frozenset[str], answer: Callable[[], Rendered]) -> Rendered:
    """The answer, which a page of one of these origins may read; refusals, too. Others have it without that leave."""
    if not origins:
        return answer()
    origin = request.headers.get("Origin", "")
    leave = {"Vary": "Origin"} | ({"Access-Control-Allow-Origin": origin} if origin in origins else {})
    if origin in origins and request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        return "", NO_CONTENT, leave | _preflight()
    body, status, headers = answer()
    told = {"Access-Control-Expose-Headers": ", ".join(TOLD_HEADERS)} if origin in origins else {}
    return body, status, headers | leave | told


def _preflight() -> dict[str, str]:
    """The same whatever is asked for: the browser compares, and does not send what is not named."""
    return {
        "Access-Control-Allow-Methods": ", ".join(METHODS),
        "Access-Control-Allow-Headers": ", ".join(ASKED_HEADERS),
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
    }


def _is_origin(text: str) -> bool:
    """As a browser sends it: ASCII in lower case, no path, no port where it is the usual one."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not text.isascii() or text != f"{parts.scheme}://{parts.netloc}".lower() or not host or "@" in parts.netloc:
        return False
    if parts.netloc.endswith(":") or port == DEFAULT_PORTS.get(parts.scheme) or "*" in host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
