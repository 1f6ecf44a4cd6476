"""Money: what is spent and what is set apart never exceed a limit together, whoever asks at once."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.database.test_requests import key_of
from tests.database.world import SENDER, World, forbidden, refused, spec

pytestmark = pytest.mark.database


def spend(world: World, run_id: str, usd: float | str, **changes: Any) -> Any:
    entry = {"id": str(uuid.uuid4()), "kind": "builder", "model": "m", "input_tokens": 5, "cost_usd": usd} | changes
    claims = {"scope": "build"}
    return world.runner_of(run_id, **claims).call("record_cost_v1", run_id=run_id, entry=entry)


def budget(world: World, run_id: str) -> Any:
    return world.runner_of(run_id).call("read_budget_v1", run_id=run_id)


def reserve(world: World, run_id: str, usd: float = 10) -> Any:
    return world.functions().call("reserve_budget_v1", run_id=run_id, max_usd=usd)


def end(world: World, run_id: str) -> None:
    runner = world.runner_of(run_id)
    runner.call("start_run_v1", run_id=run_id, ci_run_id=f"ci-{run_id}", ci_attempt=1)
    runner.call("finish_run_v1", run_id=run_id, result="FAILED", summary={})


def start(world: World, run_id: str) -> None:
    world.runner_of(run_id).call("start_run_v1", run_id=run_id, ci_run_id=f"ci-{run_id}", ci_attempt=1)


def test_one_entry_is_kept_once_with_all_that_it_is_counted_by(world: World) -> None:
    made = world.started()
    entry_id = str(uuid.uuid4())
    first = spend(world, made["run_id"], "0.25", id=entry_id)
    assert spend(world, made["run_id"], "0.25", id=entry_id) == first == {"id": entry_id, "left_usd": None}
    assert world.all("select spec_id::text, run_id::text, requester, cost_usd, input_tokens, day ="
                     " (now() at time zone 'utc')::date from ledger") == [
        (made["spec_id"], made["run_id"], SENDER, Decimal("0.25"), 5, True)]  # fmt: skip


def test_cost_that_is_no_number_is_refused_and_the_limit_holds(empty_world: World) -> None:
    empty_world.settle(budget_usd_day=10)
    made, waiting = empty_world.started(), empty_world.ingest()
    spend(empty_world, made["run_id"], 10)
    for cost in ("NaN", "-1", "Infinity"):
        with pytest.raises(psycopg.errors.DataError if cost == "Infinity" else psycopg.errors.CheckViolation):
            spend(empty_world, made["run_id"], cost)
    assert reserve(empty_world, waiting["run_id"])["outcome"] == "refused"


def test_entry_of_another_run_is_not_taken_for_the_same(world: World) -> None:
    mine, other = world.started(), world.started()
    entry_id = str(uuid.uuid4())
    spend(world, mine["run_id"], 1, id=entry_id)
    with refused(409, "id-taken"):
        spend(world, other["run_id"], 1, id=entry_id)


def test_money_spent_by_a_run_that_was_cancelled_meanwhile_is_kept(world: World) -> None:
    made = world.started()
    with world.administration() as operator:
        operator.cancel_spec(made["spec_id"], "")
    spend(world, made["run_id"], 1)
    assert world.value("select sum(cost_usd) from ledger") == 1
    told = budget(world, made["run_id"])
    assert (told["run_open"], told["spec_cancelled"]) == (False, True)


def test_budget_names_every_limit_and_the_least_counts(empty_world: World) -> None:
    empty_world.settle(budget_usd_run=4, budget_usd_spec="9", budget_usd_day=20, budget_usd_month=100)
    with empty_world.administration() as operator:
        operator.allow_sender(SENDER, "acme/shop", {"budget_usd_day": 7})
        operator.allow_sender("*@example.com", None, {"budget_usd_month": 50})
    made = empty_world.started()
    assert spend(empty_world, made["run_id"], 3)["left_usd"] == 1
    told = budget(empty_world, made["run_id"])
    assert (told["left_usd"], told["run_open"], told["spec_cancelled"]) == (1, True, False)
    other = empty_world.started()
    assert (told["spent_usd"], budget(empty_world, other["run_id"])["spent_usd"]) == (3, 0)
    assert {(one["scope"], one["period"]): one["left_usd"] for one in told["limits"]} == {
        ("run", "run"): 1, ("spec", "total"): 6, ("project", "day"): 17, ("project", "month"): 97,
        ("requester", "day"): 4, ("requester", "month"): 47}  # fmt: skip


def test_without_limits_everything_is_left(world: World) -> None:
    made = world.started()
    assert reserve(world, made["run_id"])["outcome"] == "reserved"
    told = budget(world, made["run_id"])
    assert (told["left_usd"], told["limits"]) == (None, [])


@pytest.mark.parametrize("written", ["ten dollars", -1, True, {"usd": 5}])
def test_limit_that_cannot_be_read_is_no_licence(empty_world: World, written: Any) -> None:
    empty_world.settle(budget_usd_day=written)
    assert reserve(empty_world, empty_world.ingest()["run_id"])["code"] == "budget-exceeded"


def test_yesterdays_money_does_not_count_today_and_last_months_not_this_month(empty_world: World) -> None:
    empty_world.settle(budget_usd_day=5, budget_usd_month=5)
    made = empty_world.started()
    spend(empty_world, made["run_id"], 5)
    assert budget(empty_world, made["run_id"])["left_usd"] == 0
    empty_world.execute(
        "update private.daily_spending set day = date_trunc('month', now() at time zone 'utc')::date - 1"
    )
    assert budget(empty_world, made["run_id"])["left_usd"] == 5


def test_limits_of_a_requester_hold_across_projects_and_of_one_project_there(world: World) -> None:
    world.settle("acme/other")
    with world.administration() as operator:
        operator.allow_sender(SENDER, "acme/shop", {"budget_usd_day": 4})
    here, there = world.started(), world.started(repo="acme/other")
    spend(world, there["run_id"], 3)
    assert budget(world, here["run_id"])["left_usd"] == 4
    with world.administration() as operator:
        operator.allow_sender(SENDER, None, {"budget_usd_day": 4})
    assert budget(world, here["run_id"])["left_usd"] == 1


def test_reservation_is_the_projects_figure_else_ours_else_what_is_left(empty_world: World) -> None:
    empty_world.settle(budget_usd_day=25)
    first, second = empty_world.ingest()["run_id"], empty_world.ingest()["run_id"]
    assert reserve(empty_world, first)["reserved_usd"] == 10
    assert reserve(empty_world, first, 99)["reserved_usd"] == 10  # the same again is the same answer
    empty_world.settle(budget_usd_day=25, budget_usd_run=12)
    assert reserve(empty_world, second)["reserved_usd"] == 12
    start(empty_world, first)
    spend(empty_world, first, 9)
    end(empty_world, second)
    empty_world.settle(budget_usd_day=12, budget_usd_run=12)
    end(empty_world, first)
    assert reserve(empty_world, empty_world.ingest()["run_id"])["reserved_usd"] == 3


def test_run_never_gets_past_its_own_reservation(empty_world: World) -> None:
    empty_world.settle(budget_usd_day=100)
    made = empty_world.started()
    reserve(empty_world, made["run_id"], 2)
    assert spend(empty_world, made["run_id"], "1.5")["left_usd"] == 0.5
    assert spend(empty_world, made["run_id"], "1.5")["left_usd"] == 0


def test_reserved_money_is_waited_for_and_spent_money_refuses(empty_world: World) -> None:
    empty_world.settle(budget_usd_day=10)
    first, second, third = (empty_world.ingest()["run_id"] for _ in range(3))
    assert reserve(empty_world, first)["outcome"] == "reserved"
    told = reserve(empty_world, second)
    assert (told["outcome"], told["code"], told["retry_after_seconds"] > 0) == ("wait", "budget-reserved", True)
    start(empty_world, first)
    spend(empty_world, first, 4)
    end(empty_world, first)
    assert reserve(empty_world, second)["reserved_usd"] == 6
    start(empty_world, second)
    spend(empty_world, second, 6)
    end(empty_world, second)
    told = reserve(empty_world, third)
    assert (told["outcome"], told["code"]) == ("refused", "budget-exceeded")
    assert "10.00 USD a day" in told["reason"]


def reserve_all(world: World, runs: list[str], usd: float) -> Counter[str]:
    outcomes: list[str] = []
    threads = [threading.Thread(target=lambda run_id=run_id: outcomes.append(reserve(world, run_id, usd)["outcome"]))
               for run_id in runs]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(outcomes)


@pytest.mark.parametrize("whose", ["project", "requester"])
def test_twenty_at_once_never_reserve_more_than_the_limit(empty_world: World, whose: str) -> None:
    """Two projects share the requester; the first alone has the project's limit."""
    empty_world.settle(budget_usd_day=10 if whose == "project" else None)
    if whose == "requester":
        empty_world.settle("acme/other")
        with empty_world.administration() as operator:
            operator.allow_sender(SENDER, None, {"budget_usd_day": 10})
    spent = empty_world.started()["run_id"]
    spend(empty_world, spent, 3)
    end(empty_world, spent)
    repos = ["acme/shop", "acme/shop" if whose == "project" else "acme/other"]
    runs = [empty_world.ingest(repo=repos[number % 2])["run_id"] for number in range(20)]
    outcomes = reserve_all(empty_world, runs, 1)
    reserved = empty_world.value("select sum(reserved_usd) from runs where result is null")
    print(f"20 reservations of 1 USD at once, 3 of 10 USD spent: {dict(outcomes)}, {reserved} USD reserved")
    assert reserved == 7
    assert outcomes == {"reserved": 7, "wait": 13}


def test_twenty_at_once_never_run_more_than_the_project_allows(empty_world: World) -> None:
    empty_world.settle(max_parallel_runs=3)
    runs = [empty_world.ingest()["run_id"] for _ in range(20)]
    assert reserve_all(empty_world, runs, 1) == {"reserved": 3, "wait": 17}
    (busy,) = empty_world.all("select id::text from runs where reserved_at is not null limit 1")[0]
    end(empty_world, busy)
    assert reserve_all(empty_world, [run for run in runs if run != busy], 1) == {"reserved": 3, "wait": 16}


def test_label_that_several_projects_share_has_one_number_of_places(empty_world: World) -> None:
    policy = {"runner_label": "gpu", "max_parallel_runs_on_label": 1}
    for repo in ("acme/shop", "acme/other"):
        empty_world.settle(repo, **policy)
    first, second = empty_world.ingest()["run_id"], empty_world.ingest(repo="acme/other")["run_id"]
    assert reserve(empty_world, first)["outcome"] == "reserved"
    assert reserve(empty_world, second)["code"] == "label-busy"


def by_key(world: World, key: dict[str, Any], **changes: Any) -> str:
    """A specification that came with this key; its run."""
    caller = {"kind": "key", "id": key["id"]}
    answer = world.functions().call("submit_spec_v1", caller=caller, spec=spec(**changes))
    return str(answer["spec"]["runs"][0]["id"])


def test_key_has_a_budget_of_its_own(world: World) -> None:
    bounded, other = key_of(world, budget_usd_day=10), key_of(world)
    first, second = by_key(world, bounded), by_key(world, bounded)
    assert reserve(world, first)["reserved_usd"] == 10
    assert reserve(world, second)["code"] == "budget-reserved"
    assert reserve(world, by_key(world, other))["reserved_usd"] is None, "another key's money is none of its"
    assert reserve(world, world.ingest()["run_id"])["reserved_usd"] is None
    start(world, first)
    spend(world, first, 10)
    [limit] = [one for one in budget(world, first)["limits"] if one["period"] == "day"]
    assert (limit["scope"], limit["limit_usd"], limit["spent_usd"]) == ("requester", 10, 10)
    end(world, first)
    told = reserve(world, second)
    assert (told["outcome"], told["code"]) == ("refused", "budget-exceeded")
    assert "requester (10.00 USD a day)" in told["reason"]
    with world.administration() as operator:
        [spent] = operator.list_spending("2000-01-01", None)
    assert (spent["requester"], spent["cost_usd"]) == (f"key:{bounded['id']}", 10)


def test_budget_of_an_organisations_key_counts_all_its_projects(world: World) -> None:
    world.settle("acme/mill")
    key = key_of(world, repo=None, organisation="acme", budget_usd_month=3)
    first = by_key(world, key)
    start(world, first)
    spend(world, first, 2)
    end(world, first)
    assert reserve(world, by_key(world, key, repo="acme/mill"))["reserved_usd"] == 1


def test_sender_whose_address_looks_like_a_key_has_no_key(world: World) -> None:
    key = key_of(world, budget_usd_day=1)
    with world.administration() as operator:
        operator.allow_sender("*@example.com", "acme/shop")
    answer = world.functions().call(
        "ingest_message_v1", message=world.mail(sender=f"key:{key['id']}@example.com"), specs=[spec()]
    )
    assert reserve(world, answer["specs"][0]["runs"][0])["reserved_usd"] is None


def test_ended_run_is_given_nothing(world: World) -> None:
    made = world.started()
    end(world, made["run_id"])
    assert reserve(world, made["run_id"])["code"] == "run-finished"


@pytest.mark.parametrize("entry", [{"cost_usd": 1}, {"id": str(uuid.UUID(int=1)), "kind": "x"}])
def test_entry_without_id_or_cost_is_refused(world: World, entry: dict[str, Any]) -> None:
    made = world.started()
    with refused(400, "bad-entry"):
        world.runner_of(made["run_id"]).call("record_cost_v1", run_id=made["run_id"], entry=entry)


def test_money_is_the_builders_and_dispatchs_to_speak_of(world: World) -> None:
    mine, other = world.started(), world.started()
    stranger = world.runner_of(other["run_id"])
    with refused(404, "run-not-found"):
        stranger.call("read_budget_v1", run_id=mine["run_id"])
    with refused(403, "wrong-scope"):
        world.runner_of(mine["run_id"], scope="publish").call("read_budget_v1", run_id=mine["run_id"])
    with forbidden():
        stranger.call("reserve_budget_v1", run_id=mine["run_id"], max_usd=1)


def test_ledger_outlives_what_the_money_was_spent_on(world: World) -> None:
    made = world.started()
    spend(world, made["run_id"], 2)
    world.execute("delete from status_events")
    world.execute("delete from runs")
    assert world.one("select run_id, requester, cost_usd from ledger") == (None, SENDER, 2)


def test_postponed_work_comes_back_without_an_attempt_counted(world: World) -> None:
    world.ingest()
    functions = world.functions()
    (row,) = functions.call("claim_outbox_v1", kinds=["dispatch"], limit=1, lease_seconds=60)
    told = functions.call("postpone_outbox_v1", id=row["id"], lease_id=row["lease_id"], seconds=30, reason="busy")
    assert told["postponed"] is True
    assert world.one("select attempts, lease_id, last_error, next_attempt_at > now() + interval '25 seconds'"
                     " from outbox where kind = 'dispatch'") == (0, None, "busy", True)  # fmt: skip
    late = functions.call("postpone_outbox_v1", id=row["id"], lease_id=row["lease_id"], seconds=3000, reason="late")
    assert late["postponed"] is False
    assert functions.call("claim_outbox_v1", kinds=["dispatch"], limit=1, lease_seconds=60) == []
