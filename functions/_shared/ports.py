"""The verbs that functions use, as seams: `controlplane.store.FunctionsStore` is the one that is deployed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Row = Mapping[str, Any]


class IntakeStore(Protocol):
    """What taking mail in needs. docs/architecture.md has each verb's arguments and answer."""

    def open_mailbox(self, email: str) -> Row | None: ...

    def advance_mailbox(self, mailbox_id: str, history_id: str) -> Any: ...

    def fail_mailbox(self, mailbox_id: str, error: str, fix: str) -> Any: ...

    def put_spec(self, spec_id: str, content: bytes, content_type: str) -> str: ...

    def record_message(self, message: Row) -> Row: ...

    def ingest_message(self, message: Row, specs: Sequence[Row]) -> Row: ...

    def ingest_reply(self, message: Row, text: str) -> Row: ...

    def find_repository(self, sender: str, repo: str, mailbox_id: str, gmail_thread_id: str) -> Row: ...


class OutboxStore(Protocol):
    """What working the outbox off needs."""

    def claim_outbox(self, kinds: Sequence[str], limit: int, lease_seconds: int) -> Sequence[Row]: ...

    def finish_outbox(self, outbox_id: str, lease_id: str, result: Row) -> bool: ...

    def retry_outbox(self, outbox_id: str, lease_id: str, error: str, retry_after_seconds: float | None) -> Row: ...

    def postpone_outbox(self, outbox_id: str, lease_id: str, seconds: float, reason: str) -> Row: ...


class DispatchStore(OutboxStore, Protocol):
    """What starting and stopping CI runs needs."""

    def describe_run(self, run_id: str) -> Row: ...

    def reserve_budget(self, run_id: str, max_usd: float) -> Row: ...

    def bind_run(self, run_id: str, ci_run_id: str, url: str) -> Any: ...

    def abandon_run(self, run_id: str, code: str, reason: str) -> Any: ...


class NotifyStore(OutboxStore, Protocol):
    """What writing mails needs."""

    def describe_notice(self, outbox_id: str) -> Row: ...

    def sign_artifact(self, path: str, seconds: int, download_name: str) -> str: ...


class RetentionStore(Protocol):
    """What retention needs."""

    def expire_rows(self, limit: int) -> Row: ...

    def remove_objects(self, bucket: str, paths: Sequence[str]) -> int: ...


class TickStore(IntakeStore, DispatchStore, NotifyStore, RetentionStore, Protocol):
    """What the safety net needs: all of it."""

    def list_mailboxes(self) -> Sequence[Row]: ...

    def renew_mailbox(self, mailbox_id: str, history_id: str, watch_expires_at: str) -> Any: ...

    def close_dead_runs(self, older_than_seconds: int) -> int: ...

    def wake_sprints(self, limit: int) -> Sequence[str]: ...
