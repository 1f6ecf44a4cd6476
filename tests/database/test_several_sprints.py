"""Several sprints of a specification, in order and side by side; several runs of a sprint; several CI runs of a run."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from tests.database.world import World, refused, spec

pytestmark = pytest.mark.database


def ingest(world: World, /, **depends_on: list[str] | None) -> dict[str, Any]:
    """One specification with these sprints, in order; None: not said. {spec_id, run ids by label}."""
    sprints = [{"label": label, "dod": {}} | ({} if needed is None else {"depends_on": needed})
               for label, needed in depends_on.items()]  # fmt: skip
    answer = world.functions().call("ingest_message_v1", message=world.mail(), specs=[spec(plan={"sprints": sprints})])
    return {"spec_id": answer["specs"][0]["spec_id"], "runs": open_runs(world)}


def open_runs(world: World) -> dict[str, str]:
    return dict(
        world.all("select label, runs.id::text from runs join sprints s on s.id = sprint_id where result is null")
    )


def start(world: World, run_id: str, ci_run_id: str = "1", ci_attempt: int = 1) -> Any:
    return world.runner_of(run_id).call("start_run_v1", run_id=run_id, ci_run_id=ci_run_id, ci_attempt=ci_attempt)


def end(world: World, run_id: str, result: str = "PASSED", commit: str = "") -> Any:
    """Run to its end, with a commit where one is given."""
    start(world, run_id)
    runner = world.runner_of(run_id)
    if commit:
        runner.call("record_pull_request_v1", run_id=run_id, pull_request={"branch": commit[0], "commit": commit * 40})
    return runner.call("finish_run_v1", run_id=run_id, result=result, summary={})


def states(world: World) -> dict[str, str]:
    return dict(world.all("select label, state from sprints"))


def test_sprints_that_say_nothing_come_one_after_the_other(world: World) -> None:
    seen = [ingest(world, a=None, b=None, c=None)["runs"]]
    for label in ("a", "b", "c"):
        end(world, seen[-1][label])
        seen.append(open_runs(world))
    assert [list(runs) for runs in seen] == [["a"], ["b"], ["c"], []]


def test_independent_sprints_are_built_at_once(world: World) -> None:
    made = ingest(world, a=None, b=[], c=["b"], d=["a", "c"])
    assert set(made["runs"]) == {"a", "b"}
    assert world.value("select count(*) from outbox where kind = 'dispatch'") == 2
    assert set(world.functions().call("ingest_message_v1", message=world.mail(), specs=[spec()])) >= {"specs"}


def test_end_names_every_run_that_it_let_begin_in_the_order_of_the_plan(world: World) -> None:
    runs = ingest(world, a=[], b=["a"], c=["a"], d=["b"])["runs"]
    first, again = end(world, runs["a"]), end(world, runs["a"])
    opened = open_runs(world)
    assert first == again
    assert first["next_run_ids"] == [opened["b"], opened["c"]]
    assert first["next_run_id"] == opened["b"]


def test_sprint_that_joins_two_begins_when_the_second_is_done(world: World) -> None:
    runs = ingest(world, a=[], b=[], c=["a", "b"])["runs"]
    assert end(world, runs["a"])["next_run_id"] is None
    assert set(open_runs(world)) == {"b"}
    first, again = end(world, runs["b"]), end(world, runs["b"])
    assert first["next_run_id"] == again["next_run_id"] == open_runs(world)["c"]
    # It did not open anything then, and does not say so now.
    assert end(world, runs["a"])["next_run_id"] is None


def test_two_ends_at_once_do_not_overlook_what_waits_for_both(world: World) -> None:
    """Neither sees the other's end until it is committed: without a common lock the third would never begin."""
    runs = ingest(world, a=[], b=[], c=["a", "b"])["runs"]
    for run_id in runs.values():
        start(world, run_id)
    other = world.runner_of(runs["b"])
    second = threading.Thread(
        target=lambda: other.call("finish_run_v1", run_id=runs["b"], result="PASSED", summary={}), daemon=True
    )
    with world.runner_of(runs["a"]).transaction() as connection:
        connection.execute("select finish_run_v1(%s, 'PASSED', '{}')", [runs["a"]])
        second.start()
        second.join(0.5)
        assert second.is_alive(), "the second end waits for the first"
    second.join(10)
    assert (states(world)["c"], set(open_runs(world))) == ("PLANNED", {"c"})


def test_failed_sprint_holds_back_only_what_needs_it(world: World) -> None:
    runs = ingest(world, a=[], b=["a"], c=[], d=["c"])["runs"]
    end(world, runs["a"], "FAILED")
    end(world, runs["c"])
    assert (set(open_runs(world)), states(world)["b"]) == ({"d"}, "PLANNED")


def test_sprint_starts_from_the_work_it_depends_on_and_no_other(world: World) -> None:
    runs = ingest(world, a=[], b=[], c=["b"], d=["a", "c"])["runs"]
    end(world, runs["a"], commit="a")
    end(world, runs["b"], commit="b")
    answer = start(world, open_runs(world)["c"])
    assert answer["previous"] == {"branch": "b", "commit": "b" * 40}
    end(world, answer["run_id"], commit="c")
    joined = start(world, open_runs(world)["d"])
    assert joined["previous"] == {"branch": "c", "commit": "c" * 40}
    assert joined["sprint"]["depends_on"] == [
        {"label": "a", "branch": "a", "commit": "a" * 40},
        {"label": "c", "branch": "c", "commit": "c" * 40},
    ]


def test_sprint_whose_predecessor_committed_nothing_goes_further_back(world: World) -> None:
    runs = ingest(world, a=None, b=None, c=None)["runs"]
    end(world, runs["a"], commit="a")
    end(world, open_runs(world)["b"])
    assert start(world, open_runs(world)["c"])["previous"] == {"branch": "a", "commit": "a" * 40}


def test_independent_sprint_starts_from_the_repositorys_branch(world: World) -> None:
    runs = ingest(world, a=[], b=[])["runs"]
    end(world, runs["a"], commit="a")
    assert start(world, runs["b"])["previous"] is None


@pytest.mark.parametrize("needed", [["a"], ["b"], ["nowhere"], ["a", "nowhere"], ["A"]])
def test_dependency_that_does_not_stand_before_is_refused_whole(world: World, needed: list[str]) -> None:
    order: dict[str, list[str] | None] = {"b": needed, "a": []} if needed == ["a"] else {"a": [], "b": needed}
    with refused(400, "bad-dependency"):
        ingest(world, **order)
    assert world.value("select count(*) from messages") == 0


def test_approval_is_asked_for_every_sprint_that_depends_on_nothing(world: World) -> None:
    sprints = [{"label": "a"}, {"label": "b", "depends_on": []}, {"label": "c", "depends_on": ["b"]}]
    specs = [spec(plan={"sprints": sprints}, needs_approval=True)]
    world.functions().call("ingest_message_v1", message=world.mail(), specs=specs)
    assert states(world) == {"a": "NEEDS_APPROVAL", "b": "NEEDS_APPROVAL", "c": "PLANNED"}
    assert open_runs(world) == {}


def test_what_a_sprint_depends_on_never_changes(world: World) -> None:
    ingest(world, a=None, b=None)
    with refused(409, "illegal-move"):
        world.execute("update sprints set depends_on = '{}' where label = 'b'")


def test_specifications_from_before_depend_as_they_were_ordered(throwaway_world: World) -> None:
    """The migration's own statement, on rows as they were when it ran; positions need not be without gaps."""
    world = throwaway_world
    made = ingest(world, a=None, b=None)
    world.execute("insert into sprints (spec_id, label, position) values (%s, 'c', 9)", made["spec_id"])
    text = (
        (world_root() / "supabase/migrations/20261121140000_several_sprints.sql")
        .read_text("utf-8")
        .split("-- Until now each sprint came after the one before it.\n", 1)[1]
        .split(";", 1)[0]
    )
    with psycopg.connect(world.owner_url, autocommit=True) as owner:
        owner.execute("alter table sprints disable trigger guard_plan")
        owner.execute("update sprints set depends_on = '{}'")
        owner.execute(text)  # type: ignore[arg-type]
    assert world.all("select label, depends_on from sprints order by position") == [
        ("a", []), ("b", ["a"]), ("c", ["b"])
    ]  # fmt: skip


def world_root() -> Any:
    from tests.database.conftest import ROOT

    return ROOT


@pytest.mark.parametrize("result", ["PASSED", "FAILED"])
@pytest.mark.parametrize("attempt", [1, 2])
def test_rerun_after_the_end_is_told_so_and_changes_nothing(world: World, result: str, attempt: int) -> None:
    run_id = ingest(world, a=None)["runs"]["a"]
    end(world, run_id, result)
    before = world.all("select * from runs")
    assert start(world, run_id, "1", attempt)["outcome"] == "finished"
    assert world.all("select * from runs") == before


def test_rerun_of_the_ci_run_takes_over_and_its_earlier_attempt_and_others_stay_out(world: World) -> None:
    run_id = ingest(world, a=None)["runs"]["a"]
    told = [start(world, run_id, *who)["outcome"] for who in (("1", 1), ("2", 1), ("1", 2), ("1", 1), ("2", 2))]
    assert told == ["started", "already-running", "started", "already-running", "already-running"]
    assert world.one("select ci_run_id, ci_attempt from runs") == ("1", 2)


def test_second_ci_run_of_a_retried_sprint_is_another_run(world: World) -> None:
    run_id = ingest(world, a=None)["runs"]["a"]
    end(world, run_id, "FAILED")
    with world.administration() as operator:
        (sprint_id,) = world.one("select id::text from sprints")
        second = operator.retry_sprint(sprint_id)["run_id"]
    assert second != run_id
    assert start(world, run_id, "7", 1)["outcome"] == "finished"
    assert start(world, second, "7", 1)["outcome"] == "started"
    assert end(world, second) == {"result": "PASSED", "next_run_id": None, "next_run_ids": []}
    assert world.all("select attempt, result from runs order by attempt") == [(1, "FAILED"), (2, "PASSED")]
