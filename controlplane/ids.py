"""Deterministic ids: the same mail always gives the same message, specification, artifact and correlation id.

A redelivery, a poll and a repeated push thereby meet their own rows and objects instead of making new ones.
All are version 5 uuids (RFC 9562, section 5.5) in a namespace of our own; a name is the parts' JSON, so that no two
different lists of parts spell the same name.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from controlplane.spec import Spec

NAMESPACE = uuid.UUID("5f0c6f0e-6a0f-5c5e-9d53-2f6c1a7d9b11")


def message_id(mailbox_id: str, gmail_id: str) -> str:
    """The id of a mail as one mailbox knows it. Gmail's message ids are immutable."""
    return _derive("message", mailbox_id, gmail_id)


def correlation_id(mailbox_id: str, gmail_id: str) -> str:
    """The one id that a mail's story carries from intake to pull request."""
    return _derive("correlation", mailbox_id, gmail_id)


def spec_id(origin: str, content: bytes) -> str:
    """The id of a specification: where it came from (a message id) and the bytes as received."""
    return _derive("spec", origin, hashlib.sha256(content).hexdigest())


def answer_id(spec_id: str, origin: str) -> str:
    """The id of an answer that comes by API; `origin` names the request."""
    return _derive("answer", spec_id, origin)


def content_key(spec: Spec) -> str:
    """What a specification says, as a hash: the same for YAML and JSON, and however a mail program ended its lines."""
    said = _unended(spec.model_dump(mode="json", exclude={"sha256", "format"}))
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def artifact_id(run_id: str, name: str, sha256: str = "") -> str:
    """The id of an artifact of one run. Stored objects never change, so content that may differ when a step is
    repeated needs its hash here: other content is then another artifact."""
    return _derive("artifact", run_id, name, sha256)


def _unended(said: Any) -> Any:
    """Lines that end as everybody's do."""
    if isinstance(said, str):
        return said.replace("\r", "")
    if isinstance(said, dict):
        return {name: _unended(value) for name, value in said.items()}
    return [_unended(value) for value in said] if isinstance(said, list) else said


def _derive(*parts: str) -> str:
    return str(uuid.uuid5(NAMESPACE, json.dumps(parts)))
