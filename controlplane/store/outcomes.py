"""What Supabase's answers mean in our words: the boundary where foreign errors become the error tree.

| answer | becomes |
|---|---|
| no answer, a redirection, 429, 5xx | OutsideError, with what Retry-After asked for |
| an answer that cannot be read | OutsideError |
| SQLSTATE PTxyz, raised by our verbs | the error of HTTP status xyz, with the verb's own code, sentence and fix |
| 42501, PGRST301 to 303, storage 401 and 403 | NotAllowed, NotAuthenticated |
| 23505 and storage's Duplicate | Conflict |
| anything else | BrokenPromise: the call itself is wrong |
"""

from __future__ import annotations

import email.utils
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from controlplane.errors import (
    AicdError,
    BrokenPromise,
    CallerError,
    Conflict,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    OutsideError,
)

if TYPE_CHECKING:
    import httpx

REDIRECTION, CLIENT_ERROR = 300, 400
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500
BY_STATUS: dict[int, type[AicdError]] = {401: NotAuthenticated, 403: NotAllowed, 404: NotFound, 409: Conflict}
BY_SQLSTATE: dict[str, tuple[type[AicdError], str]] = {
    "42501": (NotAllowed, "not-allowed"),
    "PGRST301": (NotAuthenticated, "token-not-accepted"),
    "PGRST302": (NotAuthenticated, "token-missing"),
    "PGRST303": (NotAuthenticated, "token-not-live"),
    "23505": (Conflict, "already-there"),
    "23503": (Conflict, "parent-missing"),
}
REMEDY = "Mint a new token (aicd token mint) with the key that was imported in the project, and check its role."


def refuse_server_faults(response: httpx.Response) -> None:
    """The hook on every response: a server at fault is recognised here, where Retry-After can still be read, and so is
    a page in place of a verb's answer, which the client would hand over as text."""
    # Supabase redirects nobody; something in between does.
    is_redirection = REDIRECTION <= response.status_code < CLIENT_ERROR
    if is_redirection or response.status_code == TOO_MANY_REQUESTS or response.status_code >= SERVER_ERROR:
        raise OutsideError(
            f"Supabase answered {response.status_code}.",
            fix="Try again later; see the project's status page.",
            code="supabase-unavailable",
            details={
                "status": response.status_code,
                "retry_after_seconds": parse_retry_after(response.headers.get("retry-after")),
            },
        )
    kind = response.headers.get("content-type", "application/json")
    if response.is_success and "/rest/v1/" in response.url.path and not kind.startswith("application/json"):
        raise unreadable(f"{kind[:60]} in place of JSON")


def parse_retry_after(value: str | None) -> float | None:
    """Seconds, from either form of the header (RFC 9110, section 10.2.3); None when absent or unreadable."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Runs one exchange; whatever the client raises leaves as one of our errors. `action` names the verb."""
    import httpx

    from controlplane.store.rest import VerbRefused

    try:
        yield
    except VerbRefused as error:
        raise translate_api_error(action, error.code, error.message, error.details, error.hint) from error
    except httpx.HTTPError as error:
        raise OutsideError(
            f"Supabase could not be reached for {action} ({type(error).__name__}).",
            fix="Check the network and SUPABASE_URL, then try again.",
            code="supabase-unreachable",
        ) from error
    except Exception as error:
        # Whoever has not used Storage has not loaded it either, and cannot meet its errors.
        storage = sys.modules.get("storage3.exceptions")
        if storage is not None and isinstance(error, storage.StorageApiError):
            raise translate_storage_error(action, str(error.status), str(error.code)) from error
        if isinstance(error, ValueError | KeyError | TypeError | AttributeError):  # an answer of another shape
            raise unreadable(action) from error
        raise


def unreadable(what: str) -> OutsideError:
    return OutsideError(
        f"Supabase's answer could not be read ({what}).",
        fix="Try again; if it lasts, look at what stands between us and Supabase.",
        code="answer-unreadable",
    )


def translate_api_error(
    action: str, code: str | None, message: str | None, details: Any, hint: str | None
) -> AicdError:
    """`message` is a verb's kebab-case code and `details` its sentence when the SQLSTATE is PTxyz."""
    code = code or ""
    if code.startswith("PT") and code[2:].isdigit():
        status = int(code[2:])
        kind = OutsideError if status >= SERVER_ERROR else BY_STATUS.get(status, CallerError)
        return kind(message=str(details or ""), fix=hint or "", code=message or "", details={"verb": action})
    if code in BY_SQLSTATE:
        kind, word = BY_SQLSTATE[code]
        fix = REMEDY if kind in (NotAllowed, NotAuthenticated) else "Look at the row that is there before repeating."
        return kind(message=f"Supabase refused {action} ({code}).", fix=fix, code=word, details={"verb": action})
    return BrokenPromise(
        message=f"Supabase did not understand {action} ({code or 'no code'}): {_safe(message)}",
        fix="Check that the migrations are applied and match this version.",
        code="verb-not-understood",
        details={"verb": action},
    )


def translate_storage_error(action: str, status: str, code: str) -> AicdError:
    """Storage answers 400 to nearly everything; the status that counts is in the body."""
    number = int(status) if status.isdigit() else 0
    if number == TOO_MANY_REQUESTS or number >= SERVER_ERROR:
        return OutsideError(f"Storage failed at {action} ({number}).", fix="Try again.", code="storage-unavailable")
    # A missing object and one that is not ours look the same, on purpose.
    kind = BY_STATUS.get(number, BrokenPromise)
    words = {NotFound: "object-not-found", Conflict: "object-exists", BrokenPromise: "storage-not-understood"}
    fix = REMEDY if kind in (NotAllowed, NotAuthenticated) else "Check the key and the token's run or specification."
    return kind(
        message=f"Storage refused {action} ({status}, {code}).",
        fix=fix,
        code=words.get(kind, ""),
        details={"verb": action, "storage_code": code},
    )


def _safe(message: str | None) -> str:
    # One line of Postgres' own words; values of ours that it may quote are cut short.
    return " ".join((message or "").split())[:200]
