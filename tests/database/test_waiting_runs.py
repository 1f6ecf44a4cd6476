"""A run that waits for a place or for money begins when another ends: due and announced in that very transaction."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.database.test_ledger import end, reserve, start
from tests.database.world import SENDER, World

pytestmark = pytest.mark.database

DUE = "select next_attempt_at <= now() from outbox where payload ->> 'run_id' = %s and kind = 'dispatch'"


def dispatch(world: World, limit: int = 1) -> list[str]:
    """What dispatch does with due rows; the outcomes. What it starts has no CI run here."""
    functions = world.functions()
    outcomes = []
    for row in functions.call("claim_outbox_v1", kinds=["dispatch"], limit=limit, lease_seconds=60):
        answer = reserve(world, row["payload"]["run_id"])
        mine = {"id": row["id"], "lease_id": row["lease_id"]}
        if answer["outcome"] == "wait":
            reason = f"{answer['code']}: {answer['reason']}"
            functions.call("postpone_outbox_v1", **mine, seconds=answer["retry_after_seconds"], reason=reason)
        else:
            functions.call("finish_outbox_v1", **mine, result={})
        outcomes.append(str(answer["code"] or answer["outcome"]))
    return outcomes


def one_runs_one_waits(world: World, code: str, *repos: str) -> tuple[str, str]:
    first, second = (world.ingest(repo=repo)["run_id"] for repo in (repos or ("acme/shop", "acme/shop")))
    assert [dispatch(world), dispatch(world)] == [["reserved"], [code]]
    assert world.value(DUE, second) is False
    return first, second


def settle(world: World, case: str) -> tuple[str, ...]:
    """The repositories of the one that runs and the one that waits."""
    if case == "too-many-runs":
        world.settle(max_parallel_runs=1)
    elif case == "label-busy":
        for repo in ("acme/shop", "acme/other"):
            world.settle(repo, runner_label="gpu", max_parallel_runs_on_label=1)
        return "acme/shop", "acme/other"
    elif case == "budget-reserved":
        world.settle(budget_usd_day=10)
    else:
        world.settle("acme/other")
        world.settle()
        with world.administration() as operator:
            operator.allow_sender(SENDER, None, {"budget_usd_day": 10})
        return "acme/shop", "acme/other"
    return ()


@pytest.mark.parametrize("case", ["too-many-runs", "label-busy", "budget-reserved", "requester"])
def test_the_run_that_waits_is_due_and_announced_by_the_end_of_the_other(empty_world: World, case: str) -> None:
    repos = settle(empty_world, case)
    code = "budget-reserved" if case == "requester" else case
    first, second = one_runs_one_waits(empty_world, code, *repos)
    row_id = empty_world.value("select id::text from outbox where payload ->> 'run_id' = %s", second)
    with psycopg.connect(empty_world.owner_url, autocommit=True) as listener:
        listener.execute("listen aicd_outbox")
        end(empty_world, first)
        heard = [json.loads(notice.payload) for notice in listener.notifies(timeout=2, stop_after=2)]
    assert {"id": row_id, "kind": "dispatch"} in heard
    assert empty_world.value(DUE, second) is True
    assert dispatch(empty_world) == ["reserved"]


@pytest.mark.parametrize("ending", ["abandoned", "cancelled", "paused"])
def test_a_place_comes_free_however_the_run_ends(empty_world: World, ending: str) -> None:
    empty_world.settle(max_parallel_runs=1)
    first, second = one_runs_one_waits(empty_world, "too-many-runs")
    if ending == "abandoned":
        empty_world.functions().call("abandon_run_v1", run_id=first, code="x", reason="y")
    elif ending == "cancelled":
        spec_id = empty_world.value("select spec_id::text from runs where id = %s", first)
        with empty_world.administration() as operator:
            operator.cancel_spec(spec_id, "")
    else:
        start(empty_world, first)
        pause: dict[str, Any] = {"resume_at": "tomorrow", "reason": "limit"}
        empty_world.runner_of(first).call("pause_run_v1", run_id=first, **pause)
    assert empty_world.value(DUE, second) is True


def test_what_waits_for_something_else_goes_on_waiting(empty_world: World) -> None:
    empty_world.settle("acme/other", max_parallel_runs=1)
    empty_world.settle(max_parallel_runs=1)
    _, elsewhere = one_runs_one_waits(empty_world, "too-many-runs", "acme/other", "acme/other")
    mine, broken = one_runs_one_waits(empty_world, "too-many-runs")
    empty_world.execute(
        "update outbox set last_error = 'github-unavailable: 503' where payload ->> 'run_id' = %s", broken
    )
    end(empty_world, mine)
    assert [empty_world.value(DUE, run_id) for run_id in (elsewhere, broken)] == [False, False]


def test_oldest_is_first_and_a_run_that_held_nothing_frees_nothing(empty_world: World) -> None:
    empty_world.settle(max_parallel_runs=1)
    runs = [empty_world.ingest()["run_id"] for _ in range(4)]
    assert dispatch(empty_world, 4) == ["reserved", *["too-many-runs"] * 3]
    empty_world.functions().call("abandon_run_v1", run_id=runs[3], code="x", reason="y")
    assert empty_world.value(DUE, runs[1]) is False
    end(empty_world, runs[0])
    assert dispatch(empty_world, 1) == ["reserved"]
    assert empty_world.value("select reserved_at is not null from runs where id = %s", runs[1])


def test_place_that_came_free_while_the_answer_was_on_its_way_is_not_waited_for(empty_world: World) -> None:
    empty_world.settle(max_parallel_runs=1)
    first, second = (empty_world.ingest()["run_id"] for _ in range(2))
    assert dispatch(empty_world) == ["reserved"]
    functions = empty_world.functions()
    (row,) = functions.call("claim_outbox_v1", kinds=["dispatch"], limit=1, lease_seconds=60)
    answer = reserve(empty_world, second)
    end(empty_world, first)
    told = {"seconds": 30, "reason": f"{answer['code']}: {answer['reason']}"}
    functions.call("postpone_outbox_v1", id=row["id"], lease_id=row["lease_id"], **told)
    assert empty_world.value(DUE, second) is True


def test_run_that_ends_waits_for_no_work_order_that_somebody_holds(empty_world: World) -> None:
    """Cancelling holds work orders and then wants runs: waiting for it with a run in hand would be for ever."""
    empty_world.settle(max_parallel_runs=1)
    first, second = one_runs_one_waits(empty_world, "too-many-runs")
    with psycopg.connect(empty_world.owner_url) as cancelling, ThreadPoolExecutor(1) as pool:
        cancelling.execute("select from outbox where payload ->> 'run_id' = %s for update", (second,))
        pool.submit(end, empty_world, first).result(timeout=10)
    assert empty_world.value("select result from runs where id = %s", first) == "FAILED"


def test_twenty_that_end_at_once_beside_all_others_never_lock_each_other_up(empty_world: World) -> None:
    empty_world.settle(max_parallel_runs=20)
    made = [empty_world.ingest(sprints=2) for _ in range(60)]
    assert dispatch(empty_world, 60).count("reserved") == 20
    under_way = [row[0] for row in empty_world.all("select id::text from runs where reserved_at is not null")]
    waiting = [one["spec_id"] for one in made if one["run_id"] not in under_way]

    def cancel(spec_id: str) -> None:
        with empty_world.administration() as operator:
            operator.cancel_spec(spec_id, "")

    jobs: list[Any] = [lambda run_id=run_id: end(empty_world, run_id) for run_id in under_way]
    jobs += [lambda spec_id=spec_id: cancel(spec_id) for spec_id in waiting[:10]]
    jobs += [lambda: dispatch(empty_world, 5)] * 20
    random.Random(7).shuffle(jobs)
    with ThreadPoolExecutor(20) as pool:
        # A deadlock would be raised here.
        list(pool.map(lambda job: job(), jobs))
    empty_world.execute("update outbox set next_attempt_at = now() where state = 'PENDING'")
    dispatch(empty_world, 60)
    held = empty_world.value("select count(*) from runs where result is null and reserved_at is not null")
    assert held == 20, "30 waited for 20 places"
