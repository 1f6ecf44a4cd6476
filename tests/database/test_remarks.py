"""What people's own agents say and ask of a specification: who may, how much, and what it changes."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.database.test_requests import key_of
from tests.database.test_submissions import CONTENT, caller_of, submit, user
from tests.database.world import World, forbidden, refused

pytestmark = pytest.mark.database

QUESTIONS = [{"text": "Which colour?"}, {"text": "How large?", "blocking": False}]


def progress(**changes: Any) -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "kind": "progress", "text": "Half of it is there.", **changes}


def asked(**changes: Any) -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "questions": QUESTIONS, **changes}


def note(world: World, spec_id: str, caller: dict[str, str], **changes: Any) -> Any:
    return world.functions().call("record_note_for_v1", caller=caller, spec_id=spec_id, note=progress(**changes))


def ask(world: World, spec_id: str, given: dict[str, Any] | None = None, caller: dict[str, str] | None = None) -> Any:
    caller = caller or caller_of(key_of(world))
    return world.functions().call("ask_about_spec_for_v1", caller=caller, spec_id=spec_id, asked=given or asked())


def states(world: World) -> list[str]:
    return [row[0] for row in world.all("select state from sprints order by position")]


WHO = [
    ("owner", None), ("maintainer", None), ("developer", None), ("viewer", "not-developer"),
    ("member", "spec-not-found"), ("stranger", "spec-not-found"), ("key", None), ("organisation's key", None),
    ("reading key", "not-developer"), ("another project's key", "spec-not-found"), ("revoked key", "spec-not-found"),
]  # fmt: skip


def caller_named(world: World, who: str) -> dict[str, str]:
    if "key" not in who:
        return user(world, None if who == "stranger" else who)
    of_other = {"repo": "rival/shop"} if who.startswith("another") else {}
    of_all = {"repo": None, "organisation": "acme"} if who.startswith("organisation") else {}
    scopes = ["specs:read"] if who == "reading key" else ["specs:read", "specs:write"]
    key = key_of(world, scopes=scopes, **of_other, **of_all)
    if who == "revoked key":
        world.execute("update api_keys set revoked_at = now() where id = %s", key["id"])
    return caller_of(key)


@pytest.mark.parametrize(("who", "code"), WHO)
@pytest.mark.parametrize("verb", ["note", "ask"])
def test_whoever_may_have_something_built_notes_and_asks(world: World, who: str, code: str | None, verb: str) -> None:
    world.settle("rival/shop")
    spec_id = world.ingest(needs_approval=True)["spec_id"]
    caller = caller_named(world, who)
    member = world.member(caller["id"]) if caller["kind"] == "user" else None

    def carry_out() -> None:
        if member is None:
            note(world, spec_id, caller) if verb == "note" else ask(world, spec_id, caller=caller)
        elif verb == "note":
            member.call("record_note_v1", spec_id=spec_id, note=progress())
        else:
            member.call("ask_about_spec_v1", spec_id=spec_id, asked=asked())

    if code is not None:
        with refused(403 if code == "not-developer" else 404, code):
            carry_out()
    else:
        carry_out()
    assert world.value("select count(*) from status_events where metadata ? 'by'") == (code is None)


def test_what_one_may_not_see_looks_like_what_is_not_there(world: World) -> None:
    stranger = world.member(world.user())
    for spec_id in (world.ingest()["spec_id"], str(uuid.uuid4())):
        with refused(404, "spec-not-found"):
            stranger.call("record_note_v1", spec_id=spec_id, note=progress())
        with refused(404, "spec-not-found"):
            stranger.call("ask_about_spec_v1", spec_id=spec_id, asked=asked())
        assert stranger.call("show_dod_v1", spec_id=spec_id) is None


def test_machines_and_members_have_each_their_own_verb(world: World) -> None:
    made = world.started()
    member = world.member_of(world.projects["acme/shop"], "maintainer")
    for outsider in (member, world.runner_of(made["run_id"]), world.anonymous()):
        with forbidden():
            outsider.call("record_note_for_v1", caller=user(world, "owner"), spec_id=made["spec_id"], note=progress())
        with forbidden():
            outsider.call("ask_about_spec_for_v1", caller=user(world, "owner"), spec_id=made["spec_id"], asked=asked())
    with forbidden():
        world.runner_of(made["run_id"]).call("record_note_v1", spec_id=made["spec_id"], note=progress())


def test_note_is_an_event_of_the_specification_and_says_who(world: World) -> None:
    made = world.started()
    key = key_of(world)
    first = note(world, made["spec_id"], caller_of(key))
    note(world, made["spec_id"], caller_of(key), kind="decision", title="SQLite", reason="One writer.")
    said, chosen = world.all("select phase, run_id, message, metadata from status_events"
                             " where metadata ->> 'source' = 'agent' order by created_at")  # fmt: skip
    assert said[:3] == ("BUILD", None, "Agent: Half of it is there.")
    assert said[3] == {"source": "agent", "kind": "progress", "by": f"key:{key['id']}", "key_name": key["name"]}
    assert (chosen[2], chosen[3]["decision"]) == ("Decision: SQLite", {"title": "SQLite", "reason": "One writer."})
    assert world.value("select count(*) from status_events where id = %s", first["event_id"]) == 1


def test_same_note_again_is_one_event_and_nobody_takes_anothers_id(world: World) -> None:
    mine, other = world.started()["spec_id"], world.started()["spec_id"]
    caller, given = caller_of(key_of(world)), progress()
    first, second = (note(world, mine, caller, **given) for _ in range(2))
    assert first == second
    assert world.value("select count(*) from status_events where metadata ->> 'source' = 'agent'") == 1
    with pytest.raises(Exception, match="status_events_pkey"):
        note(world, other, caller, **given)


def test_notes_are_bounded_by_the_hour_and_in_all(world: World) -> None:
    spec_id, caller = world.started()["spec_id"], caller_of(key_of(world))
    for _ in range(20):
        note(world, spec_id, caller)
    with refused(409, "too-many-notes"):
        note(world, spec_id, caller_of(key_of(world)))
    for _ in range(4):
        world.execute("update status_events set created_at = created_at - interval '61 minutes'")
        for _ in range(20):
            note(world, spec_id, caller)
    world.execute("update status_events set created_at = created_at - interval '61 minutes'")
    with refused(409, "too-many-notes"):
        note(world, spec_id, caller)


BAD_NOTES: list[dict[str, Any]] = [
    {"kind": "verdict"}, {"kind": None}, {"text": " "}, {"text": None}, {"text": "x" * 1001}, {"id": None},
    {"kind": "decision", "title": "x"}, {"kind": "decision", "title": "x" * 501, "reason": "y"},
    {"kind": "decision", "title": "x", "reason": "y" * 4001},
]  # fmt: skip


@pytest.mark.parametrize("changes", BAD_NOTES, ids=range(len(BAD_NOTES)))
def test_note_that_says_nothing_or_too_much_is_refused(world: World, changes: dict[str, Any]) -> None:
    with refused(400, "bad-note"):
        note(world, world.started()["spec_id"], caller_of(key_of(world)), **changes)


@pytest.mark.parametrize("end", ["DONE", "CANCELLED"])
def test_specification_that_is_over_takes_no_note_and_no_question(world: World, end: str) -> None:
    made = world.started()
    if end == "DONE":
        world.runner_of(made["run_id"]).call("finish_run_v1", run_id=made["run_id"], result="PASSED", summary={})
    else:
        with world.administration() as operator:
            operator.cancel_spec(made["spec_id"], "")
    with refused(409, "spec-finished"):
        note(world, made["spec_id"], caller_of(key_of(world)))
    with refused(409, "spec-finished"):
        ask(world, made["spec_id"])


def test_questions_go_out_in_the_thread_and_the_reply_has_the_sprint_go_on(world: World) -> None:
    made = world.ingest(sprints=2)
    given = asked()
    first, second = ask(world, made["spec_id"], given), ask(world, made["spec_id"], given)
    assert first == second
    assert (first["label"], first["state"]) == ("sprint-2", "NEEDS_INPUT"), "the first one has a run"
    assert [(one["id"], one["text"], one["blocking"]) for one in first["questions"]] == [
        ("Q1", "Which colour?", True), ("Q2", "How large?", False)]  # fmt: skip
    (row_id,) = world.one("select id::text from outbox where payload ->> 'template' = 'needs_input'")
    notice = world.functions().call("describe_notice_v1", outbox_id=row_id)
    assert (notice["questions"], notice["sprint"]["label"]) == (first["questions"], "sprint-2")
    assert notice["recipient"] == "ada@example.com"
    answer = world.functions().call("ingest_reply_v1", message=world.mail(), text="Blue.")
    assert (answer["outcome"], states(world)) == ("answered", ["PLANNED", "PLANNED"])
    assert world.value("select count(*) from runs") == 1, "it waits for the first one all the same"


def test_second_round_is_numbered_on_and_its_mail_has_only_its_own_questions(world: World) -> None:
    made = world.ingest(needs_approval=True)
    ask(world, made["spec_id"])
    world.functions().call("ingest_reply_v1", message=world.mail(), text="Blue.")
    round_two = ask(world, made["spec_id"], asked(questions=[{"text": "By when?"}]))
    assert [one["id"] for one in round_two["questions"]] == ["Q3"]
    row_id = world.value("select id::text from outbox where payload ->> 'template' = 'needs_input'"
                         " order by created_at desc limit 1")  # fmt: skip
    assert world.functions().call("describe_notice_v1", outbox_id=row_id)["questions"] == round_two["questions"]


def test_requester_is_asked_ten_times_a_day_whoever_answers(world: World) -> None:
    """Whoever may ask may answer, too: one key sent a requester as many mails as it liked."""
    spec_id, other = (world.ingest(needs_approval=True)["spec_id"] for _ in range(2))
    caller = caller_of(key_of(world))

    def go_round(which: str) -> None:
        ask(world, which, caller=caller)
        reply = {"id": str(uuid.uuid4()), "text": "Blue."}
        world.functions().call("answer_spec_v1", caller=caller, spec_id=which, reply=reply)

    for _ in range(5):
        go_round(spec_id)
        go_round(other)
    for which in (spec_id, other):
        with refused(409, "too-many-questions"):
            ask(world, which, caller=caller)
    assert world.value("select count(*) from outbox where payload ->> 'template' = 'needs_input'") == 10
    assert set(states(world)) == {"NEEDS_APPROVAL"}, "and nothing waits for an answer"
    world.execute(
        "update sprints set questions_json = (select jsonb_agg(one || jsonb_build_object('asked_at',"
        " now() - interval '25 hours')) from jsonb_array_elements(questions_json) as one)"
    )
    ask(world, other, caller=caller)


def test_questions_of_many_specifications_at_once_are_bounded_together(world: World) -> None:
    caller = caller_of(key_of(world))
    specs = [world.ingest(needs_approval=True)["spec_id"] for _ in range(20)]

    def attempt(spec_id: str) -> bool:
        try:
            ask(world, spec_id, caller=caller)
        except Exception as error:
            assert "too-many-questions" in str(error), error
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(attempt, specs)) == 10


def test_answer_does_not_stand_for_the_approval_that_was_waited_for(world: World) -> None:
    made = world.ingest(needs_approval=True)
    asked_about = ask(world, made["spec_id"])
    assert states(world) == ["NEEDS_INPUT"]
    world.functions().call("ingest_reply_v1", message=world.mail(), text="Blue.")
    assert (states(world), world.value("select count(*) from runs")) == (["NEEDS_APPROVAL"], 0)
    with world.administration() as operator:
        operator.approve_sprint(asked_about["sprint_id"])
    run_id = world.value("select id::text from runs")
    start = world.runner_of(run_id).call("start_run_v1", run_id=run_id, ci_run_id="8", ci_attempt=1)["sprint"]
    assert (start["questions"][0]["text"], start["answers"][0]["text"]) == ("Which colour?", "Blue.")


def test_run_that_asks_later_goes_on_without_another_approval(world: World) -> None:
    made = world.ingest(needs_approval=True)
    sprint_id = ask(world, made["spec_id"])["sprint_id"]
    world.functions().call("ingest_reply_v1", message=world.mail(), text="Blue.")
    with world.administration() as operator:
        run_id = operator.approve_sprint(sprint_id)["run_id"]
    runner = world.runner_of(run_id)
    runner.call("start_run_v1", run_id=run_id, ci_run_id="8", ci_attempt=1)
    runner.call("ask_requester_v1", run_id=run_id, questions=[{"id": "Q3", "text": "By when?", "blocking": True}])
    world.functions().call("ingest_reply_v1", message=world.mail(), text="Soon.")
    assert states(world) == ["PLANNED"]


def test_nobody_is_asked_where_a_run_is_open_or_has_decided(world: World) -> None:
    made = world.ingest()
    with refused(409, "run-open"):
        ask(world, made["spec_id"])
    runner = world.runner_of(made["run_id"])
    runner.call("start_run_v1", run_id=made["run_id"], ci_run_id="1", ci_attempt=1)
    with refused(409, "run-open"):
        ask(world, made["spec_id"])
    runner.call("finish_run_v1", run_id=made["run_id"], result="FAILED", summary={})
    with refused(409, "sprint-not-waiting"):
        ask(world, made["spec_id"])
    assert states(world) == ["FAILED"]


def test_one_round_at_a_time_about_a_sprint_that_is_there(world: World) -> None:
    made = world.ingest(sprints=3)
    with refused(404, "sprint-not-found"):
        ask(world, made["spec_id"], asked(sprint="sprint-9"))
    with refused(409, "run-open"):
        ask(world, made["spec_id"], asked(sprint="sprint-1"))
    assert ask(world, made["spec_id"], asked(sprint="sprint-3"))["label"] == "sprint-3"
    with refused(409, "questions-open"):
        ask(world, made["spec_id"])


def test_without_a_mail_there_is_nobody_to_ask(world: World) -> None:
    key = key_of(world)
    spec_id = submit(world, caller_of(key), sha=CONTENT, needs_approval=True)["spec"]["id"]
    with refused(409, "no-mail"):
        ask(world, spec_id)


@pytest.mark.parametrize("questions", [[], None, [{"text": " "}], ["Which?"], [QUESTIONS[0]] * 21])
def test_questions_that_ask_nothing_are_refused(world: World, questions: Any) -> None:
    made = world.ingest(needs_approval=True)
    with refused(400, "bad-questions"):
        ask(world, made["spec_id"], asked(questions=questions))
    with refused(400, "bad-questions"):
        ask(world, made["spec_id"], asked(id=None))
    assert states(world) == ["NEEDS_APPROVAL"]


def test_definition_of_done_comes_with_the_last_verdict_and_its_commit(world: World) -> None:
    made = world.started()
    member = world.member_of(world.projects["acme/shop"], "viewer")
    [sprint] = member.call("show_dod_v1", spec_id=made["spec_id"])["sprints"]
    assert (sprint["dod"], sprint["verdict"], sprint["open_run_id"]) == ({"coverage_min": 0.8}, None, made["run_id"])
    criterion = {"id": "coverage_min", "required": 0.8, "actual": 0.4, "status": "failed", "reason": "Half."}
    summary = {"verdict": {"criteria": [{**criterion, "evidence": ["x"]}]}, "commit": "c0ffee"}
    world.runner_of(made["run_id"]).call("finish_run_v1", run_id=made["run_id"], result="FAILED", summary=summary)
    with world.administration() as operator:
        next_run = operator.retry_sprint(world.value("select id::text from sprints"))["run_id"]
    world.functions().call("abandon_run_v1", run_id=next_run, code="x", reason="y")
    key = caller_of(key_of(world))
    told = world.functions().call("show_dod_for_v1", caller=key, spec_id=made["spec_id"])
    assert told == member.call("show_dod_v1", spec_id=made["spec_id"])
    verdict = told["sprints"][0]["verdict"]
    assert (verdict["run_id"], verdict["commit"], verdict["criteria"]) == (made["run_id"], "c0ffee", [criterion])
