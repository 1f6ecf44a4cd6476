"""What the Google double remembers: accounts, mailboxes, messages, their history, and push deliveries."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

HistoryKind = Literal["messagesAdded", "messagesDeleted", "labelsAdded", "labelsRemoved"]


class Noun(BaseModel):
    """Frozen, like every noun."""

    model_config = ConfigDict(frozen=True)


class Account(Noun):
    """Who may ask for tokens: an OAuth client's grant on one address."""

    email: str
    client_id: str
    client_secret: str
    refresh_token: str
    scopes: tuple[str, ...]
    revoked: bool = False


class ServiceAccount(Noun):
    """A service account with domain-wide delegation: its public key, and the scopes that it was granted."""

    client_email: str
    public_key: str
    scopes: tuple[str, ...]


class Watch(Noun):
    """`expires_at_ms` is on the double's own clock, which a test may move."""

    topic: str
    label_ids: tuple[str, ...]
    excludes: bool
    expires_at_ms: int


class Mailbox(Noun):
    """`history_id` is the newest record; what is below `oldest_history_id` was forgotten and answers 404.

    A mailbox that never had a watch is notified all the same, as if an operator had set the watch elsewhere; from the
    first watch on, only a live watch counts.
    """

    address: str
    history_id: int
    oldest_history_id: int
    watch: Watch | None = None
    ever_watched: bool = False
    user_labels: dict[str, str] = {}


class Message(Noun):
    """The metadata of one message; its bytes are the file `ID.eml`. `subject` is without reply prefixes, folded."""

    id: str
    thread_id: str
    mailbox: str
    label_ids: tuple[str, ...]
    internal_date_ms: int
    history_id: int
    size: int
    rfc_message_id: str
    subject: str
    deleted: bool = False


class HistoryRecord(Noun):
    """One change of a mailbox."""

    id: int
    mailbox: str
    kind: HistoryKind
    message_id: str
    label_ids: tuple[str, ...] = ()


class Attempt(Noun):
    """One try of a push: `status` is the HTTP status, or None when no answer came, with the reason in `error`."""

    at: str
    status: int | None
    error: str | None = None


class Delivery(Noun):
    """One Pub/Sub message on its way to the push endpoint."""

    message_id: str
    email: str
    history_id: int
    published_at: str
    state: Literal["pending", "acknowledged", "dead", "dropped"] = "pending"
    attempts: tuple[Attempt, ...] = ()
