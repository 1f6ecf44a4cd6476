"""The rows that intake hands to the database, built from a mail and a decision (docs/architecture.md, Verbs)."""

from __future__ import annotations

import hashlib
from typing import Any

from controlplane import ids
from controlplane.message import Message
from functions._shared.intake.decide import CheckedSpec, Decision, clean
from functions._shared.intake.envelope import Envelope

CONTENT_TYPES = {
    "yaml": "application/yaml",
    "json": "application/json",
    "markdown": "text/markdown",
    "text": "text/plain",
}


def message_row(envelope: Envelope, message: Message, decision: Decision) -> dict[str, Any]:
    """p_message of record_message_v1 and ingest_message_v1; every text from outside is bounded and cleaned."""
    row = {
        "id": envelope.message_id,
        "mailbox_id": envelope.mailbox_id,
        "gmail_id": envelope.mail.gmail_id,
        "gmail_thread_id": envelope.mail.thread_id,
        "rfc_message_id": clean(message.rfc_message_id, 2_000),
        "references": clean(message.references, 20_000),
        "sender": clean(message.sender.lower(), 1_000),
        "subject": clean(message.subject, 2_000),
        "state": decision.state.value,
        "reason": decision.reason,
        "problems": [*decision.problems, *decision.notes],
        "size": len(envelope.mail.raw),
        "sha256": hashlib.sha256(envelope.mail.raw).hexdigest(),
        "correlation_id": envelope.correlation_id,
    }
    return row | ({"history_id": envelope.cursor} if envelope.cursor else {})


def spec_row(spec_id: str, storage_path: str, checked: CheckedSpec) -> dict[str, Any]:
    """One of p_specs of ingest_message_v1. The check must be valid."""
    spec = checked.check.spec
    if spec is None:
        raise ValueError("only a valid specification has a row")
    return {
        "id": spec_id,
        "name": clean(checked.attachment.name, 200),
        "repo": spec.repo,
        "branch": spec.branch,
        "title": clean(spec.title or spec.project, 300),
        "format": spec.format,
        "storage_path": storage_path,
        "sha": spec.sha256,
        "content_key": ids.content_key(spec),
        "size": len(checked.attachment.content),
        "plan": spec.plan.model_dump(mode="json") if spec.plan else None,
        "needs_approval": spec.policies.approval == "required",
    }
