"""gmail_push from Pub/Sub's call to committed rows, against the Gmail double and the real database."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from functions._shared.intake.reading import Reader
from functions._shared.intake.sync import Intake, sync_mailbox

GET = "gmail.users.messages.get"


@pytest.fixture
def watched(line: Any) -> Any:
    """The line with a cursor: what arrives from now on is news."""
    line.deliver(b"From: x@example.org\r\nSubject: before the watch\r\n\r\nhello\r\n")
    newest = line.world.google.get(f"mailbox/{line.mailbox}/messages")[-1]["history_id"]
    [(mailbox_id,)] = line.rows("select id::text from public.mailboxes")
    line.store.renew_mailbox(mailbox_id, newest, "2026-12-01T00:00:00Z")
    return line


def cursor(line: Any) -> int:
    return int(line.rows("select history_id from public.mailboxes")[0][0])


def messages(line: Any) -> list[tuple[str, str]]:
    return line.rows("select state, reason from public.messages order by created_at")


def count(line: Any, table: str) -> int:
    return int(line.rows(f"select count(*) from {table}")[0][0])


def test_mail_with_a_specification_becomes_rows_an_object_and_work(watched: Any, letter: Any) -> None:
    arrived = watched.deliver(letter())
    before = cursor(watched)
    answer = watched.push(watched.function("gmail_push"))
    assert (answer.status_code, answer.data) == (204, b"")
    assert messages(watched) == [("ACCEPTED", "accepted")]
    [(spec_id, repo, path)] = watched.rows("select id::text, repo, storage_path from public.specs")
    assert (repo, path) == ("acme/greeting", f"{spec_id}/source")
    assert b"coverage_min: 0.8" in watched.store.get_spec(spec_id)
    assert watched.rows("select kind from public.outbox order by kind") == [("dispatch",), ("notify",)]
    assert cursor(watched) >= int(arrived["history_id"]) > before


def test_one_correlation_id_runs_from_mail_to_work(watched: Any, letter: Any) -> None:
    watched.deliver(letter())
    watched.push(watched.function("gmail_push"))
    ids = watched.rows(
        "select correlation_id from public.messages union select correlation_id from public.specs"
        " union select correlation_id from public.runs union select correlation_id from public.outbox"
    )
    assert len(ids) == 1
    assert ids[0][0]


def test_same_push_a_hundred_times_twenty_at_once_makes_one_specification(watched: Any, letter: Any) -> None:
    watched.deliver(letter())
    client, token = watched.function("gmail_push"), watched.id_token()
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: watched.push(client, token=token).status_code, range(100)))
    assert statuses == [204] * 100
    assert [count(watched, f"public.{table}") for table in ("messages", "specs", "runs")] == [1, 1, 1]
    assert count(watched, "storage.objects") - watched.objects_before == 1


def test_same_mail_under_a_second_gmail_id_makes_no_second_specification_or_object(watched: Any, letter: Any) -> None:
    mail = letter()
    client = watched.function("gmail_push")
    watched.deliver(mail)
    watched.push(client)
    watched.deliver(mail)
    watched.push(client)
    assert messages(watched) == [("ACCEPTED", "accepted"), ("IGNORED", "duplicate")]
    assert count(watched, "public.specs") == 1
    assert count(watched, "storage.objects") - watched.objects_before == 1


FORGED: list[dict[str, Any]] = [
    {"audience": "https://other.example/"},
    {"audience": "https://PUSH.example/"},
    {"audience": "https://push.example"},
    {"claims": {"aud": ["https://push.example/"]}},
    {"claims": {"aud": None}},
    {"email": "attacker@evil.iam.gserviceaccount.com"},
    {"claims": {"email_verified": False}},
    {"claims": {"email_verified": "true"}},
    {"claims": {"email_verified": None}},
    {"claims": {"email": None}},
    {"claims": {"iss": "https://accounts.google.com.evil.example"}},
    {"claims": {"iss": None}},
    {"claims": {"exp": 1}},
    {"claims": {"exp": None}},
    {"claims": {"iat": 4_000_000_000, "exp": 4_000_003_600}},
    {"header": {"kid": "unknown"}},
    {"header": {"alg": "none"}},
    {"signing": "none"},
    {"signing": "hs256-public"},
    {"signing": "stranger"},
    {"signing": "broken"},
]
UNREADABLE = [
    *(None, "", "Bearer", "Bearer ", "Basic eDp5", "Bearer x", "Bearer a.b.c", "Bearer " + "a" * 20_000),
    "Bearer \u00e4.\u00f6.\u00fc",
    "Bearer eyJhbGciOiJSUzI1NiJ9.e30.SIGNATURE_REMOVED_BY_GOOGLE",
]


def test_push_with_a_forged_token_is_refused_and_nothing_is_stored(watched: Any, letter: Any) -> None:
    watched.deliver(letter())
    before, client = cursor(watched), watched.function("gmail_push")
    for order in FORGED:
        answer = watched.push(client, token=watched.id_token(**order))
        assert (answer.status_code, answer.json["errors"][0]["code"]) == (401, "not-authenticated"), order
    assert (messages(watched), cursor(watched)) == ([], before)
    assert watched.push(client).status_code == 204


def test_push_without_a_readable_token_is_refused(watched: Any) -> None:
    client = watched.function("gmail_push")
    for authorization in UNREADABLE:
        headers = {} if authorization is None else {"Authorization": authorization}
        assert client.post("/", data=b"{}", headers=headers).status_code == 401, authorization


def test_certificates_that_cannot_be_fetched_are_our_trouble_and_not_the_callers(watched: Any) -> None:
    client = watched.function("gmail_push", GOOGLE_CERTS_URL="http://127.0.0.1:9/certs")
    assert watched.push(client).status_code == 503


def test_push_that_can_never_be_understood_is_acknowledged(watched: Any) -> None:
    client = watched.function("gmail_push")
    for body in (b"", b"nonsense", b"[]", b'{"message":{"data":"!"}}', b"[" * 100_000):
        assert watched.push(client, body=body).status_code == 204
    assert messages(watched) == []


def test_push_for_a_mailbox_that_is_not_ours_is_acknowledged(watched: Any) -> None:
    data = base64.b64encode(json.dumps({"emailAddress": "other@inbox.example", "historyId": "1"}).encode()).decode()
    body = json.dumps({"message": {"data": data, "message_id": "1"}}).encode()
    assert watched.push(watched.function("gmail_push"), body=body).status_code == 204


def test_other_methods_and_huge_bodies_are_refused(watched: Any) -> None:
    client = watched.function("gmail_push")
    assert client.get("/").status_code == 405
    answer = client.post("/", data=b"x" * 1_000_001)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (413, "body-too-large")


def test_stranger_is_recorded_and_gets_neither_object_nor_answer(watched: Any, letter: Any) -> None:
    watched.deliver(letter(sender="eve@evil.example"))
    watched.push(watched.function("gmail_push"))
    assert messages(watched) == [("REFUSED", "unknown-sender")]
    assert count(watched, "public.outbox") == 0
    assert count(watched, "storage.objects") - watched.objects_before == 0


def test_forged_sender_is_recorded_and_gets_no_answer(watched: Any, letter: Any) -> None:
    watched.deliver(letter(), authenticated="false")
    watched.push(watched.function("gmail_push"))
    [(state, reason)] = messages(watched)
    assert state == "REFUSED"
    assert reason != "unknown-sender"
    assert count(watched, "public.outbox") == 0


def test_broken_specification_is_answered_with_line_and_column(watched: Any, letter: Any) -> None:
    watched.deliver(letter(spec="meta:\n  project: greeting\n  repo: acme/greeting\nplanning: 5\n"))
    client = watched.function("gmail_push")
    watched.push(client)
    assert messages(watched)[0][0] == "INVALID"
    [(problems,)] = watched.rows("select problems from public.messages")
    assert problems[0]["attachment"] == "spec.yaml"
    assert problems[0]["line"] == 4
    watched.call(watched.function("notify"))
    [reply] = watched.sent()
    assert {"name": "To", "value": "ada@example.org"} in reply["headers"]


def test_repository_that_the_sender_may_not_target_is_answered(watched: Any, letter: Any) -> None:
    from tests.contract.functions.conftest import SPEC

    watched.deliver(letter(spec=SPEC.replace("acme/greeting", "acme/secret")))
    watched.push(watched.function("gmail_push"))
    assert messages(watched) == [("INVALID", "repository-not-allowed")]


def test_mail_that_nobody_wrote_to_us_is_left_alone(watched: Any, letter: Any) -> None:
    for label in ("SENT", "SPAM", "TRASH", "DRAFT"):
        watched.deliver(letter(), labels=f"INBOX,{label}")
    watched.push(watched.function("gmail_push"))
    assert {state for state, _ in messages(watched)} <= {"IGNORED"}
    assert count(watched, "public.specs") == 0


def test_push_before_the_first_watch_is_kept_leaves_old_mail_alone(line: Any, letter: Any) -> None:
    """A watch publishes at once, so the first push may come before tick has stored where the mailbox begins."""
    line.deliver(letter(subject="of the month before us"))
    push = line.function("gmail_push")
    assert line.push(push).status_code == 204
    assert messages(line) == []
    line.call(line.function("tick"))
    line.deliver(letter())
    assert line.push(line.function("gmail_push")).status_code == 204
    assert messages(line) == [("ACCEPTED", "accepted")]


def test_forgotten_history_means_the_inbox_is_read(watched: Any, letter: Any) -> None:
    watched.deliver(letter())
    watched.world.google.post(f"mailbox/{watched.mailbox}/expire-history")
    watched.push(watched.function("gmail_push"))
    assert ("ACCEPTED", "accepted") in messages(watched)


def test_mail_that_is_gone_already_is_fine(watched: Any, letter: Any) -> None:
    arrived = watched.deliver(letter())
    watched.deliver(letter())
    watched.world.google.client.delete(f"/_double/mailbox/{watched.mailbox}/messages/{arrived['gmail_id']}")
    assert watched.push(watched.function("gmail_push")).status_code == 204
    assert messages(watched) == [("ACCEPTED", "accepted")]
    assert cursor(watched) > int(arrived["history_id"])


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        (GET, {"status": 500, "times": 3}),
        (GET, {"status": 429, "retry_after": 60}),
        (GET, {"kind": "truncate", "times": 3}),
        (GET, {"kind": "garbage", "times": 3}),
        ("gmail.users.history.list", {"status": 503, "times": 3}),
    ],
)
def test_trouble_at_gmail_asks_for_redelivery_and_loses_nothing(
    watched: Any, letter: Any, operation: str, fault: dict[str, Any]
) -> None:
    arrived = watched.deliver(letter())
    client = watched.function("gmail_push")
    watched.world.google.break_(operation, **fault)
    answer = watched.push(client)
    assert answer.status_code == 503
    assert cursor(watched) < int(arrived["history_id"])
    if "retry_after" in fault:
        assert answer.headers["Retry-After"] == "60"
        # Whoever comes before the time is acknowledged, and Google is left alone.
        assert watched.push(client).status_code == 204
        assert messages(watched) == []
        watched.database.execute("update public.mailboxes set retry_at = now() - interval '1 second'")
    assert watched.push(client).status_code == 204
    assert messages(watched) == [("ACCEPTED", "accepted")]


def test_passing_trouble_is_not_even_noticed(watched: Any, letter: Any) -> None:
    watched.deliver(letter())
    watched.world.google.break_(GET, status=503, times=2)
    assert watched.push(watched.function("gmail_push")).status_code == 204


def test_mail_that_gmail_cannot_hand_over_holds_the_cursor_but_not_the_next_mail(watched: Any, letter: Any) -> None:
    first = watched.deliver(letter())
    watched.deliver(letter())
    client = watched.function("gmail_push")
    watched.world.google.break_(GET, status=500, times=3)
    assert watched.push(client).status_code == 503
    assert len(messages(watched)) == 1
    assert cursor(watched) < int(first["history_id"])
    assert watched.push(client).status_code == 204
    assert len(messages(watched)) == 2


def test_dead_refresh_token_is_recorded_with_its_fix_and_acknowledged(watched: Any, letter: Any) -> None:
    arrived = watched.deliver(letter())
    watched.world.google.post("accounts", email=watched.mailbox, revoked=True)
    client = watched.function("gmail_push")
    assert watched.push(client).status_code == 204
    assert cursor(watched) < int(arrived["history_id"])
    assert "GMAIL_REFRESH_TOKEN" in watched.rows("select last_error_fix from public.mailboxes")[0][0]
    watched.world.google.problems()
    watched.world.google.post("accounts", email=watched.mailbox, revoked=False)
    watched.database.execute("update public.mailboxes set last_push_at = now() - interval '1 hour'")
    watched.call(watched.function("tick"))
    assert ("ACCEPTED", "accepted") in messages(watched)


@pytest.mark.parametrize(
    "change", [{"SUPABASE_URL": "http://127.0.0.1:9"}, {"AICD_FUNCTIONS_TOKEN": "dead.token.here"}]
)
def test_database_that_does_not_let_us_in_asks_for_redelivery(
    watched: Any, letter: Any, change: dict[str, str]
) -> None:
    watched.deliver(letter())
    assert watched.push(watched.function("gmail_push", **change)).status_code >= 500
    assert watched.push(watched.function("gmail_push")).status_code == 204
    assert messages(watched) == [("ACCEPTED", "accepted")]


def test_poisoned_mail_is_recorded_as_unreadable_and_blocks_nothing(watched: Any, letter: Any) -> None:
    from functions._shared.gmail.client import GmailClient
    from functions._shared.settings import Environment, GoogleSettings
    from functions._shared.wiring import open_intake

    first = watched.deliver(letter(subject="poison"))
    watched.deliver(letter(subject="honest"))
    google = GoogleSettings.read(Environment(watched.environment))
    honest = open_intake(watched.store, google, "mx.google.com").reader(watched.mailbox)

    def read(raw: bytes) -> Any:
        if b"poison" in raw:
            raise ZeroDivisionError("a bug that only this mail meets")
        return honest.read_mail(raw)

    gmail = GmailClient(google, watched.mailbox)
    intake = Intake(watched.store, lambda _: gmail, lambda _: Reader(read, honest.check_spec))
    report = sync_mailbox(watched.mailbox, intake)
    assert report is not None
    assert messages(watched) == [("REFUSED", "unreadable"), ("ACCEPTED", "accepted")]
    assert cursor(watched) > int(first["history_id"])


class AllowedMeanwhile:
    """The store, with a sender who is put on the allow-list right after the list was read."""

    def __init__(self, line: Any, sender: str) -> None:
        self._line, self._sender, self.reads = line, sender, 0

    def open_mailbox(self, email: str) -> Any:
        mailbox = self._line.store.open_mailbox(email)
        if not self.reads:
            self._line.rows("select public.allow_sender_v1(%s, null, '{}')", self._sender)
        self.reads += 1
        return mailbox

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line.store, name)


def test_sender_is_not_refused_by_a_list_that_is_older_than_his_place_on_it(watched: Any, letter: Any) -> None:
    from functions._shared.settings import Environment, GoogleSettings
    from functions._shared.wiring import open_intake

    opened = open_intake(watched.store, GoogleSettings.read(Environment(watched.environment)), "mx.google.com")
    store: Any = AllowedMeanwhile(watched, "new@customer.example")
    watched.deliver(letter(sender="new@customer.example"))
    watched.deliver(letter(sender="eve@evil.example"))
    sync_mailbox(watched.mailbox, Intake(store, opened.gmail, opened.reader))
    assert messages(watched) == [("ACCEPTED", "accepted"), ("REFUSED", "unknown-sender")]


HOSTILE = [
    b"\r\n",
    b"\x00" * 100,
    b"not a mail at all",
    b"From: a@b\r\n" * 2_000,
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n" * 5_000,
    b"From: a@example.org\r\nSubject: =?utf-8?b?AAAA\xff?=\r\nContent-Type: text/plain; charset=klingon\r\n\r\n\xff",
]


def test_hostile_mail_is_recorded_with_a_reason(watched: Any) -> None:
    for raw in HOSTILE:
        watched.deliver(raw)
    assert watched.push(watched.function("gmail_push")).status_code == 204
    assert [state for state, _ in messages(watched)] == ["REFUSED"] * len(HOSTILE)
    assert all(reason for _, reason in messages(watched))
