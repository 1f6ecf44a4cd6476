"""users.history.list: what changed in a mailbox after a given id."""

from __future__ import annotations

from typing import Any

from local.doubles.exchange import RefusedCall, Request
from local.doubles.google.nouns import HistoryKind, HistoryRecord, Message
from local.doubles.google.state import MailState

# The request's singular names and the answer's plural ones.
KINDS: dict[str, HistoryKind] = {
    "messageAdded": "messagesAdded",
    "messageDeleted": "messagesDeleted",
    "labelAdded": "labelsAdded",
    "labelRemoved": "labelsRemoved",
}


def list_history(state: MailState, request: Request[str], size: int) -> dict[str, Any]:
    """One page. `history` is left out when empty; `historyId` may be stored only from the last page."""
    start = _start(request)
    mailbox = state.open(request.caller)
    if not mailbox.oldest_history_id <= start <= mailbox.history_id:
        raise RefusedCall(404, "Requested entity was not found.")
    after = int(request.call.one("pageToken") or start)
    kinds = {KINDS[name] for name in request.call.every("historyTypes")} or set(KINDS.values())
    label = request.call.one("labelId")
    found = [
        (record, message)
        for record, message in state.history_after(request.caller, after)
        if record.kind in kinds and (not label or label in {*message.label_ids, *record.label_ids})
    ]
    page = found[:size]
    document: dict[str, Any] = {"historyId": str(mailbox.history_id)}
    if page:
        document["history"] = [_show(record, message) for record, message in page]
    if len(found) > size:
        document["nextPageToken"] = str(page[-1][0].id)
    return document


def _start(request: Request[str]) -> int:
    value = request.call.one("startHistoryId")
    token = request.call.one("pageToken")
    if not value or (token and not token.isdecimal()):
        raise RefusedCall(400, "Missing or invalid startHistoryId or pageToken", mismatch=True)
    return int(value)


def _show(record: HistoryRecord, message: Message) -> dict[str, Any]:
    brief = {"id": message.id, "threadId": message.thread_id}
    change: dict[str, Any] = {"message": brief | {"labelIds": list(message.label_ids)}}
    if record.kind.startswith("labels"):
        change["labelIds"] = list(record.label_ids)
    return {"id": str(record.id), "messages": [brief], record.kind: [change]}
