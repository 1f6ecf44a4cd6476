"""What a run leaves for the one that goes on, however it ended, and how often it may be paused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.database.test_control import SESSION, fail, maintainer, pause, sprint_of
from tests.database.world import World, refused

pytestmark = pytest.mark.database


def go_on(world: World) -> str:
    """The next run of the only sprint, started."""
    world.execute("update sprints set resume_at = now() where state = 'PAUSED'")
    world.functions().call("wake_sprints_v1", limit=1)
    run_id = str(world.value("select id::text from runs where result is null"))
    world.runner_of(run_id).call("start_run_v1", run_id=run_id, ci_run_id=f"ci-{run_id}", ci_attempt=1)
    return run_id


def test_waits_that_nobody_named_an_end_for_grow_and_the_database_chooses(world: World) -> None:
    run_id = world.started()["run_id"]
    waits = []
    for _ in range(9):
        paused = pause(world, run_id, resume_at=None)
        waits.append(round((datetime.fromisoformat(paused["resume_at"]) - datetime.now(UTC)).total_seconds() / 60))
        run_id = go_on(world)
    assert waits == [2, 4, 8, 16, 32, 64, 128, 240, 240]


@pytest.mark.parametrize(("policy", "allowed"), [({"max_pauses": 2}, 2), ({"max_pauses": "a few"}, 0), ({}, 24)])
def test_sprint_is_not_paused_for_ever(empty_world: World, policy: dict[str, Any], allowed: int) -> None:
    """Until somebody tries again: then it counts anew."""
    world = empty_world
    world.settle(**policy)
    made = world.started()
    run_id = made["run_id"]
    for _ in range(allowed):
        pause(world, run_id)
        run_id = go_on(world)
    with refused(409, "too-many-pauses"):
        pause(world, run_id)
    assert world.value("select state from sprints") == "RUNNING"
    world.runner_of(run_id).call("finish_run_v1", run_id=run_id, result="FAILED", summary={})
    with world.administration() as operator:
        operator.retry_sprint(sprint_of(world, made["spec_id"]))
    run_id = go_on(world)
    if allowed:
        assert pause(world, run_id)["run_id"] == run_id


# What is kept on the way


def keep(world: World, run_id: str, session: Any, **claims: Any) -> Any:
    return world.runner_of(run_id, **claims).call("keep_session_v1", run_id=run_id, session=session)


def marked(world: World) -> set[str]:
    return {path for (path,) in world.all("select path from private.expired_objects where removed_at is null")}


def test_run_that_died_left_where_another_one_goes_on(world: World) -> None:
    made = world.started()
    first, second = (keep(world, made["run_id"], SESSION) for _ in range(2))
    assert first == second == {
        "run_id": made["run_id"], "sprint_id": sprint_of(world, made["spec_id"]), "session": SESSION
    }  # fmt: skip
    assert world.one("select state, session_json from sprints") == ("RUNNING", SESSION)
    world.execute("update runs set bound_at = bound_at - interval '1 hour', last_seen_at = now() - interval '1 hour'")
    with psycopg.connect(world.superuser_dsn, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("update runs set started_at = started_at - interval '1 hour'")
    assert world.functions().call("close_dead_runs_v1", older_than_seconds=60) == 1
    maintainer(world).call("retry_sprint_v1", sprint_id=sprint_of(world, made["spec_id"]))
    run_id = str(world.value("select id::text from runs where result is null"))
    again = world.runner_of(run_id).call("start_run_v1", run_id=run_id, ci_run_id="7", ci_attempt=1)
    assert again["sprint"]["session"] == SESSION


@pytest.mark.parametrize("nothing", [None, Jsonb(None)])
def test_session_that_is_forgotten_is_handed_to_nobody(world: World, nothing: Any) -> None:
    made = world.started()
    keep(world, made["run_id"], SESSION)
    assert keep(world, made["run_id"], nothing)["session"] is None
    assert world.value("select session_json from sprints") is None


@pytest.mark.parametrize("summary", [{"verdict": {"result": "FAILED"}}, {"verdict": {"result": "PASSED"}}, {}])
def test_spent_session_goes_with_a_verdict_that_says_no_and_stays_without_one(
    world: World, summary: dict[str, Any]
) -> None:
    made = world.started()
    spent = {**SESSION, "is_spent": True}
    keep(world, made["run_id"], spent)
    world.runner_of(made["run_id"]).call("finish_run_v1", run_id=made["run_id"], result="FAILED", summary=summary)
    is_gone = summary == {"verdict": {"result": "FAILED"}}
    assert world.value("select session_json from sprints") == (None if is_gone else spent)


def test_session_of_work_that_was_broken_off_outlives_the_verdict(world: World) -> None:
    made = world.started()
    keep(world, made["run_id"], SESSION)
    summary = {"verdict": {"result": "FAILED"}}
    world.runner_of(made["run_id"]).call("finish_run_v1", run_id=made["run_id"], result="FAILED", summary=summary)
    maintainer(world).call("retry_sprint_v1", sprint_id=sprint_of(world, made["spec_id"]))
    assert world.value("select session_json from sprints") == SESSION


@pytest.mark.parametrize("nothing", [None, {}])
def test_pause_and_question_without_a_session_leave_the_one_that_stands(world: World, nothing: Any) -> None:
    paused, asked = world.started(), world.started()
    for made in (paused, asked):
        keep(world, made["run_id"], SESSION)
    pause(world, paused["run_id"], session=nothing)
    questions = [{"id": "Q1", "text": "Which?", "blocking": True}]
    world.runner_of(asked["run_id"]).call(
        "ask_requester_v1", run_id=asked["run_id"], questions=questions, session=nothing
    )
    assert world.all("select session_json from sprints") == [(SESSION,), (SESSION,)]


def test_archive_that_is_named_no_more_is_marked_to_go_and_no_other_sprints_is(world: World) -> None:
    made, other = world.started(), world.started()
    mine, foreign = (f"{sprint_of(world, one['spec_id'])}/{one['run_id']}" for one in (made, other))
    for path in (mine, f"{mine}.2", f"{mine}.2"):
        keep(world, made["run_id"], {"path": path})
    assert marked(world) == {mine}
    keep(world, made["run_id"], {"path": mine})
    assert marked(world) == {f"{mine}.2"}
    keep(world, made["run_id"], {"path": foreign})
    pause(world, made["run_id"], session={"path": f"{mine}.3"})
    assert marked(world) == {f"{mine}.2", mine}


def test_only_a_running_run_of_the_token_and_scope_keeps(world: World) -> None:
    made, waiting = world.started(), world.ingest()
    with refused(409, "run-not-started"):
        keep(world, waiting["run_id"], SESSION)
    with refused(403, "wrong-scope"):
        keep(world, made["run_id"], SESSION, scope="publish")
    with refused(404, "run-not-found"):
        world.runner_of(waiting["run_id"]).call("keep_session_v1", run_id=made["run_id"], session=SESSION)
    with refused(413, "too-large"):
        keep(world, made["run_id"], {"x": "y" * 70_000})
    with refused(400, "bad-session"):
        keep(world, made["run_id"], Jsonb("text"))
    fail(world, made)
    with refused(409, "run-finished"):
        keep(world, made["run_id"], SESSION)
