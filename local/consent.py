"""Google's consent for an installed application: a page in the browser, and a loopback address that it comes back to.

RFC 8252 (loopback redirect), RFC 7636 (PKCE with S256), and a state that only we know: a code that somebody else had
sent to our address would authorise his mailbox instead of ours. Nothing but 127.0.0.1 listens, for one answer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from pydantic import SecretStr

from controlplane.errors import NotAllowed, OutsideError, UsageError

AUTH_URI = "https://accounts.google.com/o/oauth2/v2/auth"
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address, not a password
REQUEST_SECONDS = 30.0


@dataclass(frozen=True)
class OAuthClient:
    """A client of the type "Desktop app"; Google does not treat its secret as one, and we still do."""

    client_id: str
    client_secret: SecretStr
    auth_uri: str = AUTH_URI
    token_uri: str = TOKEN_URI


@dataclass(frozen=True)
class Tokens:
    """What Google gave for the code."""

    refresh_token: SecretStr
    access_token: SecretStr
    scopes: frozenset[str]


def read_client(file: Path | None, environment: Mapping[str, str]) -> OAuthClient:
    """From the JSON file that Google's credentials page offers, else GMAIL_CLIENT_ID and GMAIL_CLIENT_SECRET."""
    if file is None:
        client_id, secret = environment.get("GMAIL_CLIENT_ID", ""), environment.get("GMAIL_CLIENT_SECRET", "")
        if not client_id or not secret:
            raise UsageError(
                "There is no OAuth client.",
                fix="Give --client-secrets FILE (Google Cloud console, Credentials, an OAuth client of the type "
                "Desktop app, Download JSON), or set GMAIL_CLIENT_ID and GMAIL_CLIENT_SECRET.",
                code="no-oauth-client",
            )
        return OAuthClient(client_id, SecretStr(secret))
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        inner = document["installed"]
        return OAuthClient(
            str(inner["client_id"]),
            SecretStr(str(inner["client_secret"])),
            str(inner.get("auth_uri") or AUTH_URI),
            str(inner.get("token_uri") or TOKEN_URI),
        )
    except OSError as error:
        raise UsageError(f"{file} cannot be read.", fix="Check the path.", code="no-oauth-client") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{file} is no OAuth client of the type Desktop app.",
            fix="Make one under Google Cloud console, Credentials, and download its JSON.",
            code="no-oauth-client",
        ) from error


def ask_consent(
    client: OAuthClient,
    scopes: tuple[str, ...],
    open_page: Callable[[str], None],
    *,
    login_hint: str = "",
    port: int = 0,
    timeout_seconds: float = 300.0,
) -> Tokens:
    """Have the page opened, wait for its answer, trade the code. Raises NotAllowed where the person refused, or did not
    agree to everything, and OutsideError when no answer came."""
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with _Listener(port, state) as listener:
        asked = {
            "client_id": client.client_id,
            "redirect_uri": listener.address,
            "response_type": "code",
            "scope": " ".join(scopes),
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            # Only with both does Google hand out a refresh token, also where the person has agreed before.
            "access_type": "offline",
            "prompt": "consent",
            **({"login_hint": login_hint} if login_hint else {}),
        }
        open_page(f"{client.auth_uri}?{urlencode(asked)}")
        code = listener.wait_for_code(timeout_seconds)
        tokens = _redeem(client, code, verifier, listener.address)
    missing = set(scopes) - tokens.scopes
    if missing:
        raise NotAllowed(
            f"Not everything was agreed to; missing: {', '.join(sorted(missing))}.",
            fix="Run it again and tick every box on the page.",
            code="scopes-missing",
        )
    return tokens


def fetch_address(api_endpoint: str, tokens: Tokens) -> str:
    """Whose mailbox the tokens open."""
    headers = {"Authorization": f"Bearer {tokens.access_token.get_secret_value()}"}
    answer = _send("GET", f"{api_endpoint.rstrip('/')}/gmail/v1/users/me/profile", headers=headers)
    if answer.status_code != 200:
        raise OutsideError(
            f"Gmail did not say whose mailbox this is (HTTP {answer.status_code}).",
            fix="Enable the Gmail API in the OAuth client's project, and run it again.",
            code="gmail-profile",
        )
    return str(_document(answer).get("emailAddress", "")).lower()


def _redeem(client: OAuthClient, code: str, verifier: str, redirect: str) -> Tokens:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": client.client_id,
        "client_secret": client.client_secret.get_secret_value(),
        "redirect_uri": redirect,
        "code_verifier": verifier,
    }
    answer = _send("POST", client.token_uri, data=form)
    given = _document(answer)
    if answer.status_code != 200:
        word = given.get("error")
        raise NotAllowed(
            f"Google gave no token for the consent ({word if isinstance(word, str) else answer.status_code}).",
            fix="Check that client id and secret belong together, and run it again.",
            code="consent-not-accepted",
        )
    if not given.get("refresh_token"):
        raise NotAllowed(
            "Google gave no refresh token.",
            fix="Take the application's access away at myaccount.google.com/permissions, and run it again.",
            code="no-refresh-token",
        )
    scopes = frozenset(str(given.get("scope", "")).split())
    return Tokens(SecretStr(str(given["refresh_token"])), SecretStr(str(given.get("access_token", ""))), scopes)


def _send(method: str, url: str, **what: Any) -> httpx.Response:
    try:
        return httpx.request(method, url, timeout=REQUEST_SECONDS, follow_redirects=False, **what)
    except httpx.HTTPError as error:
        raise OutsideError("Google cannot be reached.", fix="Check the connection, and try again.") from error


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


class _Listener:
    """One answer on a loopback address; whoever does not know the state is told nothing and changes nothing."""

    def __init__(self, port: int, state: str) -> None:
        self._state = state
        self._code = ""
        self._error = ""
        try:
            self._server = HTTPServer(("127.0.0.1", port), self._handler())
        except OSError as error:
            raise UsageError(f"Port {port} is taken.", fix="Choose another one with --port.") from error
        self.address = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def wait_for_code(self, seconds: float) -> str:
        """Raises NotAllowed where the person refused, OutsideError when the time is over."""
        deadline = time.monotonic() + seconds
        while not self._code and not self._error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise OutsideError(
                    f"Nobody agreed within {seconds:.0f} seconds.",
                    fix="Run it again. On another machine than the browser's, forward the port: "
                    "`aicd gmail authorize --port 8765` there, and `ssh -L 8765:127.0.0.1:8765` here.",
                    code="no-consent",
                )
            self._server.timeout = min(left, 1.0)
            self._server.handle_request()
        if self._error:
            raise NotAllowed(
                f"Google did not let us in ({self._error}).",
                fix="Run it again and agree. While the consent screen is in status Testing, the mailbox must be on its "
                "list of test users.",
                code="consent-refused",
            )
        return self._code

    def _take(self, query: str) -> tuple[int, str]:
        given = {name: values[0] for name, values in parse_qs(query).items()}
        if not hmac.compare_digest(given.get("state", "").encode(), self._state.encode()):
            return 400, "This is not the answer to what was asked. Go back to the terminal."
        self._code = given.get("code", "")
        self._error = "" if self._code else given.get("error", "no-code")[:60]
        return 200, "Done: close this page and go back to the terminal." if self._code else "Nothing was authorised."

    def _handler(listener) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler's own self is the inner one
        class Handler(BaseHTTPRequestHandler):
            timeout = 5.0

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                status, text = listener._take(parts.query) if parts.path == "/" else (404, "There is nothing here.")
                body = f"<!doctype html><meta charset=utf-8><title>aicd</title><p>{html.escape(text)}".encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                # The address holds the code; it must not leave by a link.
                self.send_header("Referrer-Policy", "no-referrer")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """The request line holds the code."""

        return Handler
