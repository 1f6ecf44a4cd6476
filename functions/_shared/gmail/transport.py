"""The HTTP under googleapiclient: requests instead of httplib2.

httplib2 sends a request again, POST included, when a connection breaks before the answer; a mail would then be sent
twice without our knowing. This transport sends once, always with a timeout, and is safe between threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from functions._shared.gmail.errors import translate_status

if TYPE_CHECKING:
    import httplib2  # type: ignore[import-untyped]

# To connect, and between two packets.
PATIENCE_SECONDS = (5.0, 20.0)


class RequestsHttp:
    """Speaks the small part of httplib2.Http that googleapiclient uses."""

    def __init__(self, session: Any, patience: tuple[float, float] = PATIENCE_SECONDS) -> None:
        self._session = session
        self._patience = patience

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> tuple[httplib2.Response, bytes]:
        """One request, once. Raises requests' and google-auth's exceptions."""
        import httplib2

        answer = self._session.request(
            method,
            uri,
            data=body,
            headers=dict(headers or {}),
            timeout=self._patience,
            allow_redirects=False,
        )
        fields = {name.lower(): value for name, value in answer.headers.items()}
        response = httplib2.Response({**fields, "status": str(answer.status_code)})
        response.reason = answer.reason
        return response, answer.content

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()


def open_transport(credentials: Any, patience: tuple[float, float] = PATIENCE_SECONDS) -> RequestsHttp:
    """A session that refreshes its access token by itself, with the same patience."""
    import requests
    from google.auth.transport.requests import AuthorizedSession, Request

    tokens = requests.Session()
    tokens.max_redirects = 0
    ask = Request(tokens)

    def ask_for_token(*arguments: Any, **options: Any) -> Any:
        answer = ask(*arguments, **options)
        if answer.status == 429 or answer.status >= 500:
            # google-auth's own retries do not look at Retry-After.
            raise translate_status(answer.status, "", answer.headers)
        return answer

    session = AuthorizedSession(credentials, auth_request=ask_for_token)  # type: ignore[no-untyped-call]
    return RequestsHttp(session, patience)
