"""The API as `aicd submit` calls it: over HTTP, with a key, each request repeated under one idempotency key."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from controlplane.errors import CallerError, OutsideError, UsageError

# Past this, the bytes go through a signed URL and not through the function.
LARGEST_INLINE_BYTES = 262_144
CHUNK_BYTES = 16_384
ATTEMPTS = 5
LONGEST_WAIT_SECONDS = 60.0
TRY_AGAIN = frozenset({429, 500, 502, 503, 504})
CONTENT_TYPES = {".yaml": "application/yaml", ".yml": "application/yaml", ".json": "application/json",
                 ".md": "text/markdown", ".txt": "text/plain"}  # fmt: skip


class Refused(CallerError):
    """The API said no. `details["errors"]` is what it said, word for word."""

    default_code = "refused"


@dataclass
class ApiClient:
    """`url` is the function's address. `told` is called with each pause, `sent` with the bytes that went out, and with
    how many fewer where they have to go again."""

    url: str
    key: str = field(repr=False)
    told: Callable[[str], None] = lambda _: None
    sent: Callable[[int], None] = lambda _: None
    sleep: Callable[[float], None] = time.sleep
    timeout_seconds: float = 60.0
    _http: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise UsageError(f"'{self.url}' is no http(s) address.", fix="Give --url https://…, or set AICD_API_URL.")
        self._http = httpx.Client(timeout=httpx.Timeout(self.timeout_seconds, connect=10.0), follow_redirects=False)

    def close(self) -> None:
        self._http.close()

    def submit(self, content: bytes, name: str, *, again: bool = False) -> dict[str, Any]:
        """Hand a specification in; what the API says of it. Raises Refused and OutsideError."""
        kind = CONTENT_TYPES.get(f".{name.rpartition('.')[2]}".lower(), "application/octet-stream")
        if len(content) > LARGEST_INLINE_BYTES or not _is_text(content):
            return self._submit_stored(content, name, kind, again=again)
        body = {"spec": content.decode("utf-8"), "name": name, "again": again}
        made = self._ask("POST", "/specs", json=body, once=True)
        self.sent(len(content))
        return made

    def show(self, spec_id: str) -> dict[str, Any]:
        return self._ask("GET", f"/specs/{spec_id}")

    def _submit_stored(self, content: bytes, name: str, kind: str, *, again: bool) -> dict[str, Any]:
        declared = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "content_type": kind,
                    "name": name}  # fmt: skip
        upload = self._ask("POST", "/specs/uploads", json=declared, once=True)
        self._store(upload, content)
        return self._ask("POST", upload["submit"], json={"again": again}, once=True)

    def _store(self, upload: dict[str, Any], content: bytes) -> None:
        """Put the bytes where the signed URL says. Again is harmless: what is there already is a duplicate."""
        headers = {**upload["headers"], "content-length": str(len(content))}
        sent = 0

        def chunks() -> Iterator[bytes]:
            nonlocal sent
            self.sent(-sent)  # of the try before
            sent = 0
            for start in range(0, len(content), CHUNK_BYTES):
                chunk = content[start : start + CHUNK_BYTES]
                yield chunk
                sent += len(chunk)
                self.sent(len(chunk))

        answer = self._repeat(lambda: self._http.put(upload["url"], content=chunks(), headers=headers), _is_not_stored)
        if not _is_stored(answer):
            raise OutsideError(
                f"Storage did not take the upload ({answer.status_code}).",
                fix="Try again: nothing is built twice.",
                code="upload-not-taken",
            )

    def _ask(self, method: str, path: str, *, once: bool = False, **request: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}", **({"Idempotency-Key": str(uuid.uuid4())} if once else {})}
        url = self.url.rstrip("/") + path
        answer = self._repeat(lambda: self._http.request(method, url, headers=headers, **request), _is_passing)
        if answer.status_code < httpx.codes.BAD_REQUEST:
            return dict(_envelope(answer)["data"])
        raise _refusal(answer)

    def _repeat(
        self, send: Callable[[], httpx.Response], is_passing: Callable[[httpx.Response], bool]
    ) -> httpx.Response:
        """The first answer that a repetition would not better, or the last one. Raises OutsideError without any."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = send()
            except httpx.HTTPError as error:
                if attempt == ATTEMPTS:
                    raise _away(error) from error
                self._pause(None, attempt)
                continue
            if attempt == ATTEMPTS or not is_passing(answer) or not self._pause(answer, attempt):
                return answer
        raise AssertionError("the last attempt answers or raises")

    def _pause(self, answer: httpx.Response | None, attempt: int) -> bool:
        """Whether it waited: not where it is asked to for longer than anybody sits before a shell."""
        asked = answer.headers.get("Retry-After", "") if answer is not None else ""
        seconds = float(asked) if asked.isdigit() else 0.5 * 2**attempt
        if seconds > LONGEST_WAIT_SECONDS:
            return False
        self.told(f"{'busy' if answer is not None else 'not reached'}; trying again in {seconds:.0f} s")
        self.sleep(seconds)
        return True


def _is_passing(answer: httpx.Response) -> bool:
    is_twin = answer.status_code == httpx.codes.CONFLICT and "Retry-After" in answer.headers
    return answer.status_code in TRY_AGAIN or is_twin


def _is_stored(answer: httpx.Response) -> bool:
    try:
        told = answer.json()
    except ValueError:
        return False
    return isinstance(told, dict) and ("Key" in told if answer.is_success else "Duplicate" in str(told))


def _is_not_stored(answer: httpx.Response) -> bool:
    """Whether it is not there, and storage did not refuse it either."""
    return not _is_stored(answer) and (answer.status_code in TRY_AGAIN or answer.status_code < httpx.codes.BAD_REQUEST)


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _envelope(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = answer.json()
        return {"data": document["data"], "errors": list(document["errors"])}
    except (ValueError, KeyError, TypeError) as error:
        raise OutsideError(
            f"What answers at {answer.url.host} ({answer.status_code}) is not this API.",
            fix="Check --url: it is the address of the function `specs`, without a path.",
            code="not-this-api",
        ) from error


def _refusal(answer: httpx.Response) -> CallerError | OutsideError:
    errors = _envelope(answer)["errors"]
    first = errors[0] if errors else {"code": "refused", "message": f"The API answered {answer.status_code}."}
    kind = OutsideError if answer.status_code in TRY_AGAIN else Refused
    return kind(str(first["message"]), code=str(first["code"]), details={"errors": errors})


def _away(error: httpx.HTTPError) -> OutsideError:
    return OutsideError(
        f"The API cannot be reached ({type(error).__name__}).",
        fix="Check --url and the network, then try again: nothing is built twice.",
        code="api-unreachable",
    )
