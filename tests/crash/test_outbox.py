"""Workers of the outbox are killed at every step, hurried, and set upon the same rows at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from functions._shared.outbox.drain import BEGIN_WITHIN_SECONDS, LEASE_SECONDS, Lease, Work, drain_outbox
from tests.crash.children import OUTBOX, Nursery, sample
from tests.crash.world import World

pytestmark = pytest.mark.database

WORKERS = 4
ROWS = 20


def row_of(world: World, kind: str, made: dict[str, str]) -> dict[str, Any]:
    (row,) = world.rows(
        "select id::text, state, attempts, result from public.outbox where kind = %s and payload ->> 'spec_id' = %s",
        kind, made["spec_id"],
    )  # fmt: skip
    return row


def workflow_runs(world: World) -> Counter[str]:
    """How many CI runs GitHub started, by our run's id."""
    return Counter(run["inputs"]["run-id"] for run in world.github.get("runs"))


def finish_later(world: World, nursery: Nursery, function: str) -> None:
    """What tick or the next webhook does once the dead worker's lease is over."""
    world.make_due()
    assert nursery.call(function).status == 200


def test_dispatch_killed_at_any_step_starts_one_ci_run(
    clean: World, nursery: Nursery, chaos: bool, tell: Callable[[str], None]
) -> None:
    clean.ingest()
    whole = nursery.call("dispatch", watched=OUTBOX)
    points = sample(whole, 0 if chaos else 14)
    killed = 0
    for step in points:
        made = clean.ingest()
        killed += nursery.call("dispatch", die=step, watched=OUTBOX).killed
        finish_later(clean, nursery, "dispatch")
        assert row_of(clean, "dispatch", made)["state"] == "DONE", step
        (bound,) = clean.rows("select ci_run_id from public.runs where id = %s", made["run_id"])
        runs = [run for run in clean.github.get("runs") if run["inputs"]["run-id"] == made["run_id"]]
        assert [str(run["id"]) for run in runs] == [bound["ci_run_id"]], f"killed at step {step}"
    assert killed >= 0.95 * len(points)
    tell(f"N = {whole.steps} steps; killed at {killed}; one CI run each")


def cancelled(world: World, nursery: Nursery) -> dict[str, str]:
    """A specification whose run GitHub carries out, and that nobody wants any more."""
    made = world.ingest()
    finish_later(world, nursery, "dispatch")
    with world.administration() as operator:
        operator.cancel_spec(made["spec_id"], "not needed")
    return made


def test_stop_killed_at_any_step_stops_the_ci_run(
    clean: World, nursery: Nursery, chaos: bool, tell: Callable[[str], None]
) -> None:
    cancelled(clean, nursery)
    whole = nursery.call("dispatch", watched=OUTBOX)
    points = sample(whole, 0) if chaos else sample(whole, 1)[::2]
    killed = 0
    for step in points:
        made = cancelled(clean, nursery)
        killed += nursery.call("dispatch", die=step, watched=OUTBOX).killed
        finish_later(clean, nursery, "dispatch")
        assert row_of(clean, "cancel", made)["state"] == "DONE", step
        (run,) = [run for run in clean.github.get("runs") if run["inputs"]["run-id"] == made["run_id"]]
        assert (run["conclusion"], run["cancel_requested"]) == ("cancelled", True), f"killed at step {step}"
    assert killed >= 0.95 * len(points)
    tell(f"N = {whole.steps} steps; killed at {killed}; every CI run stopped")


def test_notify_killed_at_any_step_sends_one_mail(
    clean: World, nursery: Nursery, chaos: bool, tell: Callable[[str], None]
) -> None:
    clean.ingest()
    whole = nursery.call("notify", watched=OUTBOX)
    points = sample(whole, 0 if chaos else 14)
    made: dict[int, dict[str, str]] = {}
    killed = 0
    for step in points:
        made[step] = clean.ingest()
        killed += nursery.call("notify", die=step, watched=OUTBOX).killed
        finish_later(clean, nursery, "notify")
    sent = Counter(clean.notices())
    rows = {step: row_of(clean, "notify", one) for step, one in made.items()}
    assert {row["state"] for row in rows.values()} == {"DONE"}
    assert all(sent[row["id"]] >= 1 for row in rows.values()), "a mail was lost"
    twice = sum(sent[row["id"]] == 2 for row in rows.values())
    found = sum(row["result"]["outcome"] == "already-sent" for row in rows.values())
    assert found >= 1, "no child died between the send and the mark"
    assert twice == 0, "the double's search knows every mail at once, so none may go out twice"
    assert killed >= 0.95 * len(points)
    tell(f"N = {whole.steps} steps; killed at {killed}; 0 lost, {twice} twice; {found} found as sent already")


@pytest.mark.parametrize("function", ["dispatch", "notify"])
def test_workers_at_once_carry_every_row_out_once(
    clean: World, nursery: Nursery, function: str, tell: Callable[[str], None]
) -> None:
    made = [clean.ingest() for _ in range(ROWS)]
    began = time.monotonic()
    assert [life.status for life in nursery.crowd(function, WORKERS)] == [200] * WORKERS
    seconds = time.monotonic() - began
    rows = [row_of(clean, function, one) for one in made]
    assert {(row["state"], row["attempts"]) for row in rows} == {("DONE", 1)}
    if function == "notify":
        sent = Counter(clean.notices())
        assert [sent[row["id"]] for row in rows] == [1] * ROWS
    else:
        started = workflow_runs(clean)
        assert [started[one["run_id"]] for one in made] == [1] * ROWS
    tell(f"{ROWS} rows, {WORKERS} processes, {seconds:.1f} s: each effect once")


def test_row_of_a_killed_worker_comes_back_when_its_lease_ends(clean: World, nursery: Nursery) -> None:
    """The lease is shortened; nothing else helps."""
    made = clean.ingest()
    (held,) = clean.store().claim_outbox(["notify"], 1, 1)
    assert nursery.call("notify").status == 200
    assert row_of(clean, "notify", made)["state"] == "PENDING"
    time.sleep(1.2)
    assert nursery.call("notify").status == 200
    assert row_of(clean, "notify", made)["state"] == "DONE"
    assert clean.store().finish_outbox(held["id"], held["lease_id"], {}) is False
    assert Counter(clean.notices())[held["id"]] == 1


def test_worker_that_was_slow_before_the_effect_leaves_it_to_the_next(clean: World) -> None:
    """It still holds the lease, but would not surely hold it at the effect's end."""
    clean.ingest()
    now, effects = [0.0], []

    def carry_out(row: Any, lease: Lease) -> dict[str, Any]:
        now[0] += BEGIN_WITHIN_SECONDS + 1
        lease.require()
        effects.append(row["id"])
        return {}

    report = drain_outbox(clean.store(), Work("notify", carry_out), clock=lambda: now[0])
    assert (report.counts["retried"], effects) == (1, [])
    (row,) = clean.rows("select state, last_error, lease_id from public.outbox where kind = 'notify'")
    assert (row["state"], row["lease_id"], "lease-nearly-over" in row["last_error"]) == ("PENDING", None, True)
    assert LEASE_SECONDS - BEGIN_WITHIN_SECONDS > 2 * (5 + 20) + 15, "a token's renewal, a send, a second send"


def test_upstream_that_fails_makes_a_row_wait_longer_each_time_and_die(
    clean: World, nursery: Nursery, tell: Callable[[str], None]
) -> None:
    made = clean.ingest()
    clean.google.post("faults", api=[{"operation": "*messages*send*", "status": 503, "times": 50}])
    waits = []
    try:
        for _ in range(8):
            clean.make_due()
            assert nursery.call("notify").status == 200
            (row,) = clean.rows(
                "select last_error, extract(epoch from next_attempt_at - now()) as wait"
                " from public.outbox where kind = 'notify'"
            )
            assert "gmail-unavailable" in row["last_error"]
            waits.append(float(row["wait"]))
    finally:
        clean.google.post("faults", api=[])
    row = row_of(clean, "notify", made)
    assert (row["state"], row["attempts"]) == ("DEAD", 8)
    for place, wait in enumerate(waits[:7]):
        assert 2.5 * 2**place - 3 <= wait <= 7.5 * 2**place, waits
    assert len({round(wait / 2**place, 1) for place, wait in enumerate(waits[:7])}) > 1, "no jitter"
    assert row["id"] not in clean.notices()
    tell(f"waits before death: {', '.join(f'{wait:.0f} s' for wait in waits[:7])}")
