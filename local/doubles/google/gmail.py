"""The Gmail API's methods, each a function of a checked request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from local.doubles.exchange import Answer, RefusedCall, Request
from local.doubles.google.headers import read_headers
from local.doubles.google.history import list_history
from local.doubles.google.nouns import Mailbox, Message, Watch
from local.doubles.google.payload import describe, find_part, render
from local.doubles.google.pubsub import Publisher
from local.doubles.google.search import compile_query, names_place
from local.doubles.google.sending import send_message
from local.doubles.google.state import DAY_MS, MailState
from local.doubles.validation import encode_base64url

WATCH_DAYS = 7
SYSTEM_LABELS = (
    "CHAT", "SENT", "INBOX", "IMPORTANT", "TRASH", "DRAFT", "SPAM", "STARRED", "UNREAD", "CATEGORY_PERSONAL",
    "CATEGORY_SOCIAL", "CATEGORY_PROMOTIONS", "CATEGORY_UPDATES", "CATEGORY_FORUMS",
)  # fmt: skip
NOT_FOUND = "Requested entity was not found."


def page_size(request: Request[str], default: int = 100, most: int = 500) -> int:
    return max(1, min(int(request.call.one("maxResults", str(default))), most))


class Gmail:
    """The mailbox of the caller, who is the request's `caller` address."""

    def __init__(self, state: MailState, publisher: Publisher) -> None:
        self._state = state
        self._publisher = publisher
        self.history_gone = False

    def handlers(self) -> Mapping[str, Callable[[Request[str]], Answer]]:
        return {
            "gmail.users.getProfile": self.get_profile,
            "gmail.users.watch": self.watch,
            "gmail.users.stop": self.stop,
            "gmail.users.history.list": self.list_history,
            "gmail.users.messages.list": self.list_messages,
            "gmail.users.messages.get": self.get_message,
            "gmail.users.messages.attachments.get": self.get_attachment,
            "gmail.users.messages.send": self.send,
            "gmail.users.messages.modify": self.modify,
            "gmail.users.messages.trash": self.trash,
            "gmail.users.messages.delete": self.delete,
            "gmail.users.labels.list": self.list_labels,
            "gmail.users.labels.create": self.create_label,
        }

    def notify(self, address: str) -> bool:
        """Publishes a notification of the mailbox's newest history id, if its watch says so.

        Labels are not consulted: Gmail notifies of every change, whatever the watch's labelIds say.
        """
        mailbox = self._state.open(address)
        live = mailbox.watch is not None and mailbox.watch.expires_at_ms > self._state.now_ms()
        if not live and (mailbox.ever_watched or self._publisher.faults.require_watch):
            return False
        return bool(self._publisher.publish(mailbox.address, mailbox.history_id))

    def get_profile(self, request: Request[str]) -> Answer:
        mailbox = self._state.open(request.caller)
        messages = self._state.messages(request.caller)
        threads = {message.thread_id for message in messages}
        profile = {"emailAddress": mailbox.address, "historyId": str(mailbox.history_id)}
        return Answer(document=profile | {"messagesTotal": len(messages), "threadsTotal": len(threads)})

    def watch(self, request: Request[str]) -> Answer:
        wanted: dict[str, Any] = request.document or {}
        topic = wanted.get("topicName", "")
        project, _, name = topic.removeprefix("projects/").partition("/topics/")
        if not topic.startswith("projects/") or not project or not name:
            raise RefusedCall(
                400, f"Invalid topicName does not match projects/PROJECT/topics/*: {topic!r}", mismatch=True
            )
        unknown = set(wanted.get("labelIds", ())) - set(SYSTEM_LABELS) - self._user_labels(request.caller).keys()
        if unknown:
            raise RefusedCall(400, f"Invalid label: {', '.join(sorted(unknown))}", mismatch=True)
        watch = Watch(
            topic=topic,
            label_ids=tuple(wanted.get("labelIds", ())),
            excludes=wanted.get("labelFilterBehavior", wanted.get("labelFilterAction")) == "exclude",
            expires_at_ms=self._state.now_ms() + WATCH_DAYS * DAY_MS,
        )
        mailbox = self._state.change_mailbox(request.caller, watch=watch, ever_watched=True)
        self.notify(request.caller)
        return Answer(document={"historyId": str(mailbox.history_id), "expiration": str(watch.expires_at_ms)})

    def stop(self, request: Request[str]) -> Answer:
        self._state.change_mailbox(request.caller, watch=None)
        return Answer(204)

    def list_history(self, request: Request[str]) -> Answer:
        if self.history_gone:
            raise RefusedCall(404, NOT_FOUND)
        return Answer(document=list_history(self._state, request, page_size(request)))

    def list_messages(self, request: Request[str]) -> Answer:
        query = request.call.one("q")
        fits = compile_query(query, self._state.now_ms())
        labels = set(request.call.every("labelIds"))
        everywhere = request.call.one("includeSpamTrash") == "true" or names_place(query) or labels & {"SPAM", "TRASH"}
        found = [
            message
            for message in self._state.messages(request.caller)
            if labels <= set(message.label_ids)
            and (everywhere or not {"SPAM", "TRASH"} & set(message.label_ids))
            and fits(message, read_headers(self._state.raw(message.id)))
        ]
        start = _offset(request)
        page = found[start : start + page_size(request)]
        document: dict[str, Any] = {"resultSizeEstimate": len(found)}
        if page:
            document["messages"] = [{"id": message.id, "threadId": message.thread_id} for message in page]
        if start + len(page) < len(found):
            document["nextPageToken"] = str(start + len(page))
        return Answer(document=document)

    def get_message(self, request: Request[str]) -> Answer:
        message = self._known(request, "id")
        form = request.call.one("format", "full")
        raw = self._state.raw(message.id)
        return Answer(document=render(message, raw, form, request.call.every("metadataHeaders")))

    def get_attachment(self, request: Request[str]) -> Answer:
        message = self._known(request, "messageId")
        data = find_part(self._state.raw(message.id), message.id, request.path["id"])
        if data is None:
            raise RefusedCall(400, "Invalid attachment token", mismatch=True)
        return Answer(document={"size": len(data), "data": encode_base64url(data)})

    def send(self, request: Request[str]) -> Answer:
        sent, copies = send_message(self._state, request.caller, request.document or {})
        for message in (sent, *copies):
            self.notify(message.mailbox)
        return Answer(document={"id": sent.id, "threadId": sent.thread_id, "labelIds": list(sent.label_ids)})

    def modify(self, request: Request[str]) -> Answer:
        wanted: dict[str, Any] = request.document or {}
        add, remove = wanted.get("addLabelIds", []), wanted.get("removeLabelIds", [])
        known = set(SYSTEM_LABELS) | self._user_labels(request.caller).keys()
        if not add and not remove:
            raise RefusedCall(400, "No label add or removes specified", mismatch=True)
        if unknown := {*add, *remove} - known:
            raise RefusedCall(400, f"Invalid label: {', '.join(sorted(unknown))}", mismatch=True)
        return self._relabelled(request, add, remove)

    def trash(self, request: Request[str]) -> Answer:
        return self._relabelled(request, ["TRASH"], ["INBOX"])

    def delete(self, request: Request[str]) -> Answer:
        self._state.delete(self._known(request, "id"))
        self.notify(request.caller)
        return Answer(204)

    def list_labels(self, request: Request[str]) -> Answer:
        system = [{"id": name, "name": name, "type": "system"} for name in SYSTEM_LABELS]
        own = [{"id": key, "name": name, "type": "user"} for key, name in self._user_labels(request.caller).items()]
        return Answer(document={"labels": [*system, *own]})

    def create_label(self, request: Request[str]) -> Answer:
        name = (request.document or {}).get("name", "")
        with self._state.journal.transaction():
            labels = self._user_labels(request.caller)
            if not name or name.upper() in SYSTEM_LABELS:
                raise RefusedCall(400, "Invalid label name", mismatch=True)
            if name in labels.values():
                raise RefusedCall(409, "Label name exists or conflicts")
            label_id = f"Label_{len(labels) + 1}"
            self._state.change_mailbox(request.caller, user_labels={**labels, label_id: name})
        return Answer(document={"id": label_id, "name": name, "type": "user"})

    def _relabelled(self, request: Request[str], add: list[str], remove: list[str]) -> Answer:
        message = self._state.relabel(self._known(request, "id"), add, remove)
        self.notify(request.caller)
        document = describe(message)
        return Answer(document={key: document[key] for key in ("id", "threadId", "labelIds")})

    def _known(self, request: Request[str], name: str) -> Message:
        message = self._state.message(request.caller, request.path[name])
        if message is None:
            raise RefusedCall(404, NOT_FOUND)
        return message

    def _user_labels(self, address: str) -> dict[str, str]:
        mailbox: Mailbox = self._state.open(address)
        return mailbox.user_labels


def _offset(request: Request[str]) -> int:
    token = request.call.one("pageToken", "0")
    if not token.isdecimal():
        raise RefusedCall(400, "Invalid pageToken", mismatch=True)
    return int(token)
