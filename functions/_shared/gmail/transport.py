"""The HTTP under googleapiclient and google-auth: httpx, as everywhere else here, instead of httplib2 and requests.

httplib2 sends a request again, POST included, when a connection breaks before the answer; a mail would then be sent
twice without our knowing. This transport sends once, always with a timeout, follows no redirection, and is safe between
threads. requests would be a second HTTP library to load before the first answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controlplane.tls import authorities_for
from functions._shared.gmail.errors import translate_status

if TYPE_CHECKING:
    import httplib2  # type: ignore[import-untyped]
    import httpx

# To connect, and between two packets.
PATIENCE_SECONDS = (5.0, 20.0)
UNAUTHORIZED = 401


@dataclass(frozen=True)
class TokenAnswer:
    """What google-auth wants to know of an answer (google.auth.transport.Response)."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class TokenRequest:
    """google-auth's way to a token endpoint (google.auth.transport.Request)."""

    def __init__(self, url: str, patience: tuple[float, float]) -> None:
        self._http = _open_client(url, patience)

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002 - google-auth's own 120 s are too many
        **_: Any,
    ) -> TokenAnswer:
        """Raises google-auth's TransportError, and OutsideError for a server that cannot answer now: google-auth's own
        retries do not look at Retry-After."""
        import httpx
        from google.auth.exceptions import TransportError

        try:
            answer = self._http.request(method, url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise TransportError(error) from error  # type: ignore[no-untyped-call]
        if answer.status_code == 429 or answer.status_code >= 500:
            raise translate_status(answer.status_code, "", answer.headers)
        return TokenAnswer(answer.status_code, answer.headers, answer.content)

    def close(self) -> None:
        self._http.close()


class AuthorizedHttp:
    """Speaks the small part of httplib2.Http that googleapiclient uses, and renews its access token by itself."""

    def __init__(
        self, credentials: Any, api_url: str, ask_for_token: TokenRequest, patience: tuple[float, float]
    ) -> None:
        self._credentials = credentials
        self._http = _open_client(api_url, patience)
        self._ask_for_token = ask_for_token

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> tuple[httplib2.Response, bytes]:
        """One request, and once more where the token was no longer taken: nothing has been done by then. Raises httpx'
        and google-auth's exceptions."""
        import httplib2

        answer = self._send(uri, method, body, headers or {})
        if answer.status_code == UNAUTHORIZED:
            self._credentials.refresh(self._ask_for_token)
            answer = self._send(uri, method, body, headers or {})
        fields = {name.lower(): value for name, value in answer.headers.items()}
        response = httplib2.Response({**fields, "status": str(answer.status_code)})
        response.reason = answer.reason_phrase
        return response, answer.content

    def _send(self, uri: str, method: str, body: Any, headers: Mapping[str, str]) -> httpx.Response:
        sent = dict(headers)
        self._credentials.before_request(self._ask_for_token, method, uri, sent)
        return self._http.request(method, uri, content=body, headers=sent)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()
        self._ask_for_token.close()


def open_transport(
    credentials: Any, api_url: str, token_url: str, patience: tuple[float, float] = PATIENCE_SECONDS
) -> AuthorizedHttp:
    """For one mailbox: where Gmail is, and where google-auth's credentials renew their token."""
    return AuthorizedHttp(credentials, api_url, TokenRequest(token_url, patience), patience)


def _open_client(url: str, patience: tuple[float, float]) -> httpx.Client:
    import httpx

    connect, read = patience
    return httpx.Client(
        verify=authorities_for(url), timeout=httpx.Timeout(read, connect=connect), follow_redirects=False
    )
