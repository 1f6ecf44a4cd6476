"""Letters in plain words at the door, against the Gmail double and the real database."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any

import pytest

from local.administration import Administration

WISH = "Hello,\n\nplease greet people by their name.\n\nAda\n"


def write(text: str, *, answers: EmailMessage | None = None, sender: str = "ada@example.org") -> EmailMessage:
    from tests.contract.functions.conftest import letter

    mail = letter(subject="A wish", sender=sender, spec=None)
    mail.set_content(text)
    if answers is not None:
        mail["In-Reply-To"] = mail["References"] = answers["Message-ID"]
    return mail


@pytest.fixture
def watched(line: Any) -> Any:
    """The line with a cursor: what arrives from now on is news."""
    line.deliver(b"From: x@example.org\r\nSubject: before the watch\r\n\r\nhello\r\n")
    newest = line.world.google.get(f"mailbox/{line.mailbox}/messages")[-1]["history_id"]
    [(mailbox_id,)] = line.rows("select id::text from public.mailboxes")
    line.store.renew_mailbox(mailbox_id, newest, "2026-12-01T00:00:00Z")
    return line


def messages(line: Any) -> list[tuple[str, str]]:
    return line.rows("select state, reason from public.messages order by created_at")


def told(line: Any) -> str:
    [(problems,)] = line.rows("select problems from public.messages where state = 'INVALID'")
    return str(problems[0]["message"])


def administer(line: Any) -> Administration:
    return Administration(line.world.db_url)


def test_letter_that_names_no_repository_is_stored_for_its_senders_only_one(watched: Any) -> None:
    watched.deliver(write(WISH))
    assert watched.push(watched.function("gmail_push")).status_code == 204
    assert messages(watched) == [("ACCEPTED", "accepted")]
    assert watched.rows("select repo, format from public.specs") == [("acme/greeting", "text")]
    assert watched.rows("select label, plan_json from public.sprints") == [("planning", None)]
    assert watched.rows("select count(*) from public.outbox where kind = 'dispatch'") == [(1,)]


def test_letter_of_one_with_several_repositories_is_asked_for_which_and_hears_of_no_other(watched: Any) -> None:
    with administer(watched) as operator:
        for repo in ("acme/bakery", "rival/secret"):
            operator.create_project({"repo": repo})
        operator.allow_sender("ada@example.org", "acme/bakery")
    watched.deliver(write(WISH))
    watched.push(watched.function("gmail_push"))
    assert messages(watched) == [("INVALID", "repository-missing")]
    assert "acme/bakery, acme/greeting" in told(watched)
    assert "rival" not in told(watched)


def test_letter_in_the_thread_of_earlier_work_is_for_the_same_repository(watched: Any) -> None:
    with administer(watched) as operator:
        operator.create_project({"repo": "acme/bakery"})
        operator.allow_sender("ada@example.org", "acme/bakery")
    first = write(f"repository: acme/bakery\n\n{WISH}")
    watched.deliver(first)
    client = watched.function("gmail_push")
    watched.push(client)
    watched.deliver(write("Now also say goodbye to them, please.", answers=first))
    watched.push(client)
    assert watched.rows("select repo from public.specs") == [("acme/bakery",)] * 2


@pytest.mark.parametrize("told_by", ["project", "function"])
def test_letter_is_answered_with_what_to_write_where_nobody_plans(watched: Any, told_by: str) -> None:
    if told_by == "project":
        with administer(watched) as operator:
            operator.create_project({"repo": "acme/greeting", "policy": {"planner": False}})
    watched.deliver(write(WISH))
    watched.push(watched.function("gmail_push", **({"AICD_PLANNER": "off"} if told_by == "function" else {})))
    assert messages(watched) == [("INVALID", "planning-off")]
    assert "at least one sprint" in told(watched)
    assert watched.rows("select count(*) from public.specs") == [(0,)]


def test_thanks_in_a_thread_are_recorded_and_neither_planned_nor_answered(watched: Any) -> None:
    first = write(WISH)
    watched.deliver(first)
    client = watched.function("gmail_push")
    watched.push(client)
    watched.deliver(write("Thank you very much!\n\nAda\n", answers=first))
    watched.push(client)
    assert messages(watched) == [("ACCEPTED", "accepted"), ("IGNORED", "thanks")]
    assert watched.rows("select count(*) from public.specs") == [(1,)]
    assert watched.rows("select count(*) from public.outbox where kind = 'notify'") == [(1,)]


def test_mail_of_nothing_is_not_taken_for_a_bounce(watched: Any) -> None:
    for raw in (b"", b"\r\n", b"\x00\x01\x02"):
        watched.deliver(raw)
    watched.push(watched.function("gmail_push"))
    assert sorted(messages(watched)) == [("REFUSED", "malformed-headers"), *[("REFUSED", "no-from")] * 2]


def test_wish_to_have_letters_planned_must_be_on_or_off(watched: Any) -> None:
    answer = watched.push(watched.function("gmail_push", AICD_PLANNER="maybe"))
    assert answer.status_code == 500
    assert messages(watched) == []


def attach(mail: EmailMessage) -> EmailMessage:
    mail.add_attachment(b"PK\3\4", maintype="application", subtype="msword", filename="Wishes.doc")
    return mail


def last_answer(line: Any) -> str:
    line.call(line.function("notify"))
    raw = line.world.google.client.get(f"/_double/sent/{line.sent()[-1]['id']}.eml").content
    part = email.message_from_bytes(raw, policy=email.policy.default).get_body(("plain",))
    return str(part.get_content()) if part else ""


def test_receipt_tells_what_of_a_letter_was_not_read(watched: Any) -> None:
    watched.deliver(attach(write(f"{WISH}\nBest regards\nAda\nacme")))
    watched.push(watched.function("gmail_push"))
    assert messages(watched) == [("ACCEPTED", "accepted")]
    answer = " ".join(last_answer(watched).split())
    assert "'Wishes.doc' was not read" in answer
    assert "3 lines from 'Best regards' on were taken for a signature" in answer


def test_letter_that_points_at_a_file_that_nobody_reads_is_answered_and_not_built(watched: Any) -> None:
    watched.deliver(attach(write("Hello,\n\nplease find my wishes attached.\n\nAda\n")))
    watched.push(watched.function("gmail_push"))
    assert messages(watched) == [("INVALID", "attachment-unread")]
    assert "'Wishes.doc' cannot be read here" in last_answer(watched)
    assert watched.rows("select count(*) from public.specs") == [(0,)]
