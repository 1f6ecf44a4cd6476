"""An operator finds a dead letter with `aicd outbox`, and heals or drops it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.crash.children import Nursery
from tests.crash.world import SENDER, World, letter
from tests.spoken import Aicd, speaker

pytestmark = pytest.mark.database


@pytest.fixture
def aicd(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Aicd:
    """`aicd outbox …` with the owner's address."""
    monkeypatch.setenv("DB_URL", world.database.owner_url)
    return speaker(capsys, "outbox")


def kill_letters(world: World, kind: str, error: str = "gmail-unavailable: Gmail cannot serve us now.") -> str:
    """Let one mail's row of this kind have its last failure; the row's id."""
    (row,) = world.rows("select id::text from public.outbox where kind = %s", kind)
    world.execute("update public.outbox set attempts = 7 where kind = %s", kind)
    (leased,) = world.store().claim_outbox([kind], 1, 60)
    assert world.store().retry_outbox(leased["id"], leased["lease_id"], error)["dead"] is True
    return str(row["id"])


@pytest.fixture
def mailed(clean: World, nursery: Nursery) -> World:
    clean.deliver(letter())
    assert nursery.push().status == 204
    return clean


def test_dead_mail_is_listed_requeued_and_sent_once(mailed: World, nursery: Nursery, aicd: Aicd) -> None:
    before = len(mailed.sent())
    dead = kill_letters(mailed, "notify")
    (row,) = aicd("list", "--dead", "--json").json["rows"]
    assert (row["id"], row["state"], row["requester"], row["template"]) == (dead, "DEAD", SENDER, "spec_received")
    assert "Gmail cannot serve us" in row["last_error"]
    answer = aicd("requeue", dead, "--json").json
    assert (answer["outcome"], answer["row"]["state"]) == ("due", "PENDING")
    assert nursery.call("notify").status == 200
    assert mailed.rows("select state from public.outbox where id = %s", dead) == [{"state": "DONE"}]
    assert len(mailed.sent()) == before + 1


def test_requeued_mail_that_had_gone_out_is_not_sent_again(mailed: World, nursery: Nursery, aicd: Aicd) -> None:
    """Its worker died after the send, each time: the count must not begin anew, or nobody would look."""
    assert nursery.call("notify").status == 200
    before = len(mailed.sent())
    (sent,) = mailed.rows("select id::text, result from public.outbox where kind = 'notify'")
    dead = revive_as_dead(mailed, sent["id"])
    assert aicd("requeue", dead, "--json").json["outcome"] == "due"
    assert nursery.call("notify").status == 200
    (row,) = mailed.rows("select state, result ->> 'outcome' as outcome from public.outbox where id = %s", dead)
    assert row == {"state": "DONE", "outcome": "already-sent"}
    assert len(mailed.sent()) == before


def revive_as_dead(world: World, row_id: str) -> str:
    """The row as it would be had its last worker died between the send and the mark."""
    (row,) = world.rows(
        "delete from public.outbox where id = %s returning kind, payload::text, idempotency_key", row_id
    )
    world.execute(
        "insert into public.outbox (id, kind, payload, idempotency_key) values (%s, %s, %s::jsonb, %s)",
        row_id, row["kind"], row["payload"], row["idempotency_key"],
    )  # fmt: skip
    return kill_letters(world, row["kind"])


def test_dead_work_order_gets_its_sprint_another_run(mailed: World, nursery: Nursery, aicd: Aicd) -> None:
    dead = kill_letters(mailed, "dispatch", "workflow-not-found: no workflow")
    assert mailed.rows("select state from public.sprints") == [{"state": "FAILED"}]
    first = aicd("requeue", dead, "--json").json
    assert first["outcome"] == "replaced"
    assert aicd("requeue", dead, "--json").json["run_id"] == first["run_id"]
    assert nursery.call("dispatch").status == 200
    runs = mailed.rows("select id::text, attempt, result, ci_run_id is not null as bound from public.runs order by 2")
    assert [(run["attempt"], run["result"], run["bound"]) for run in runs] == [(1, "FAILED", False), (2, None, True)]
    assert runs[1]["id"] == first["run_id"]
    assert aicd("list", "--dead", "--json").json["rows"] == []


def test_work_order_of_a_sprint_that_went_on_is_not_started_again(mailed: World, aicd: Aicd) -> None:
    dead = kill_letters(mailed, "dispatch")
    mailed.execute("update public.sprints set state = 'CANCELLED'")
    done = aicd("requeue", dead)
    assert (done.code, "drop the row" in done.err) == (1, True)
    assert mailed.count("select count(*) from public.runs") == 1


def test_dropped_letter_is_gone_and_stays_in_the_audit_log(mailed: World, aicd: Aicd) -> None:
    dead = kill_letters(mailed, "notify")
    assert aicd("drop", dead, "--reason", "the requester left").code == 0
    assert mailed.count("select count(*) from public.outbox where id = %s", dead) == 0
    (entry,) = mailed.rows(
        "select actor, details from public.audit_log where subject_id = %s and action like 'drop%%'", dead
    )
    assert entry["actor"] == "postgres"
    assert entry["details"]["reason"] == "the requester left"
    assert entry["details"]["payload"]["template"] == "spec_received"


def test_waiting_row_is_due_at_once_and_a_leased_one_is_left_alone(mailed: World, aicd: Aicd) -> None:
    (row,) = mailed.rows("select id::text from public.outbox where kind = 'notify'")
    mailed.execute("update public.outbox set next_attempt_at = now() + interval '1 hour', attempts = 5")
    assert mailed.store().claim_outbox(["notify"], 1, 60) == []
    assert aicd("requeue", row["id"], "--json").json["outcome"] == "due"
    assert len(mailed.store().claim_outbox(["notify"], 1, 60)) == 1
    answer = aicd("requeue", row["id"], "--json").json
    assert (answer["outcome"], answer["row"]["attempts"]) == ("leased", 2)


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("requeue", "nonsense"), 2, "not a row's id"),
        (("requeue", str(uuid.UUID(int=7))), 1, "no such outbox row"),
        (("drop", str(uuid.UUID(int=7)), "--reason", "x"), 1, "no such outbox row"),
        (("drop", str(uuid.UUID(int=7))), 2, "reason"),
        (("list", "--limit", "0"), 2, "limit"),
    ],
)
def test_wrong_order_says_what_is_wrong(
    clean: World, aicd: Aicd, arguments: tuple[str, ...], code: int, word: str
) -> None:
    done = aicd(*arguments)
    assert (done.code, word in done.err, "Traceback" in done.err) == (code, True, False), done.err


def test_pending_row_cannot_be_dropped_nor_a_dead_one_without_a_reason(mailed: World, aicd: Aicd) -> None:
    (row,) = mailed.rows("select id::text from public.outbox where kind = 'notify'")
    assert aicd("drop", row["id"], "--reason", "x").code == 1
    dead = kill_letters(mailed, "notify")
    assert aicd("drop", dead, "--reason", "  ").code == 1


def test_list_for_a_person_is_plain_lines(mailed: World, aicd: Aicd) -> None:
    dead = kill_letters(mailed, "notify", "oops\x1b[31m\nsecond line")
    done = aicd("list")
    head, first, *_ = done.out.splitlines()
    assert head.split("\t")[0] == "id"
    assert first.startswith(f"{dead}\tnotify spec_received\tDEAD\t8\t")
    assert "\x1b" not in done.out
    assert "1 of them dead" in done.err


def test_operators_verbs_are_nobody_elses(clean: World) -> None:
    roles: list[Any] = clean.rows(
        "select role, proname"
        " from unnest(array['anon', 'authenticated', 'service_role', 'aicd_functions', 'aicd_runner']) role, pg_proc"
        " where proname in ('list_outbox_v1', 'requeue_outbox_v1', 'drop_outbox_v1')"
        " and has_function_privilege(role, pg_proc.oid, 'execute')"
    )
    assert roles == []
