"""The HTTP under googleapiclient: requests instead of httplib2.

httplib2 sends a request again, POST included, when a connection breaks before the answer; a mail would then be sent
twice without our knowing. This transport sends once, always with a timeout, and is safe between threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httplib2  # type: ignore[import-untyped]

CONNECT_SECONDS = 5
READ_SECONDS = 20


class RequestsHttp:
    """Speaks the small part of httplib2.Http that googleapiclient uses."""

    def __init__(self, session: Any) -> None:
        self._session = session

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
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
        )
        fields = {name.lower(): value for name, value in answer.headers.items()}
        response = httplib2.Response({**fields, "status": str(answer.status_code)})
        response.reason = answer.reason
        return response, answer.content

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()


def open_transport(credentials: Any) -> RequestsHttp:
    """A session that refreshes its access token by itself."""
    import requests
    from google.auth.transport.requests import AuthorizedSession, Request

    session = AuthorizedSession(credentials, auth_request=Request(requests.Session()))  # type: ignore[no-untyped-call]
    return RequestsHttp(session)
