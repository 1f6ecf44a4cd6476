"""notify against the Gmail double and the real outbox: each notice once, in its thread, to the proven sender."""

from __future__ import annotations

import email
import email.policy
import re
from typing import Any

import httpx
import pytest

from functions._shared.outbox.drain import GivenUp, Lease, Work, drain_outbox
from functions._shared.ports import Row
from local.administration import Administration

SEND = "gmail.users.messages.send"


def outbox(line: Any) -> list[tuple[str, int, str | None]]:
    return line.rows("select state, attempts, last_error from public.outbox where kind = 'notify'")


def headers(mail: dict[str, Any]) -> dict[str, str]:
    return {field["name"]: field["value"] for field in mail["headers"]}


def fetch(line: Any, mail: dict[str, Any]) -> Any:
    raw = line.world.google.client.get(f"/_double/sent/{mail['id']}.eml").content
    return email.message_from_bytes(raw, policy=email.policy.default)


def test_receipt_goes_to_the_sender_and_says_that_a_machine_wrote_it(line: Any) -> None:
    made = line.ingest()
    assert line.call(line.function("notify")).json["data"]["finished"] == 1
    [sent] = line.sent()
    found = headers(sent)
    assert (found["To"], found["From"], found["Auto-Submitted"]) == ("ada@example.org", line.mailbox, "auto-replied")
    assert found["In-Reply-To"] == f"<{made['message_id']}@example.org>"
    assert outbox(line)[0][0] == "DONE"


def test_reply_lies_in_the_thread_of_the_mail_it_answers(line: Any, letter: Any) -> None:
    original = letter(subject="Please build this")
    arrived = line.deliver(original)
    line.ingest(
        gmail_thread_id=arrived["thread_id"], rfc_message_id=original["Message-ID"], subject=original["Subject"]
    )
    line.call(line.function("notify"))
    [sent] = line.sent()
    assert sent["thread_id"] == arrived["thread_id"]
    assert headers(sent)["Subject"] == "Re: Please build this"


def test_specification_that_waits_is_answered_by_its_plan_and_how_to_approve_it(line: Any, letter: Any) -> None:
    line.database.execute('update projects set policy = \'{"approval": "required"}\'')
    [(mailbox_id,)] = line.rows("select id::text from public.mailboxes")
    line.store.renew_mailbox(mailbox_id, "1", "2026-12-01T00:00:00Z")
    line.deliver(letter(subject="Please build this"))
    assert line.push(line.function("gmail_push")).status_code == 204
    client = line.function("notify")
    assert line.call(client).json["data"]["finished"] == 1
    [sent] = line.sent()
    text = fetch(line, sent).get_body(("plain",)).get_content()
    [(sprint_id,)] = line.rows("select id::text from public.sprints where state = 'NEEDS_APPROVAL'")
    assert f"aicd sprint approve {sprint_id}" in text
    assert "greet returns a greeting" in text
    assert "coverage_min 0.8" in text
    assert "work has begun" not in text
    with Administration(line.world.db_url) as operator:
        operator.approve_sprint(sprint_id)
    assert line.rows("select count(*) from public.outbox where kind = 'dispatch'") == [(1,)]


@pytest.mark.parametrize("fault", [{"status": 500}, {"kind": "truncate"}, {"kind": "garbage"}])
def test_mail_whose_answer_was_lost_is_not_sent_again(line: Any, fault: dict[str, Any]) -> None:
    line.ingest()
    client = line.function("notify")
    line.world.google.break_(SEND, after_effect=True, **fault)
    assert line.call(client).json["data"]["retried"] == 1
    line.make_due()
    assert line.call(client).json["data"]["finished"] == 1
    assert len(line.sent()) == 1
    [(result,)] = line.rows("select result from public.outbox where kind = 'notify'")
    assert result["outcome"] == "already-sent"


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_mail_that_was_not_sent_is_sent_later(line: Any, status: int) -> None:
    line.ingest()
    client = line.function("notify")
    line.world.google.break_(SEND, status=status)
    assert line.call(client).json["data"]["retried"] == 1
    assert line.sent() == []
    line.make_due()
    line.call(client)
    assert len(line.sent()) == 1


def test_report_links_to_signed_artifacts_that_open_without_a_token(line: Any) -> None:
    made = line.ingest()
    client = line.function("notify")
    line.call(client)
    content, artifact_id = b"<h1>report</h1>", "00000000-0000-4000-8000-000000000001"
    path = f"{made['run_id']}/{artifact_id}"
    line.upload("artifacts", path, content)
    line.database.execute(
        "insert into public.artifacts (id, run_id, kind, name, content_type, size, sha256, storage_path)"
        " values (%s, %s, 'report', 'report.html', 'text/html', %s, %s, %s)",
        (artifact_id, made["run_id"], len(content), "0" * 64, path),
    )
    line.store.abandon_run(made["run_id"], "workflow-not-found", "There is no workflow.")
    line.call(client)
    report = fetch(line, line.sent()[-1])
    text = report.get_body(("plain",)).get_content()
    assert "There is no workflow." in text
    [link] = re.findall(r"https?://\S+token=\S+", text)
    assert httpx.get(link, trust_env=False).content == content


def test_dead_refresh_token_is_named_with_its_fix(line: Any) -> None:
    line.ingest()
    line.world.google.post("accounts", email=line.mailbox, revoked=True)
    line.call(line.function("notify"))
    [(state, _, error)] = outbox(line)
    assert state == "PENDING"
    assert "GMAIL_REFRESH_TOKEN" in str(error)
    line.world.google.problems()


def test_thread_that_is_gone_does_not_keep_the_mail(line: Any) -> None:
    line.ingest(gmail_thread_id="ffffffffffffffff")
    line.call(line.function("notify"))
    assert len(line.sent()) == 1


def test_row_that_its_worker_gives_up_is_a_dead_letter_after_one_attempt(line: Any) -> None:
    line.ingest()

    def carry_out(_row: Row, _lease: Lease) -> dict[str, Any]:
        raise GivenUp("There is no such user.", code="no-such-user")

    counts = drain_outbox(line.store, Work("notify", carry_out)).as_json()
    assert (counts["claimed"], counts["dead"], counts["retried"]) == (1, 1, 0)
    assert outbox(line) == [("DEAD", 1, "no-such-user: There is no such user.")]
