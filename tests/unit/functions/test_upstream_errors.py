"""Google's and GitHub's refusals → ours: what heals by waiting, what an operator must do, what never heals."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from google.oauth2.credentials import Credentials

from controlplane.errors import AicdError, NotFound, OutsideError
from functions._shared.gmail import errors as gmail
from functions._shared.gmail.transport import open_transport
from functions._shared.workflows import github
from functions._shared.workflows.port import WorkflowRefused


@pytest.mark.parametrize(
    ("status", "reason", "kind", "code"),
    [
        (404, "notFound", NotFound, "gmail-not-found"),
        (401, "authError", gmail.MailboxUnusable, "gmail-credentials"),
        (403, "insufficientPermissions", gmail.MailboxUnusable, "gmail-forbidden"),
        (403, "", gmail.MailboxUnusable, "gmail-forbidden"),
        (403, "rateLimitExceeded", OutsideError, "gmail-unavailable"),
        (302, "", OutsideError, "gmail-unavailable"),
        (408, "", OutsideError, "gmail-unavailable"),
        (403, "userRateLimitExceeded", OutsideError, "gmail-unavailable"),
        (429, "", OutsideError, "gmail-unavailable"),
        (500, "backendError", OutsideError, "gmail-unavailable"),
        (599, "", OutsideError, "gmail-unavailable"),
        (400, "invalidArgument", gmail.MailRefused, "gmail-refused"),
        (413, "uploadTooLarge", gmail.MailRefused, "gmail-refused"),
    ],
)
def test_gmails_status_and_reason_decide(status: int, reason: str, kind: type[AicdError], code: str) -> None:
    error = gmail.translate_status(status, reason, {"retry-after": "9"})
    assert type(error) is kind
    assert error.code == code
    if code == "gmail-unavailable":
        assert isinstance(error, OutsideError)
        assert error.retry_after_seconds == 9


def body(**forms: list[str]) -> bytes:
    """An error as Google writes it; `errors` and `details` are given as the words in them."""
    entries = {name: [{"reason": word} for word in words] for name, words in forms.items()}
    return json.dumps({"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED", **entries}}).encode()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (body(errors=["rateLimitExceeded"]), "rateLimitExceeded"),
        (body(details=["RATE_LIMIT_EXCEEDED"]), "rateLimitExceeded"),
        (body(details=["SERVICE_DISABLED"], errors=["accessNotConfigured"]), "accessNotConfigured"),
        (body(details=["SERVICE_DISABLED"], errors=["forbidden"]), "accessNotConfigured"),
        (body(details=[], errors=["forbidden"]), "forbidden"),
        (body(details=["ACCESS_TOKEN_SCOPE_INSUFFICIENT"]), "insufficientPermissions"),
        (body(details=["SOMETHING_NEW"], errors=["failedPrecondition"]), "failedPrecondition"),
        (body(details=["SOMETHING_NEW"]), "SOMETHING_NEW"),
        (body(errors=["two words, or <b>worse</b>"]), ""),
        (body(), ""),
        (b'{"error":{"errors":"x","details":[1,null,{"reason":7}]}}', ""),
        *((nonsense, "") for nonsense in (b"", b"[]", b"null", b'{"error":"invalid_grant"}', b"<html>", b"\xff")),
        (b"[" * 100_000, ""),
    ],
)
def test_googles_reason_is_found_in_either_form(answer: bytes, reason: str) -> None:
    assert gmail.read_reason(answer) == reason


@pytest.mark.parametrize(
    ("status", "headers", "kind", "pause"),
    [
        (404, {}, WorkflowRefused, None),
        (422, {}, WorkflowRefused, None),
        (401, {}, OutsideError, None),
        (403, {"Retry-After": "60"}, OutsideError, 60),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, OutsideError, 1),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999"}, OutsideError, 3_600),
        (403, {"X-RateLimit-Remaining": "9", "X-RateLimit-Reset": "99999999999"}, OutsideError, None),
        (429, {}, OutsideError, None),
        (502, {}, OutsideError, None),
    ],
)
def test_githubs_status_and_headers_decide(
    status: int, headers: dict[str, str], kind: type[AicdError], pause: float | None
) -> None:
    error = github.translate_status(status, headers, "o/r: workflow aicd.yml")
    assert type(error) is kind
    assert error.fix
    if isinstance(error, OutsideError):
        assert error.retry_after_seconds == pause


def test_repository_name_from_outside_cannot_change_the_address() -> None:
    from pydantic import SecretStr

    from functions._shared.settings import GitHubSettings

    client = github.GitHubWorkflows(GitHubSettings("http://127.0.0.1:9", SecretStr("x")))
    for repo in ("../../user", "o/r/../../x", "o/r?x=1", "o", "", "o/r#", "o/ r"):
        with pytest.raises(WorkflowRefused):
            client.start_run(repo, "aicd.yml", "main", {})


def test_request_whose_connection_breaks_before_the_answer_is_sent_once() -> None:
    """httplib2 would send it again, and a mail would go out twice."""
    seen: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                seen.append(connection.recv(65_536))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        http = open_transport(Credentials("a token"), url, f"{url}/token")
        with pytest.raises(httpx.HTTPError):
            http.request(f"{url}/send", "POST", body=b"a mail")
        http.close()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert len([request for request in seen if request]) == 1


def test_token_that_is_no_longer_taken_is_renewed_once_and_the_request_sent_again() -> None:
    """A mail that is refused for its token was not sent."""
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            seen.append((self.path, self.headers.get("authorization", "")))
            is_token = self.path == "/token"
            taken = is_token or self.headers["authorization"] == "Bearer second"
            content = b'{"access_token": "second", "expires_in": 3600}' if is_token else b"{}"
            self.send_response(200 if taken else 401)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    options = {"refresh_token": "r", "token_uri": f"{url}/token", "client_id": "c", "client_secret": "s"}
    http = open_transport(Credentials("first", **options), url, f"{url}/token")
    response, _ = http.request(f"{url}/send", "POST", body=b"a mail")
    http.close()
    server.shutdown()
    server.server_close()
    assert response.status == 200
    assert seen == [("/send", "Bearer first"), ("/token", ""), ("/send", "Bearer second")]
