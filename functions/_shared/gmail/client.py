"""The Gmail API through Google's own client and its discovery document.

Reads are repeated a few times; a send never is: the outbox tries again, after looking whether it went out.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from controlplane.errors import AicdError
from functions._shared.gmail.errors import (
    MailboxUnusable,
    other_mailbox,
    read_reason,
    translate_credentials,
    translate_status,
    translate_watch,
    unreachable,
)
from functions._shared.gmail.port import Arrival, HistoryPage, HistoryRecord, RawMail, Watch
from functions._shared.gmail.transport import PATIENCE_SECONDS, AuthorizedHttp, open_transport
from functions._shared.pause import call_with_pauses
from functions._shared.settings import GoogleSettings

Value = TypeVar("Value")

PAGE_SIZE = 500


class GmailClient:
    """One mailbox. Building it costs nothing; the first call does, and looks whose mailbox a refresh token opens."""

    def __init__(self, settings: GoogleSettings, email: str, patience: tuple[float, float] = PATIENCE_SECONDS) -> None:
        self._settings = settings
        self._email = email
        self._patience = patience
        self._user = "me"
        self._is_delegated = False
        self._lock = threading.Lock()
        self._service: Any = None

    def list_history(self, start_history_id: str, page_token: str | None = None) -> HistoryPage:
        """One page of what was added to the inbox after `start_history_id`. `NotFound`: that id is too old."""
        return self._read(
            lambda users: users.history().list(
                userId=self._user,
                startHistoryId=start_history_id,
                historyTypes=["messageAdded"],
                labelId="INBOX",
                maxResults=PAGE_SIZE,
                **_page(page_token),
            ),
            _history_page,
        )

    def list_inbox(self, since: datetime, page_token: str | None = None) -> tuple[tuple[Arrival, ...], str | None]:
        """One page of what came to the inbox since then, newest first."""
        query = f"after:{int(since.timestamp())}"
        return self._read(
            lambda users: users.messages().list(
                userId=self._user, labelIds=["INBOX"], q=query, maxResults=PAGE_SIZE, **_page(page_token)
            ),
            lambda answer: (tuple(map(_arrival, answer.get("messages", []))), answer.get("nextPageToken")),
        )

    def fetch_history_id(self) -> str:
        """The mailbox's newest history id."""
        return self._read(lambda users: users.getProfile(userId=self._user), lambda answer: str(answer["historyId"]))

    def fetch_raw(self, gmail_id: str) -> RawMail:
        """The message as received. `NotFound`: it is gone already."""
        return self._read(lambda users: users.messages().get(userId=self._user, id=gmail_id, format="raw"), _raw_mail)

    def find_sent(self, rfc_message_id: str) -> str | None:
        """The Gmail id of a mail that carries this Message-ID, wherever it lies; None when there is none."""
        query = f"rfc822msgid:{rfc_message_id.strip('<>')}"
        return self._read(
            lambda users: users.messages().list(userId=self._user, q=query, maxResults=1),
            lambda answer: next((str(found["id"]) for found in answer.get("messages", [])), None),
        )

    def send(self, mail: bytes, thread_id: str | None) -> str:
        """Send once; the answer is the new message's Gmail id. `NotFound`: the thread is gone."""
        body: dict[str, str] = {"raw": base64.urlsafe_b64encode(mail).decode()}
        if thread_id:
            body["threadId"] = thread_id
        return self._execute(
            lambda users: users.messages().send(userId=self._user, body=body), lambda answer: str(answer["id"])
        )

    def watch(self, topic: str) -> Watch:
        """Start or renew the watch. Its history id is where a mailbox without a cursor begins."""
        body = {"topicName": topic, "labelIds": ["INBOX"], "labelFilterBehavior": "include"}
        try:
            return self._read(lambda users: users.watch(userId=self._user, body=body), _watch)
        except AicdError as error:
            raise translate_watch(error, topic) from error

    def _read(self, build_request: Callable[[Any], Any], parse: Callable[[Any], Value]) -> Value:
        return call_with_pauses(lambda: self._execute(build_request, parse), is_permanent=(MailboxUnusable,))

    def _execute(self, build_request: Callable[[Any], Any], parse: Callable[[Any], Value]) -> Value:
        return self._send(build_request(self._users()), parse)

    def _send(self, request: Any, parse: Callable[[Any], Value]) -> Value:
        import httpx
        from google.auth.exceptions import GoogleAuthError
        from googleapiclient.errors import HttpError

        try:
            return parse(request.execute(num_retries=0))
        except HttpError as error:
            raise translate_status(int(error.resp.status), read_reason(error.content), error.resp) from error
        except GoogleAuthError as error:
            raise translate_credentials(error, delegated=self._is_delegated) from error
        except httpx.HTTPError as error:
            raise unreachable() from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:  # an answer of another shape than promised
            raise unreachable() from error

    def _users(self) -> Any:
        with self._lock:
            if self._service is None:
                self._service = self._open()
            return self._service.users()

    def _open(self) -> Any:
        credential = self._settings.credentials.of(self._email)
        self._is_delegated = credential.names_mailbox
        settings, rights = self._settings, credential.open(self._email)
        http = open_transport(rights, settings.api_endpoint, credential.token_uri, self._patience)
        service = _build_service(settings, http)
        if not credential.names_mailbox:
            profile = service.users().getProfile(userId=self._user, fields="emailAddress")
            opened = self._send(profile, lambda answer: str(answer["emailAddress"]))
            if opened.lower() != self._email.lower():
                raise other_mailbox(self._email, opened)
        return service


def _build_service(settings: GoogleSettings, http: AuthorizedHttp) -> Any:
    from googleapiclient.discovery import build

    return build(
        "gmail",
        "v1",
        http=http,
        client_options={"api_endpoint": settings.api_endpoint},
        static_discovery=True,
        cache_discovery=False,
    )


def _history_page(answer: Any) -> HistoryPage:
    records = tuple(
        HistoryRecord(str(record["id"]), tuple(_arrival(added["message"]) for added in record["messagesAdded"]))
        for record in answer.get("history", [])
        if record.get("messagesAdded")
    )
    return HistoryPage(records, str(answer["historyId"]), answer.get("nextPageToken"))


def _raw_mail(answer: Any) -> RawMail:
    return RawMail(
        gmail_id=str(answer["id"]),
        thread_id=str(answer.get("threadId", "")),
        labels=frozenset(answer.get("labelIds", [])),
        raw=_decode(answer["raw"]),
        received_at=_moment(answer["internalDate"]) if "internalDate" in answer else None,
    )


def _watch(answer: Any) -> Watch:
    return Watch(str(answer["historyId"]), _moment(answer["expiration"]))


def _moment(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, tz=UTC)


def _arrival(message: Mapping[str, Any]) -> Arrival:
    return Arrival(str(message["id"]), frozenset(message.get("labelIds", [])))


def _page(token: str | None) -> dict[str, str]:
    return {"pageToken": token} if token else {}


def _decode(data: str) -> bytes:
    """base64url, with or without padding, as both occur. Raises ValueError."""
    return base64.b64decode(data + "=" * (-len(data) % 4), altchars=b"-_", validate=True)
