"""The outbox: two workers never share a row, a dead worker's row comes back, and what cannot be done dies visibly."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.database.world import World, refused

pytestmark = pytest.mark.database


def claim(world: World, limit: int = 10, lease_seconds: int = 60, kinds: tuple[str, ...] = ("notify",)) -> list[Any]:
    return list(world.functions().call("claim_outbox_v1", kinds=list(kinds), limit=limit, lease_seconds=lease_seconds))


def fill(world: World, rows: int, kind: str = "notify") -> None:
    world.execute(
        "insert into outbox (kind, payload, idempotency_key)"
        " select %s, jsonb_build_object('template', 'report'), %s || n from generate_series(1, %s) as n",
        kind,
        f"{kind}:",
        rows,
    )


def make_due(world: World) -> None:
    world.execute(
        "update outbox set next_attempt_at = now() - interval '1 s', lease_expires_at = now() - interval '1 s'"
    )


def test_claimed_row_carries_what_its_worker_needs(world: World) -> None:
    made = world.ingest()
    (row,) = claim(world, kinds=("dispatch",))
    assert set(row) == {"id", "kind", "payload", "attempts", "idempotency_key", "correlation_id", "lease_id"}
    assert row["payload"]["run_id"] == made["run_id"]
    assert row["payload"]["spec_id"] == made["spec_id"]
    assert (row["attempts"], row["idempotency_key"]) == (1, f"dispatch:{made['run_id']}")


def test_two_workers_at_once_never_get_the_same_row(world: World) -> None:
    fill(world, 60)
    start = threading.Barrier(2)

    def work(_: int) -> list[str]:
        start.wait()
        return [row["id"] for _ in range(30) for row in claim(world, limit=1)]

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, range(2))
    assert len(first) + len(second) == 60
    assert not set(first) & set(second)


def test_leased_row_is_not_offered_again_until_the_lease_ends(world: World) -> None:
    fill(world, 1)
    (row,) = claim(world, lease_seconds=60)
    assert claim(world) == []
    world.execute("update outbox set lease_expires_at = now() - interval '1 second'")
    (again,) = claim(world)
    assert (again["id"], again["attempts"]) == (row["id"], 2)
    assert again["lease_id"] != row["lease_id"]


def test_worker_that_lost_its_lease_can_neither_finish_nor_retry(world: World) -> None:
    fill(world, 1)
    (late,) = claim(world)
    make_due(world)
    (now,) = claim(world)
    functions = world.functions()
    assert functions.call("finish_outbox_v1", id=late["id"], lease_id=late["lease_id"], result={}) is False
    functions.call("retry_outbox_v1", id=late["id"], lease_id=late["lease_id"], error="slow", retry_after_seconds=None)
    assert functions.call("finish_outbox_v1", id=now["id"], lease_id=now["lease_id"], result={"ok": True}) is True
    assert world.one("select state, result from outbox") == ("DONE", {"ok": True})


def test_finishing_twice_is_true_twice(world: World) -> None:
    fill(world, 1)
    (row,) = claim(world)
    answers = [
        world.functions().call("finish_outbox_v1", id=row["id"], lease_id=row["lease_id"], result={}) for _ in range(2)
    ]
    assert answers == [True, True]
    assert claim(world) == []


def test_retries_wait_longer_each_time_and_end_dead(world: World) -> None:
    fill(world, 1)
    waits = []
    for attempt in range(1, 9):
        make_due(world)
        (row,) = claim(world)
        assert row["attempts"] == attempt
        answer = world.functions().call("retry_outbox_v1", id=row["id"], lease_id=row["lease_id"], error="down")
        waits.append(float(world.value("select extract(epoch from next_attempt_at - now()) from outbox")))
        assert answer["dead"] is (attempt == 8)
    for place, waited in enumerate(waits[:7]):
        assert 0.5 * 5 * 2**place - 1 <= waited <= 1.5 * 5 * 2**place + 1
    assert world.one("select state, last_error, dead_at is not null from outbox") == ("DEAD", "down", True)
    make_due(world)
    assert claim(world) == []


def test_retry_waits_at_least_what_the_service_asked_for(world: World) -> None:
    fill(world, 1)
    (row,) = claim(world)
    world.functions().call(
        "retry_outbox_v1", id=row["id"], lease_id=row["lease_id"], error="429", retry_after_seconds=900.5
    )
    assert 890 < float(world.value("select extract(epoch from next_attempt_at - now()) from outbox")) < 910


def test_row_that_kills_its_worker_eight_times_dies(world: World) -> None:
    fill(world, 1)
    for _ in range(8):
        make_due(world)
        assert len(claim(world)) == 1
    make_due(world)
    assert claim(world) == []
    assert world.value("select state from outbox") == "DEAD"


def test_run_that_can_never_be_dispatched_fails_and_is_reported(world: World) -> None:
    made = world.ingest()
    world.execute("update outbox set attempts = 7 where kind = 'dispatch'")
    (row,) = claim(world, kinds=("dispatch",))
    answer = world.functions().call("retry_outbox_v1", id=row["id"], lease_id=row["lease_id"], error="no workflow")
    assert answer["dead"] is True
    assert world.one("select result, summary_json #>> '{error,code}' from runs where id = %s", made["run_id"]) == (
        "FAILED",
        "dispatch-failed",
    )
    assert world.value("select state from sprints") == "FAILED"
    assert world.value("select count(*) from outbox where payload ->> 'template' = 'report'") == 1


def test_unknown_row_cannot_be_retried(world: World) -> None:
    for verb in ("retry_outbox_v1", "bury_outbox_v1"):
        with refused(404, "outbox-row-not-found"):
            world.functions().call(verb, id=str(uuid.uuid4()), lease_id=str(uuid.uuid4()), error="x")


def test_row_that_no_try_could_carry_out_is_dead_at_once_and_an_operator_can_have_it_tried_again(world: World) -> None:
    fill(world, 1)
    (row,) = claim(world)
    taken = {"id": row["id"], "lease_id": row["lease_id"]}
    bury = [world.functions().call("bury_outbox_v1", **taken, error="550 no such user") for _ in range(2)]
    assert bury == [{"dead": True}] * 2
    assert world.one("select state, attempts, last_error, dead_at is not null from outbox") == (
        "DEAD", 1, "550 no such user", True,
    )  # fmt: skip
    assert world.value("select count(*) from audit_log where action = 'bury_outbox'") == 1
    make_due(world)
    assert claim(world) == []
    world.execute("select requeue_outbox_v1(%s)", row["id"])
    assert [again["id"] for again in claim(world)] == [row["id"]]


def test_worker_whose_lease_was_lost_buries_nothing(world: World) -> None:
    fill(world, 1)
    (late,) = claim(world)
    make_due(world)
    (now,) = claim(world)
    answer = world.functions().call("bury_outbox_v1", id=late["id"], lease_id=late["lease_id"], error="x")
    assert answer == {"dead": False}
    assert world.functions().call("finish_outbox_v1", id=now["id"], lease_id=now["lease_id"], result={}) is True


def test_work_order_that_is_buried_ends_its_run(world: World) -> None:
    made = world.ingest()
    (row,) = claim(world, kinds=("dispatch",))
    world.functions().call("bury_outbox_v1", id=row["id"], lease_id=row["lease_id"], error="no such workflow")
    assert world.one("select result from runs where id = %s", made["run_id"]) == ("FAILED",)


def test_kinds_are_kept_apart(world: World) -> None:
    fill(world, 2, "notify")
    fill(world, 3, "dispatch")
    assert len(claim(world, kinds=("dispatch",))) == 3
    assert len(claim(world, kinds=("notify", "dispatch"))) == 2
