"""A stored mail as the Gmail API shows it: raw, metadata, or the tree of parts."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from email import message_from_bytes, policy
from email.message import Message as MimeMessage
from typing import Any

from local.doubles.google.headers import decode_text, read_headers
from local.doubles.google.nouns import Message
from local.doubles.validation import decode_base64url, encode_base64url

# Gmail moves large bodies out of the answer, whether they have a file name or not.
INLINE_BYTES = 25_000
SNIPPET_BYTES = 4096


def describe(message: Message) -> dict[str, Any]:
    """What every format has in common; 64-bit numbers are strings."""
    return {
        "id": message.id,
        "threadId": message.thread_id,
        "labelIds": list(message.label_ids),
        "historyId": str(message.history_id),
        "internalDate": str(message.internal_date_ms),
        "sizeEstimate": message.size,
    }


def render(message: Message, raw: bytes, form: str, wanted_headers: Iterable[str] = ()) -> dict[str, Any]:
    """The Message resource in one of the API's formats."""
    document = describe(message) | {"snippet": snippet(raw)}
    if form == "raw":
        return document | {"raw": encode_base64url(raw)}
    if form == "metadata":
        wanted = {name.lower() for name in wanted_headers}
        fields = [f for f in _header_list(raw) if not wanted or f["name"].lower() in wanted]
        return document | {"payload": {"headers": fields}}
    if form == "full":
        return document | {"payload": _tree(message.id, raw)}
    return document


def find_part(raw: bytes, message_id: str, attachment_id: str) -> bytes | None:
    """The bytes behind an attachment id. Ids differ at every fetch, as Gmail's do, and stay valid."""
    decoded = (decode_base64url(attachment_id.removeprefix("ANGjdJ")) or b"").decode("ascii", "replace")
    owner, _, rest = decoded.partition(":")
    part_id = rest.partition(":")[0]
    if owner != message_id:
        return None
    return next((_decoded(part) for name, part in _walk(_parse(raw), "") if name == part_id), None)


def snippet(raw: bytes) -> str:
    """The first words of a plain text mail; empty for anything else."""
    head, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n") if len(raw) < 1_000_000 else (b"", b"", b"")
    kind = read_headers(head + b"\n\n").first("Content-Type").lower()
    if kind and not kind.startswith("text/plain"):
        return ""
    return " ".join(body[:SNIPPET_BYTES].decode("utf-8", "replace").split())[:200]


def _header_list(raw: bytes) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in read_headers(raw).fields]


def _parse(raw: bytes) -> MimeMessage:
    return message_from_bytes(raw, policy=policy.compat32)


def _tree(message_id: str, raw: bytes) -> dict[str, Any]:
    """The tree of parts; a mail that the parser cannot take apart is one part."""
    try:
        tree = _part(message_id, _parse(raw), "")
    except (RecursionError, LookupError, ValueError, AttributeError, TypeError):
        tree = {"partId": "", "mimeType": "text/plain", "filename": "", "body": _body(message_id, "", raw, "")}
    return tree | {"headers": _header_list(raw)}


def _part(message_id: str, part: MimeMessage, part_id: str) -> dict[str, Any]:
    filename = decode_text(str(part.get_filename() or ""))
    shown: dict[str, Any] = {"partId": part_id, "mimeType": part.get_content_type(), "filename": filename}
    shown["headers"] = [{"name": name, "value": decode_text(str(value))} for name, value in part.items()]
    if part.is_multipart():
        inner = [_part(message_id, child, name) for name, child in _children(part, part_id)]
        return shown | {"body": {"size": 0}, "parts": inner}
    return shown | {"body": _body(message_id, part_id, _decoded(part), filename)}


def _body(message_id: str, part_id: str, data: bytes, filename: str) -> dict[str, Any]:
    if filename or len(data) > INLINE_BYTES:
        secret = f"{message_id}:{part_id}:{secrets.token_hex(8)}".encode()
        return {"size": len(data), "attachmentId": "ANGjdJ" + encode_base64url(secret).rstrip("=")}
    return {"size": len(data), "data": encode_base64url(data)} if data else {"size": 0}


def _decoded(part: MimeMessage) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _children(part: MimeMessage, part_id: str) -> Iterator[tuple[str, MimeMessage]]:
    children = part.get_payload()
    for place, child in enumerate(children if isinstance(children, list) else []):
        if isinstance(child, MimeMessage):
            yield (f"{part_id}.{place}" if part_id else str(place)), child


def _walk(part: MimeMessage, part_id: str) -> Iterator[tuple[str, MimeMessage]]:
    yield part_id, part
    for name, child in _children(part, part_id):
        yield from _walk(child, name)
