"""Approve, answer, retry, cancel, pause, wake: who may, what follows, and that twice is once."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.database.world import Persona, World, forbidden, refused

pytestmark = pytest.mark.database

SESSION = {"session_id": "s-1", "branch": "aicd/1", "commit": "a" * 40}


def maintainer(world: World) -> Persona:
    return world.member_of(world.projects["acme/shop"], "maintainer")


def sprint_of(world: World, spec_id: str, position: int = 1) -> str:
    return str(world.value("select id::text from sprints where spec_id = %s and position = %s", spec_id, position))


def pause(world: World, run_id: str, **changes: Any) -> Any:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    given = {"resume_at": soon, "reason": "The usage limit was met.", "session": SESSION} | changes
    return world.runner_of(run_id).call("pause_run_v1", run_id=run_id, **given)


def fail(world: World, made: dict[str, Any]) -> None:
    world.runner_of(made["run_id"]).call("finish_run_v1", run_id=made["run_id"], result="FAILED", summary={})


def audited(world: World, action: str) -> list[tuple[Any, ...]]:
    return world.all("select actor, subject_table, subject_id from audit_log where action = %s", action)


# Who may decide

MAY = {"maintainer": True, "developer": False, "viewer": False, "owner": True, "admin": True}


@pytest.mark.parametrize(("role", "may"), MAY.items())
def test_maintainers_and_administrators_decide_and_other_members_do_not(world: World, role: str, may: bool) -> None:
    made, waiting = world.started(), world.ingest(needs_approval=True)
    fail(world, made)
    member = persona(world, role)
    calls = {
        "retry_sprint_v1": {"sprint_id": sprint_of(world, made["spec_id"])},
        "approve_sprint_v1": {"sprint_id": sprint_of(world, waiting["spec_id"])},
        "cancel_spec_v1": {"spec_id": waiting["spec_id"]},
    }
    before = world.all("select id, state from sprints order by id")
    for verb, arguments in calls.items():
        if may:
            assert member.call(verb, **arguments)
        else:
            with refused(403, "not-maintainer"):
                member.call(verb, **arguments)
    assert (world.all("select id, state from sprints order by id") == before) is not may


def persona(world: World, role: str) -> Persona:
    if role in ("maintainer", "developer", "viewer"):
        return world.member_of(world.projects["acme/shop"], role)
    user_id = world.user()
    world.execute("insert into organisation_members (organisation_id, user_id, role)"
                  " select organisation_id, %s, %s from projects", user_id, role)  # fmt: skip
    return world.member(user_id)


def test_somebody_elses_sprint_looks_like_none(world: World) -> None:
    world.settle("rival/shop")
    made = world.started()
    fail(world, made)
    rival = world.member_of(world.projects["rival/shop"], "maintainer")
    for sprint_id in (sprint_of(world, made["spec_id"]), str(uuid.uuid4())):
        for verb in ("retry_sprint_v1", "approve_sprint_v1"):
            with refused(404, "sprint-not-found"):
                rival.call(verb, sprint_id=sprint_id)
    for spec_id in (made["spec_id"], str(uuid.uuid4())):
        with refused(404, "specification-not-found"):
            rival.call("cancel_spec_v1", spec_id=spec_id)


def test_members_verbs_are_closed_to_machines_and_strangers(world: World) -> None:
    made = world.started()
    sprint_id = sprint_of(world, made["spec_id"])
    for outsider in (world.functions(), world.runner_of(made["run_id"]), world.anonymous()):
        for verb, arguments in {
            "approve_sprint_v1": {"sprint_id": sprint_id},
            "retry_sprint_v1": {"sprint_id": sprint_id},
            "cancel_spec_v1": {"spec_id": made["spec_id"]},
        }.items():
            with forbidden():
                outsider.call(verb, **arguments)


def test_machines_verbs_are_closed_to_members(world: World) -> None:
    made = world.started()
    member = maintainer(world)
    for verb, arguments in {
        "answer_sprint_v1": {"sprint_id": sprint_of(world, made["spec_id"]), "reply": {"id": "1", "text": "x"}},
        "wake_sprints_v1": {"limit": 1},
        "pause_run_v1": {"run_id": made["run_id"], "resume_at": "2100-01-01", "reason": ""},
        "keep_session_v1": {"run_id": made["run_id"], "session": SESSION},
    }.items():
        with forbidden():
            member.call(verb, **arguments)


def test_no_token_at_all_is_not_the_operator(world: World) -> None:
    """The API's own login without claims must not pass for the owner's direct connection."""
    made = world.started()
    fail(world, made)
    nobody = Persona(world.api, "authenticated", {})
    with refused(401, "token-not-live"):
        nobody.call("retry_sprint_v1", sprint_id=sprint_of(world, made["spec_id"]))


# Approve


def test_approved_sprint_gets_its_run_once(world: World) -> None:
    made = world.ingest(needs_approval=True, sprints=2)
    sprint_id, member = sprint_of(world, made["spec_id"]), maintainer(world)
    first, second = (member.call("approve_sprint_v1", sprint_id=sprint_id) for _ in range(2))
    assert first == second
    assert (first["state"], first["run_id"] is not None) == ("PLANNED", True)
    assert world.value("select count(*) from outbox where kind = 'dispatch'") == 1
    assert audited(world, "approve_sprint") == [(f"authenticated:{member.claims['sub']}", "sprints", sprint_id)]


def test_sprint_that_waits_for_no_approval_is_not_approved(world: World) -> None:
    made = world.started()
    with refused(409, "sprint-not-waiting"):
        maintainer(world).call("approve_sprint_v1", sprint_id=sprint_of(world, made["spec_id"]))


# Answer


def test_answer_is_kept_and_the_sprint_goes_on_once(world: World) -> None:
    made = world.started()
    sprint_id = sprint_of(world, made["spec_id"])
    world.runner_of(made["run_id"]).call("finish_run_v1", run_id=made["run_id"], result="FAILED", summary={})
    ask(world, sprint_id)
    reply = {"id": "mail-1", "text": "Blue.", "answered_by": "ada@example.com"}
    first, second = (world.functions().call("answer_sprint_v1", sprint_id=sprint_id, reply=reply) for _ in range(2))
    assert first == second
    assert first["run_id"] != made["run_id"]
    started = world.runner_of(first["run_id"]).call("start_run_v1", run_id=first["run_id"], ci_run_id="2", ci_attempt=1)
    (answer,) = started["sprint"]["answers"]
    assert (answer["id"], answer["text"], answer["answered_by"]) == ("mail-1", "Blue.", "ada@example.com")
    assert len(audited(world, "answer_sprint")) == 1


def ask(world: World, sprint_id: str) -> None:
    """By hand: the verb by which a run asks comes with the planner."""
    for state in ("PLANNED", "NEEDS_INPUT"):
        world.execute("update sprints set state = %s where id = %s", state, sprint_id)


@pytest.mark.parametrize("reply", [{}, {"id": "1"}, {"id": "", "text": "x"}, {"id": "1", "text": "  "}])
def test_empty_answer_is_refused(world: World, reply: dict[str, str]) -> None:
    with refused(400, "bad-answer"):
        world.functions().call("answer_sprint_v1", sprint_id=str(uuid.uuid4()), reply=reply)


def test_answer_that_nobody_waits_for_is_refused(world: World) -> None:
    made = world.started()
    with refused(409, "sprint-not-waiting"):
        world.functions().call(
            "answer_sprint_v1", sprint_id=sprint_of(world, made["spec_id"]), reply={"id": "1", "text": "x"}
        )


# Retry


def test_failed_sprint_gets_another_run_and_its_successors_follow(world: World) -> None:
    made = world.started(sprints=2)
    fail(world, made)
    sprint_id, member = sprint_of(world, made["spec_id"]), maintainer(world)
    first, second = (member.call("retry_sprint_v1", sprint_id=sprint_id) for _ in range(2))
    assert first == second
    run_id = first["run_id"]
    assert run_id != made["run_id"]
    runner = world.runner_of(run_id)
    runner.call("start_run_v1", run_id=run_id, ci_run_id="200", ci_attempt=1)
    assert runner.call("finish_run_v1", run_id=run_id, result="PASSED", summary={})["next_run_id"] is not None
    assert world.all("select state from sprints order by position") == [("DONE",), ("PLANNED",)]
    assert len(audited(world, "retry_sprint")) == 1


def test_done_sprint_is_not_tried_again(world: World) -> None:
    made = world.started()
    world.runner_of(made["run_id"]).call("finish_run_v1", run_id=made["run_id"], result="PASSED", summary={})
    with refused(409, "sprint-not-failed"):
        maintainer(world).call("retry_sprint_v1", sprint_id=sprint_of(world, made["spec_id"]))


def test_operator_retries_without_a_token(world: World) -> None:
    made = world.started()
    fail(world, made)
    with world.administration() as operator:
        assert operator.retry_sprint(sprint_of(world, made["spec_id"]))["state"] == "PLANNED"
    assert audited(world, "retry_sprint")[0][0] == "postgres"


# Cancel


def test_cancelled_specification_ends_everywhere_and_is_told_once(world: World) -> None:
    made = world.started(sprints=3)
    member = maintainer(world)
    first, second = (
        member.call("cancel_spec_v1", spec_id=made["spec_id"], reason="Not needed any more.") for _ in range(2)
    )
    assert first == second
    assert [sprint["state"] for sprint in first["sprints"]] == ["CANCELLED"] * 3
    assert world.one("select result, summary_json #>> '{error,code}' from runs") == ("FAILED", "cancelled")
    assert world.all("select state, result ->> 'outcome' from outbox where kind = 'dispatch'") == [
        ("DONE", "cancelled")
    ]
    assert world.functions().call("claim_outbox_v1", kinds=["dispatch"], limit=9, lease_seconds=9) == []
    ((outbox_id, template),) = world.all(
        "select id::text, payload ->> 'template' from outbox"
        " where kind = 'notify' and payload ->> 'template' <> 'spec_received'"
    )
    assert template == "spec_cancelled"
    notice = world.functions().call("describe_notice_v1", outbox_id=outbox_id)
    assert (notice["recipient"], "Not needed any more." in notice["reason"]) == ("ada@example.com", True)
    assert len(audited(world, "cancel_spec")) == 1


def stops(world: World) -> list[tuple[Any, ...]]:
    return world.all("select payload ->> 'run_id', payload ->> 'ci_run_id' from outbox where kind = 'cancel'")


def test_cancelling_stops_the_ci_runs_that_are_known_and_those_that_become_so(world: World) -> None:
    bound, waiting = world.started(), world.ingest()
    for made in (bound, waiting):
        maintainer(world).call("cancel_spec_v1", spec_id=made["spec_id"])
    assert stops(world) == [(bound["run_id"], "100")]
    # It was being dispatched: GitHub had begun it, and we are told only now.
    for _ in range(2):
        world.functions().call("bind_run_v1", run_id=waiting["run_id"], ci_run_id="200", url="")
    assert stops(world) == [(bound["run_id"], "100"), (waiting["run_id"], "200")]


def test_job_of_a_cancelled_run_is_told_and_adds_nothing(world: World) -> None:
    made = world.started()
    maintainer(world).call("cancel_spec_v1", spec_id=made["spec_id"])
    runner = world.runner_of(made["run_id"])
    assert runner.call("start_run_v1", run_id=made["run_id"], ci_run_id="100", ci_attempt=2)["outcome"] == "cancelled"
    with refused(409, "run-finished"):
        runner.call("record_event_v1", run_id=made["run_id"], phase="BUILD", message="", metadata={})
    with refused(409, "run-finished"):
        runner.call("finish_run_v1", run_id=made["run_id"], result="PASSED", summary={})
    assert world.value("select state from sprints") == "CANCELLED"


def test_done_sprints_stay_done_and_a_done_specification_is_not_cancelled(world: World) -> None:
    made = world.started(sprints=2)
    next_run = world.runner_of(made["run_id"]).call(
        "finish_run_v1", run_id=made["run_id"], result="PASSED", summary={}
    )["next_run_id"]
    maintainer(world).call("cancel_spec_v1", spec_id=made["spec_id"])
    assert world.all("select state from sprints order by position") == [("DONE",), ("CANCELLED",)]
    assert world.value("select result from runs where id = %s", next_run) == "FAILED"
    done = world.started()
    world.runner_of(done["run_id"]).call("finish_run_v1", run_id=done["run_id"], result="PASSED", summary={})
    with refused(409, "spec-done"):
        maintainer(world).call("cancel_spec_v1", spec_id=done["spec_id"])


def test_leased_work_order_of_a_cancelled_specification_is_lost_to_its_worker(world: World) -> None:
    made = world.ingest()
    functions = world.functions()
    (row,) = functions.call("claim_outbox_v1", kinds=["dispatch"], limit=1, lease_seconds=60)
    maintainer(world).call("cancel_spec_v1", spec_id=made["spec_id"])
    assert functions.call("finish_outbox_v1", id=row["id"], lease_id=row["lease_id"], result={}) is False
    assert functions.call("retry_outbox_v1", id=row["id"], lease_id=row["lease_id"], error="x")["dead"] is False
    assert functions.call("describe_run_v1", run_id=made["run_id"])["result"] == "FAILED"


@pytest.mark.parametrize("needs_approval", [True, False])
def test_cancelling_before_any_start_leaves_an_event(world: World, needs_approval: bool) -> None:
    made = world.ingest(needs_approval=needs_approval)
    maintainer(world).call("cancel_spec_v1", spec_id=made["spec_id"])
    assert world.value("select count(*) from status_events where phase = 'FAILED'") == 1


def test_cancel_and_finish_at_once_end_in_one_of_the_two(world: World) -> None:
    """Twelve races: whichever is first decides, and nothing stays open."""
    for _ in range(12):
        made = world.started(sprints=2)
        member, runner = maintainer(world), world.runner_of(made["run_id"])
        finish = threading.Thread(target=quietly, args=(runner, "finish_run_v1"),
                                  kwargs={"run_id": made["run_id"], "result": "PASSED", "summary": {}})  # fmt: skip
        finish.start()
        member.call("cancel_spec_v1", spec_id=made["spec_id"])
        finish.join(10)
        found = world.all("select state from sprints where spec_id = %s order by position", made["spec_id"])
        assert found in ([("DONE",), ("CANCELLED",)], [("CANCELLED",), ("CANCELLED",)])
        assert world.value("select count(*) from runs where spec_id = %s and result is null", made["spec_id"]) == 0


def quietly(persona: Persona, verb: str, **arguments: Any) -> None:
    """The loser of a race is refused."""
    try:
        persona.call(verb, **arguments)
    except Exception as error:
        assert getattr(error, "sqlstate", "") == "PT409", error


# Pause and wake


def test_paused_run_ends_without_report_and_its_sprint_waits(world: World) -> None:
    made = world.started()
    first = pause(world, made["run_id"])
    again = pause(world, made["run_id"], resume_at=(datetime.now(UTC) + timedelta(days=2)).isoformat())
    assert first == again
    assert world.one("select result, summary_json ->> 'status' from runs") == ("FAILED", "PAUSED")
    assert world.one("select state, session_json from sprints") == ("PAUSED", SESSION)
    assert world.value("select count(*) from outbox where payload ->> 'template' = 'report'") == 0
    assert world.value("select count(*) from status_events where phase = 'PAUSED'") == 1
    assert world.functions().call("wake_sprints_v1", limit=10) == []


def test_due_sprint_wakes_once_and_its_run_finds_the_session(world: World) -> None:
    made = world.started()
    pause(world, made["run_id"])
    world.execute("update sprints set resume_at = now()")
    ((run_id,), nothing) = (world.functions().call("wake_sprints_v1", limit=10) for _ in range(2))
    assert nothing == []
    assert world.value("select count(*) from outbox where idempotency_key = %s", f"dispatch:{run_id}") == 1
    started = world.runner_of(run_id).call("start_run_v1", run_id=run_id, ci_run_id="101", ci_attempt=1)
    assert (started["outcome"], started["sprint"]["session"], started["attempt"]) == ("started", SESSION, 2)
    world.runner_of(run_id).call("finish_run_v1", run_id=run_id, result="PASSED", summary={})
    assert world.value("select state from sprints") == "DONE"


def test_time_that_has_passed_becomes_the_next_minute(world: World) -> None:
    made = world.started()
    answer = pause(world, made["run_id"], resume_at="2000-01-01T00:00:00Z")
    assert datetime.now(UTC) < datetime.fromisoformat(answer["resume_at"]) < datetime.now(UTC) + timedelta(seconds=70)


@pytest.mark.parametrize("resume_at", ["2100-01-01T00:00:00Z", "infinity"])
def test_pause_without_an_end_is_refused(world: World, resume_at: str | None) -> None:
    made = world.started()
    with refused(400, "bad-resume-at"):
        pause(world, made["run_id"], resume_at=resume_at)


def test_only_a_running_run_of_the_token_and_scope_pauses(world: World) -> None:
    made, waiting = world.started(), world.ingest()
    with refused(409, "run-not-started"):
        pause(world, waiting["run_id"])
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    with refused(403, "wrong-scope"):
        world.runner_of(made["run_id"], scope="publish").call(
            "pause_run_v1", run_id=made["run_id"], resume_at=soon, reason=""
        )
    with refused(404, "run-not-found"):
        world.runner_of(waiting["run_id"]).call("pause_run_v1", run_id=made["run_id"], resume_at=soon, reason="")
    fail(world, made)
    with refused(409, "run-finished"):
        pause(world, made["run_id"])
    with refused(413, "too-large"):
        pause(world, waiting["run_id"], session={"x": "y" * 70_000})


def test_maintainer_wakes_a_sprint_early_and_cancels_a_paused_one(world: World) -> None:
    early, never = world.started(), world.started()
    pause(world, early["run_id"])
    pause(world, never["run_id"])
    member = maintainer(world)
    answer = member.call("retry_sprint_v1", sprint_id=sprint_of(world, early["spec_id"]))
    assert (answer["state"], answer["run_id"] != early["run_id"]) == ("PLANNED", True)
    assert world.value("select session_json from sprints where spec_id = %s", early["spec_id"]) == SESSION
    member.call("cancel_spec_v1", spec_id=never["spec_id"])
    world.execute("update sprints set resume_at = now() where state = 'PAUSED'")
    assert world.functions().call("wake_sprints_v1", limit=10) == []


def test_two_ticks_at_once_wake_a_sprint_once(world: World) -> None:
    made = world.started()
    pause(world, made["run_id"])
    world.execute("update sprints set resume_at = now()")
    with world.functions().transaction() as first:
        first.execute("select wake_sprints_v1(10)")
        held: list[Any] = []
        second = threading.Thread(target=lambda: held.append(world.functions().call("wake_sprints_v1", limit=10)))
        second.start()
        second.join(10)
        assert held == [[]], "the second neither waits nor wakes"
    assert world.value("select count(*) from runs") == 2
