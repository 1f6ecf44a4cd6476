"""Structured logs: one JSON object a line on stderr, with the correlation id, and without secrets.

Secrets are caught three ways: by the name of a field, by the look of a value (JWTs, keys, bearer headers, signed
links), and by having been registered with `hide_secret`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog

HIDDEN = "[hidden]"
# Nothing shorter is looked for: it would blank out ordinary words.
SHORTEST_SECRET = 8
DEEPEST = 6

_SECRET_NAME = re.compile(
    r"(?i)(^|_|-)(token|secret|password|passwd|authorization|cookie|signature|jwk|credentials?|api[_-]?key|private[_-]?key|signing[_-]?key)s?$"
)
_SECRET_LOOK = re.compile(
    r"""eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*      # a JWT
    | \bsb_secret_[\w-]+                     # a Supabase secret key
    | \bsk-ant-[\w-]+                        # an Anthropic key
    | \bgh[pousr]_\w{20,} | \bgithub_pat_\w+ # GitHub tokens
    | \bya29\.[\w.-]+                        # a Google access token
    | (?i:(?<=bearer\ ))[\w.~+/=-]{8,}
    | (?<=://)[^\s/:@]*:[^\s/@]+(?=@)        # user and password in a URL
    | (?<=[?&]token=)[^&\s"']+               # a signed link
    | (?<=X-Amz-Signature=)[^&\s"']+         # another
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?-----END\ [A-Z ]*PRIVATE\ KEY-----
    """,
    re.VERBOSE | re.DOTALL,
)
_hidden: set[str] = set()


def configure_logs(component: str, level: int = logging.INFO) -> None:
    """Send this process's logs to stderr as JSON, each line naming the component. Call it in an entry point."""
    structlog.contextvars.bind_contextvars(component=component)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact_event,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def bind_correlation(correlation_id: str) -> None:
    """Put this id on every following line of this request or task."""
    structlog.contextvars.bind_contextvars(correlation_id=correlation_id)


def hide_secret(value: str) -> None:
    """Blank this very text out of everything logged from now on."""
    if len(value) >= SHORTEST_SECRET:
        _hidden.add(value)


def redact(value: Any, depth: int = 0) -> Any:
    """The value with every secret replaced; containers are copied, never changed."""
    if isinstance(value, str):
        return _redact_text(value)
    if isinstance(value, bytes):
        return f"[{len(value)} bytes]"
    if depth >= DEEPEST:
        return "[…]"
    if isinstance(value, Mapping):
        return {
            str(name): HIDDEN if _is_secret(str(name), item) else redact(item, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact(item, depth + 1) for item in value]
    return value if isinstance(value, (int, float, bool, type(None))) else _redact_text(str(value))


def redact_event(_logger: Any, _method: str, event: Any) -> Any:
    """The structlog processor: runs after the exception was rendered, so that a trace is clean too."""
    return redact(event)


def _is_secret(name: str, item: Any) -> bool:
    # A number is a count of tokens, never a token.
    return bool(item) and not isinstance(item, (int, float)) and _SECRET_NAME.search(name) is not None


def _redact_text(text: str) -> str:
    for secret in _hidden:
        text = text.replace(secret, HIDDEN)
    return _SECRET_LOOK.sub(HIDDEN, text)
