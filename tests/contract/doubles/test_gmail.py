"""The Google double's Gmail as google-api-python-client sees it."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from typing import Any

import pytest
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from tests.contract.doubles.conftest import Double, Subscriber

BOT = "bot@example.com"


@pytest.fixture
def address(google: Double) -> str:
    return f"bot-{secrets.token_hex(4)}@example.com"


@pytest.fixture
def users(google: Double, address: str) -> Iterator[Any]:
    account = google.control("accounts", email=address)
    known = {name: account[name] for name in ("refresh_token", "client_id", "client_secret", "token_uri")}
    gmail = build("gmail", "v1", credentials=Credentials(None, **known), client_options={"api_endpoint": google.url})
    yield gmail.users()
    gmail.close()


def letter(subject: str = "Spec", **headers: str) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Ann <ann@acme.test>", BOT, subject
    mail["Message-ID"] = f"<{secrets.token_hex(8)}@acme.test>"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content("please build this")
    return mail.as_bytes()


def deliver(google: Double, address: str, raw: bytes, **query: str) -> dict[str, Any]:
    answer = google.client.post("/_double/deliver", params={"mailbox": address, **query}, content=raw)
    assert answer.status_code == 200, answer.text
    return answer.json()


def raw_of(users: Any, message_id: str) -> bytes:
    message = users.messages().get(userId="me", id=message_id, format="raw").execute()
    return base64.urlsafe_b64decode(message["raw"])


def send(users: Any, raw: bytes, **more: str) -> dict[str, Any]:
    body = {"raw": base64.urlsafe_b64encode(raw).decode(), **more}
    return users.messages().send(userId="me", body=body).execute()


def test_delivered_mail_is_stamped_above_untouched_bytes(google: Double, users: Any, address: str) -> None:
    original = letter()
    raw = raw_of(users, deliver(google, address, original)["gmail_id"])
    assert raw.endswith(b"\r\n" + original)
    names = [line.split(b":")[0] for line in raw.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    assert names[:10] == [
        b"Delivered-To", b"Received", b"X-Received", b"ARC-Seal", b"ARC-Message-Signature",
        b"ARC-Authentication-Results", b"Return-Path", b"Received", b"Received-SPF", b"Authentication-Results",
    ]  # fmt: skip
    assert b"dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=acme.test" in raw


@pytest.mark.parametrize(
    ("query", "raw", "stamped"),
    [
        ({"authenticated": "false"}, letter(), b"dmarc=fail (p=NONE sp=NONE dis=NONE) header.from=acme.test"),
        ({"authenticated": "false", "signed_by": "evil.test"}, letter(), b"dkim=pass header.i=@evil.test"),
        ({"envelope_from": ""}, letter(), b"Return-Path: <>"),
        ({}, b"From: nobody at all\r\n\r\nhi", b"dmarc=none"),
        ({}, b"", b"dmarc=none"),
        ({}, b" ; dmarc=pass header.from=acme.test\r\n\r\nhi", b"dmarc=none\r\n\r\n"),
        ({}, b"\xff\xfe\x00 no headers \r\r\n\n\n", b"dmarc=none"),
        ({}, b"From: a@b\xc3\xbc.test\nFrom: <x@y.test>\n\n", b"Authentication-Results: mx.google.com"),
        ({}, b"From: =?x-unknown?q?=ff?= <a@b.test>\n\n", b"header.from=b.test"),
        ({}, b"Content-Type: multipart/mixed; boundary=x\n\n--x\n--x\n--x--", b"dmarc=none"),
    ],
)
def test_any_bytes_are_taken_and_stamped(
    google: Double, users: Any, address: str, query: dict[str, str], raw: bytes, stamped: bytes
) -> None:
    found = raw_of(users, deliver(google, address, raw, **query)["gmail_id"])
    assert stamped in found and found.endswith(raw)
    for form in ("full", "metadata", "minimal"):
        assert users.messages().list(userId="me").execute()["messages"]
        message_id = users.messages().list(userId="me").execute()["messages"][0]["id"]
        users.messages().get(userId="me", id=message_id, format=form).execute()


def test_thirty_megabyte_attachment_goes_through(google: Double, users: Any, address: str) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "ann@acme.test", BOT, "big"
    mail.set_content("see attachment")
    mail.add_attachment(secrets.token_bytes(22_000_000), "application", "zip", filename="spec.zip")
    original = mail.as_bytes()
    found = raw_of(users, deliver(google, address, original)["gmail_id"])
    assert len(original) > 29_000_000 and found.endswith(original)


def test_full_message_has_its_parts_and_attachments(google: Double, users: Any, address: str) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "ann@acme.test", BOT, "Spec"
    mail.set_content("see attachment")
    mail.add_attachment(b"meta: {}\n", "text", "yaml", filename="spec.yaml")
    message_id = deliver(google, address, mail.as_bytes())["gmail_id"]
    payload = users.messages().get(userId="me", id=message_id).execute()["payload"]
    text, file = payload["parts"]
    assert (payload["mimeType"], file["filename"]) == ("multipart/mixed", "spec.yaml")
    assert base64.urlsafe_b64decode(text["body"]["data"]) == b"see attachment\n"
    part = users.messages().attachments().get(userId="me", messageId=message_id, id=file["body"]["attachmentId"])
    assert base64.urlsafe_b64decode(part.execute()["data"]) == b"meta: {}\n"


def test_history_names_what_came_after_the_cursor(google: Double, users: Any, address: str) -> None:
    start = users.getProfile(userId="me").execute()["historyId"]
    empty = users.history().list(userId="me", startHistoryId=start).execute()
    ids = [deliver(google, address, letter())["gmail_id"] for _ in range(5)]
    wanted = {"userId": "me", "startHistoryId": start, "historyTypes": ["messageAdded"], "labelId": "INBOX"}
    found, page = [], users.history().list(**wanted, maxResults=2).execute()
    while True:
        found += [added["message"]["id"] for record in page["history"] for added in record["messagesAdded"]]
        if "nextPageToken" not in page:
            break
        page = users.history().list(**wanted, maxResults=2, pageToken=page["nextPageToken"]).execute()
    assert empty == {"historyId": start}
    assert found == ids
    assert int(page["historyId"]) > int(start)
    assert "history" not in users.history().list(userId="me", startHistoryId=page["historyId"]).execute()


def test_history_of_another_kind_or_label_is_left_out(google: Double, users: Any, address: str) -> None:
    start = users.getProfile(userId="me").execute()["historyId"]
    spam = deliver(google, address, letter(), labels="SPAM")["gmail_id"]
    mine = deliver(google, address, letter())["gmail_id"]
    users.messages().modify(userId="me", id=mine, body={"removeLabelIds": ["UNREAD"]}).execute()
    inbox = (
        users.history().list(userId="me", startHistoryId=start, labelId="INBOX", historyTypes="messageAdded").execute()
    )
    changed = users.history().list(userId="me", startHistoryId=start, historyTypes="labelRemoved").execute()
    assert [record["messagesAdded"][0]["message"]["id"] for record in inbox["history"]] == [mine]
    assert changed["history"][0]["labelsRemoved"][0]["labelIds"] == ["UNREAD"]
    assert users.messages().list(userId="me", labelIds=["SPAM"]).execute()["messages"][0]["id"] == spam
    assert len(users.messages().list(userId="me").execute()["messages"]) == 1


@pytest.mark.parametrize("start", ["1", "99999999999"])
def test_history_id_that_is_too_old_or_unknown_is_404(users: Any, start: str) -> None:
    with pytest.raises(HttpError) as refusal:
        users.history().list(userId="me", startHistoryId=start).execute()
    assert refusal.value.resp.status == 404


def test_forgotten_history_is_404_until_a_new_cursor(google: Double, users: Any, address: str) -> None:
    start = users.getProfile(userId="me").execute()["historyId"]
    deliver(google, address, letter())
    google.control(f"mailbox/{address}/expire-history")
    with pytest.raises(HttpError, match="404"):
        users.history().list(userId="me", startHistoryId=start).execute()
    fresh = users.getProfile(userId="me").execute()["historyId"]
    assert "history" not in users.history().list(userId="me", startHistoryId=fresh).execute()


def test_deleted_message_is_404_though_history_names_it(google: Double, users: Any, address: str) -> None:
    message_id = deliver(google, address, letter())["gmail_id"]
    google.client.delete(f"/_double/mailbox/{address}/messages/{message_id}")
    with pytest.raises(HttpError, match="404"):
        users.messages().get(userId="me", id=message_id).execute()


def test_search_finds_by_message_id_and_place(google: Double, users: Any, address: str) -> None:
    mail = letter()
    wanted = deliver(google, address, mail)["gmail_id"]
    deliver(google, address, letter())
    rfc_id = next(line for line in mail.decode().splitlines() if line.startswith("Message-ID:")).split()[1]
    for query in (f"rfc822msgid:{rfc_id}", f"rfc822msgid:{rfc_id.strip('<>')} in:inbox newer_than:1d -in:sent"):
        found = users.messages().list(userId="me", q=query).execute()
        assert [message["id"] for message in found["messages"]] == [wanted]
    assert "messages" not in users.messages().list(userId="me", q="in:sent").execute()


def test_reply_joins_the_thread_by_reference_and_subject(google: Double, users: Any, address: str) -> None:
    first = deliver(google, address, letter("Spec"))
    rfc_id = next(
        header["value"]
        for header in google.client.get(f"/_double/mailbox/{address}/messages").json()[0]["headers"]
        if header["name"] == "Message-ID"
    )
    answer = deliver(google, address, letter("Re: spec", In_Reply_To=rfc_id, References=rfc_id))
    other = deliver(google, address, letter("Re: other", In_Reply_To=rfc_id, References=rfc_id))
    assert answer["thread_id"] == first["thread_id"] != other["thread_id"]


def reply_to(google: Double, address: str, **headers: str) -> tuple[str, bytes]:
    """A received mail's thread, and a proper answer to it with some headers replaced."""
    delivered = deliver(google, address, letter("Spec"))
    listed = google.client.get(f"/_double/mailbox/{address}/messages").json()[0]["headers"]
    rfc_id = next(header["value"] for header in listed if header["name"] == "Message-ID")
    usual = {"From": address, "To": "ann@acme.test", "Subject": "Re: Spec", "In-Reply-To": rfc_id, "References": rfc_id}
    lines = [f"{name}: {value}" for name, value in (usual | headers).items() if value]
    return delivered["thread_id"], "\r\n".join([*lines, "", "done"]).encode()


def test_sent_reply_is_kept_in_its_thread_with_history(google: Double, users: Any, address: str) -> None:
    thread, raw = reply_to(google, address)
    start = users.getProfile(userId="me").execute()["historyId"]
    sent = send(users, raw, threadId=thread)
    history = users.history().list(userId="me", startHistoryId=start).execute()["history"]
    assert (sent["threadId"], sent["labelIds"]) == (thread, ["SENT"])
    assert history[0]["messagesAdded"][0]["message"]["labelIds"] == ["SENT"]
    mine = [mail for mail in google.client.get("/_double/sent").json() if mail["id"] == sent["id"]]
    assert google.client.get(f"/_double/sent/{mine[0]['id']}.eml").content.endswith(raw)


@pytest.mark.parametrize(
    "change", [{"Subject": "Other"}, {"References": ""}, {"In-Reply-To": ""}, {"To": ""}, {"From": "x@else.test"}]
)
def test_reply_that_would_leave_its_thread_is_refused(
    google: Double, users: Any, address: str, change: dict[str, str]
) -> None:
    thread, raw = reply_to(google, address, **change)
    with pytest.raises(HttpError) as refusal:
        send(users, raw, threadId=thread)
    assert refusal.value.resp.status == 400
    assert len(google.clear()) == 1


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"raw": "not+url/safe"}, "byte"),
        ({"raw": 7}, "7 is not of type 'string'"),
        ({"rawMessage": "aGk"}, "rawMessage"),
        ({"raw": "aGk", "snippet": "x"}, "ignores snippet"),
        ({}, "payload"),
    ],
)
def test_malformed_send_is_recorded(google: Double, users: Any, body: dict[str, Any], complaint: str) -> None:
    with pytest.raises(HttpError):
        users.messages().send(userId="me", body=body).execute()
    assert complaint in google.clear()[0]["details"][0]


def test_mail_to_a_mailbox_of_this_double_arrives_there(google: Double, users: Any, address: str) -> None:
    friend = f"friend-{secrets.token_hex(3)}@example.com"
    google.control("accounts", email=friend)
    send(users, f"From: {address}\r\nTo: {friend}\r\nSubject: hi\r\n\r\nhello".encode())
    inbox = google.client.get(f"/_double/mailbox/{friend}/messages").json()
    assert inbox[0]["label_ids"] == ["INBOX", "UNREAD"]
    assert any(header["name"] == "Authentication-Results" for header in inbox[0]["headers"])


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("/gmail/v1/users/me/messages?maxResult=3", "maxResult"),
        ("/gmail/v1/users/me/messages?maxResults=few", "maxResults"),
        ("/gmail/v1/users/me/messages/1?format=RAW", "format"),
        ("/gmail/v1/users/me/history?startHistoryId=abc", "startHistoryId"),
        ("/gmail/v1/users/me/history?startHistoryId=1&historyTypes=messagesAdded", "historyTypes"),
        ("/gmail/v1/users/me/history", "startHistoryId"),
        ("/gmail/v1/users/me/messages?q=frobnicate:x", "frobnicate"),
        ("/gmail/v1/users/me/inbox", "not a published operation"),
        ("/gmail/v1/users/me/drafts", "does not serve"),
    ],
)
def test_request_outside_the_discovery_document_is_recorded(
    google: Double, users: Any, path: str, complaint: str
) -> None:
    users.getProfile(userId="me").execute()
    headers = {"authorization": f"Bearer {users._http.credentials.token}"}
    assert google.client.get(path, headers=headers).status_code in (400, 404, 501)
    assert complaint in google.clear()[0]["details"][0]


def test_own_malformed_answer_is_recorded(google: Double) -> None:
    from local.doubles.exchange import Answer, Match
    from local.doubles.google.discovery import DiscoveryContract

    contract = DiscoveryContract("gmail.v1")
    match = Match("gmail.users.getProfile", {})
    good = {"emailAddress": "a@b.test", "historyId": "1"}
    assert contract.answer_problems(match, Answer(document=good)) == []
    for bad in ({"historyId": 1}, {"emailaddress": "a@b.test"}, {"historyId": "x"}, None):
        assert contract.answer_problems(match, Answer(document=bad)) != []
    assert contract.answer_problems(match, Answer(404, {"message": "no"})) != []


def test_watch_notifies_at_once_and_signs_as_the_service_account(
    google: Double, users: Any, address: str, subscriber: Subscriber
) -> None:
    from google.auth.transport.requests import Request
    from google.oauth2 import id_token

    google.control("push-config", endpoint=subscriber.url, audience="https://push.example", service_account="p@x.test")
    watch = users.watch(userId="me", body={"topicName": "projects/p/topics/t", "labelIds": ["INBOX"]}).execute()
    assert int(watch["expiration"]) > time.time() * 1000 + 6 * 86_400_000
    until(lambda: len(mine(subscriber, address)) == 1)
    headers, body = subscriber.received[-1]
    message = body["message"]
    assert (message["messageId"], message["publishTime"]) == (message["message_id"], message["publish_time"])
    claims = id_token.verify_token(
        headers["authorization"].split()[1], Request(), "https://push.example", f"{google.url}/oauth2/v1/certs"
    )
    assert (claims["email"], claims["email_verified"]) == ("p@x.test", True)


def mine(subscriber: Subscriber, address: str) -> list[str]:
    """Message ids of the notifications for one mailbox, in the order of their arrival."""
    found = []
    for _, body in list(subscriber.received):
        data = base64.b64decode(body["message"]["data"])
        if address.encode() in data:
            found.append(body["message"]["messageId"])
    return found


def until(condition: Any, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_push_is_redelivered_until_acknowledged(
    google: Double, users: Any, address: str, subscriber: Subscriber
) -> None:
    subscriber.statuses = [500, 400, 302, 203, 204]
    google.control("push-config", endpoint=subscriber.url)
    assert deliver(google, address, letter())["notified"]
    until(lambda: state_of(google, address)[0]["state"] == "acknowledged")
    assert len(set(mine(subscriber, address))) == 1
    assert [attempt["status"] for attempt in state_of(google, address)[0]["attempts"]] == [500, 400, 302, 203, 204]


def state_of(google: Double, address: str) -> list[dict[str, Any]]:
    return [found for found in google.client.get("/_double/deliveries").json() if found["email"] == address]


def test_planned_faults_drop_and_duplicate_notifications(
    google: Double, users: Any, address: str, subscriber: Subscriber
) -> None:
    google.control("push-config", endpoint=subscriber.url)
    google.control("faults", push={"drop_rate": 1})
    assert not deliver(google, address, letter())["notified"]
    google.control("faults", push={"duplicates": 4, "delay_seconds": 0.1})
    deliver(google, address, letter())
    until(lambda: len(mine(subscriber, address)) == 5)
    assert [found["state"] for found in state_of(google, address)] == ["dropped", "acknowledged"]


def test_watch_that_ended_notifies_no_more(google: Double, users: Any, address: str, subscriber: Subscriber) -> None:
    google.control("push-config", endpoint=subscriber.url)
    body = {"topicName": "projects/p/topics/t"}
    users.watch(userId="me", body=body).execute()
    users.stop(userId="me").execute()
    assert not deliver(google, address, letter())["notified"]
    users.watch(userId="me", body=body).execute()
    assert deliver(google, address, letter())["notified"]


def test_raw_push_sends_copies_and_hostile_tokens(google: Double, subscriber: Subscriber) -> None:
    google.control("push-config", endpoint=subscriber.url)
    sent = google.control("push", data={"emailAddress": "a@b.test", "historyId": "1"}, copies=20, parallel=5)
    assert sent["statuses"] == [204] * 20
    google.control("push", body=[], token=None)
    headers, body = subscriber.received[-1]
    assert (body, "authorization" in headers) == ([], False)


def test_bad_topic_and_label_are_refused(google: Double, users: Any) -> None:
    for body in ({"topicName": "t"}, {"topicName": "projects/p/topics/t", "labelIds": ["INBOXX"]}):
        with pytest.raises(HttpError, match="Invalid"):
            users.watch(userId="me", body=body).execute()
    assert len(google.clear()) == 2


def test_twenty_parallel_deliveries_are_all_there(google: Double, users: Any, address: str) -> None:
    start = users.getProfile(userId="me").execute()["historyId"]
    with ThreadPoolExecutor(20) as pool:
        ids = list(pool.map(lambda _: deliver(google, address, letter())["gmail_id"], range(60)))
    found = users.history().list(userId="me", startHistoryId=start, maxResults=500).execute()["history"]
    assert {record["messagesAdded"][0]["message"]["id"] for record in found} == set(ids) and len(set(ids)) == 60


def test_upstream_faults_reach_the_real_client(google: Double, users: Any) -> None:
    google.control("faults", api=[{"operation": "gmail.users.getProfile", "status": 429, "retry_after": 1}])
    with pytest.raises(HttpError) as refusal:
        users.getProfile(userId="me").execute()
    assert (refusal.value.resp.status, refusal.value.resp["retry-after"]) == (429, "1")
    google.control("faults", api=[{"operation": "gmail.users.getProfile", "kind": "truncate"}])
    with pytest.raises(Exception, match=r"IncompleteRead|closed|reset|Connection"):
        users.getProfile(userId="me").execute()
    assert users.getProfile(userId="me").execute()["messagesTotal"] == 0
