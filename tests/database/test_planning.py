"""A plan made on the runner, and questions asked from there: what follows, who may, and that twice is once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.specfile.names import LABEL, is_named
from tests.database.world import World, forbidden, refused

pytestmark = pytest.mark.database

QUESTIONS = [{"id": "q1", "text": "Which colour?", "blocking": True}]


def plan(*sprints: tuple[str, list[str] | None], **changes: Any) -> dict[str, Any]:
    planned = [{"label": label, "goals": [], "stories": [], "dod": {"coverage_min": 0.5}, "depends_on": needed}
               for label, needed in sprints or (("first", None), ("second", None), ("aside", []))]  # fmt: skip
    return {"sprints": planned, "confidence": 0.9, "estimate": {"cost_usd": 1.5, "minutes": 12}, "questions": [],
            "model": "m", "prompt_sha256": "0" * 64, **changes}  # fmt: skip


def unplanned(world: World, **changes: Any) -> dict[str, Any]:
    return world.started(plan=None, **changes)


def record(world: World, run_id: str, given: dict[str, Any] | None = None, **claims: Any) -> Any:
    return world.runner_of(run_id, **claims).call("record_plan_v1", run_id=run_id, plan=given or plan())


def sprints(world: World) -> list[tuple[Any, ...]]:
    return world.all("select label, state, depends_on from sprints order by position")


def notices(world: World, template: str) -> int:
    return int(world.value("select count(*) from outbox where payload ->> 'template' = %s", template))


def test_plan_replaces_the_placeholder_and_the_run_goes_on(world: World) -> None:
    made = unplanned(world)
    answer = record(world, made["run_id"])
    assert answer["outcome"] == "planned"
    assert [(one["label"], one["state"]) for one in answer["sprints"]] == [
        ("first", "RUNNING"), ("second", "PLANNED"), ("aside", "PLANNED")]  # fmt: skip
    assert sprints(world) == [("first", "RUNNING", []), ("second", "PLANNED", ["first"]), ("aside", "PLANNED", [])]
    assert world.value("select result from runs where id = %s", made["run_id"]) is None
    assert world.value("select plan_json ->> 'label' from sprints where position = 1") == "first"
    assert world.value("select planning_json #>> '{estimate,minutes}' from specs") == "12"
    # What waits for nothing begins at once.
    assert world.value("select count(*) from runs") == 2


def test_start_hands_the_plan_to_the_next_run(world: World) -> None:
    made = unplanned(world)
    record(world, made["run_id"])
    runner = world.runner_of(made["run_id"])
    answer = runner.call("finish_run_v1", run_id=made["run_id"], result="PASSED", summary={})
    started = world.runner_of(answer["next_run_id"]).call(
        "start_run_v1", run_id=answer["next_run_id"], ci_run_id="7", ci_attempt=1
    )
    assert (started["sprint"]["label"], started["sprint"]["plan_json"]["label"]) == ("second", "second")


def test_same_plan_twice_is_one_plan_and_another_is_refused(world: World) -> None:
    made = unplanned(world)
    assert record(world, made["run_id"]) == record(world, made["run_id"])
    assert world.value("select count(*) from sprints") == 3
    with refused(409, "already-planned"):
        record(world, made["run_id"], plan(("other", None)))


def test_a_sprint_that_brought_its_plan_keeps_it(world: World) -> None:
    made = world.started()
    with refused(409, "already-planned"):
        record(world, made["run_id"])
    with refused(409, "illegal-move"):
        world.execute("update sprints set label = 'other'")


WAITING = {
    "the project's policy": ({"approval": "required"}, {}, False),
    "the specification": ({}, {"needs_approval": True}, False),
    "the sender": ({}, {}, True),
}


@pytest.mark.parametrize("who", WAITING)
def test_plan_waits_for_approval_where_somebody_asks_for_it(empty_world: World, who: str) -> None:
    policy, wish, of_sender = WAITING[who]
    empty_world.settle(**policy)
    with empty_world.administration() as operator:
        operator.allow_sender("*@example.com", "acme/shop", {"needs_approval": of_sender})
    made = unplanned(empty_world, **wish)
    first = record(empty_world, made["run_id"])
    assert first["outcome"] == "needs-approval"
    assert [one["state"] for one in first["sprints"]] == ["NEEDS_APPROVAL", "PLANNED", "NEEDS_APPROVAL"]
    assert record(empty_world, made["run_id"]) == first
    status = "select result, summary_json ->> 'status', summary_json #>> '{estimate,cost_usd}' from runs"
    assert empty_world.one(status) == ("FAILED", "NEEDS_APPROVAL", "1.5")
    assert (notices(empty_world, "needs_approval"), notices(empty_world, "report")) == (1, 0)
    with empty_world.administration() as operator:
        approved = operator.approve_sprint(first["sprints"][0]["sprint_id"])
    assert (approved["state"], approved["run_id"] == made["run_id"]) == ("PLANNED", False)


def test_notice_of_a_plan_carries_its_estimate(empty_world: World) -> None:
    empty_world.settle(approval="required")
    record(empty_world, unplanned(empty_world)["run_id"])
    (row_id,) = empty_world.one("select id::text from outbox where payload ->> 'template' = 'needs_approval'")
    notice = empty_world.functions().call("describe_notice_v1", outbox_id=row_id)
    assert notice["planning"]["estimate"] == {"cost_usd": 1.5, "minutes": 12}
    assert notice["run"]["summary_json"]["status"] == "NEEDS_APPROVAL"


BAD_PLANS = [
    {"sprints": []},
    {"sprints": None},
    {"sprints": "many"},
    {"sprints": [{"label": "a"}, {"label": "a"}]},
    {"sprints": [{"label": ""}]},
    {"sprints": [{"label": "a/../b"}]},
    {"sprints": [{"goals": []}]},
    {"sprints": [{"label": "a", "dod": "all"}]},
    {"sprints": ["a"]},
    {"confidence": 1.1},
    {"confidence": None},
]


@pytest.mark.parametrize("changes", BAD_PLANS, ids=range(len(BAD_PLANS)))
def test_bad_plan_is_refused_and_changes_nothing(world: World, changes: dict[str, Any]) -> None:
    made = unplanned(world)
    with refused(400, "bad-plan"):
        record(world, made["run_id"], plan(**changes))
    assert sprints(world) == [("planning", "RUNNING", [])]


GOOD = ["a", "S1", "0", "sprint-1", "a.b_c-d", "x" * 64, "a.locks", "lock", "a.lock.b", "A.LOCK", "a._"]
BAD = [
    "", " ", "-a", ".a", "_a", "a..b", "a.", "a.lock", "x" * 65, "a b", "a/b", "a\\b", "a~1", "a^", "a:b", "a*", "a?",
    "a[b", "a@{", "ä", "a\n", "\na", "a\nb", "a\t", "٣", "../../main", "refs/heads/x", "a.lock\n", "a\u2028",
]  # fmt: skip
LABELS = dict.fromkeys(GOOD, True) | dict.fromkeys(BAD, False)


@pytest.mark.parametrize("label", LABELS)
def test_label_is_one_for_the_database_exactly_where_it_is_one_for_the_reader(world: World, label: str) -> None:
    assert is_named(LABEL, label) is LABELS[label]
    assert world.value("select private.is_label(%s)", label) is LABELS[label]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    label=st.text(st.sampled_from("aZ9._-lock\n/ é"), max_size=70)
    | st.from_regex(r"[a.]{1,4}(\.lock)?", fullmatch=True)
)
def test_reader_and_database_never_differ_about_a_label(world: World, label: str) -> None:
    assert world.value("select private.is_label(%s)", label) is is_named(LABEL, label)


def test_plan_whose_sprint_waits_for_a_later_one_is_refused(world: World) -> None:
    made = unplanned(world)
    with refused(400, "bad-dependency"):
        record(world, made["run_id"], plan(("a", ["b"]), ("b", [])))
    assert sprints(world) == [("planning", "RUNNING", [])]


def test_plan_comes_from_the_builders_half_of_its_own_run(world: World) -> None:
    mine, other = unplanned(world), unplanned(world)
    with refused(403, "wrong-scope"):
        record(world, mine["run_id"], scope="publish")
    with refused(404, "run-not-found"):
        world.runner_of(other["run_id"]).call("record_plan_v1", run_id=mine["run_id"], plan=plan())


def ask(world: World, run_id: str, **changes: Any) -> Any:
    given = {"questions": QUESTIONS, "session": {"session_id": "s"}} | changes
    return world.runner_of(run_id).call("ask_requester_v1", run_id=run_id, **given)


def test_questions_set_the_run_aside_and_go_out_by_mail(world: World) -> None:
    made = unplanned(world)
    first = ask(world, made["run_id"])
    assert ask(world, made["run_id"]) == first
    assert world.one("select result, summary_json ->> 'status' from runs") == ("FAILED", "NEEDS_INPUT")
    assert world.one("select state, session_json from sprints") == ("NEEDS_INPUT", {"session_id": "s"})
    assert (notices(world, "needs_input"), notices(world, "report")) == (1, 0)
    (row_id,) = world.one("select id::text from outbox where payload ->> 'template' = 'needs_input'")
    notice = world.functions().call("describe_notice_v1", outbox_id=row_id)
    assert (notice["questions"], notice["spec"]["id"]) == (QUESTIONS, made["spec_id"])


BAD_QUESTIONS: list[Any] = [[], {}, [{"id": "q"}], [{"text": "?"}], [{"id": "q", "text": " "}], [QUESTIONS[0]] * 21]


@pytest.mark.parametrize("questions", BAD_QUESTIONS, ids=range(len(BAD_QUESTIONS)))
def test_questions_that_ask_nothing_are_refused(world: World, questions: Any) -> None:
    made = unplanned(world)
    with refused(400, "bad-questions"):
        ask(world, made["run_id"], questions=questions)


def reply(world: World, made: dict[str, Any], text: str = "Blue.", **changes: Any) -> dict[str, Any]:
    """A mail in the thread of the specification's own mail."""
    thread, began = world.one("select gmail_thread_id, rfc_message_id from messages m join specs s on message_id = m.id"
                              " where s.id = %s", made["spec_id"])  # fmt: skip
    mail = world.mail(gmail_thread_id=thread, references=f"<ours@example.org> {began}", history_id="77", **changes)
    answer: dict[str, Any] = world.functions().call("ingest_reply_v1", message=mail, text=text)
    return answer | {"mail": mail}


def asked(world: World) -> dict[str, Any]:
    made = unplanned(world)
    ask(world, made["run_id"])
    return made


def cursor(world: World) -> Any:
    return world.value("select history_id from mailboxes")


def test_reply_in_the_thread_resumes_the_sprint_with_question_and_answer(world: World) -> None:
    made = asked(world)
    answer = reply(world, made)
    assert (answer["outcome"], cursor(world)) == ("answered", 77)
    assert world.one("select state, reason from messages where id = %s", answer["message_id"]) == ("ACCEPTED", "answer")
    run_id = answer["run_id"]
    start = world.runner_of(run_id).call("start_run_v1", run_id=run_id, ci_run_id="8", ci_attempt=1)["sprint"]
    assert (start["questions"][0]["text"], start["answers"][0]["text"]) == ("Which colour?", "Blue.")
    assert start["session"] == {"session_id": "s"}


def test_reply_that_lost_its_thread_is_known_by_what_it_refers_to(world: World) -> None:
    made = asked(world)
    world.execute("update messages set gmail_thread_id = 'another'")
    assert reply(world, made)["outcome"] == "answered"


def test_second_round_keeps_the_questions_of_the_first(world: World) -> None:
    made = asked(world)
    run_id = reply(world, made)["run_id"]
    runner = world.runner_of(run_id)
    runner.call("start_run_v1", run_id=run_id, ci_run_id="8", ci_attempt=1)
    ask(world, run_id, questions=[{"id": "q2", "text": "How large?", "blocking": True}])
    assert world.value("select jsonb_path_query_array(questions_json, '$[*].id') from sprints") == ["q1", "q2"]
    assert notices(world, "needs_input") == 2


def test_mail_without_a_waiting_question_is_left_to_the_caller(world: World) -> None:
    made = unplanned(world)
    before = world.value("select count(*) from messages")
    assert reply(world, made)["outcome"] == "no-question"
    assert (world.value("select count(*) from messages"), cursor(world)) == (before, None)


def test_blank_reply_is_no_answer(world: World) -> None:
    made = asked(world)
    assert reply(world, made, text=" \n")["outcome"] == "no-question"
    assert world.value("select state from sprints") == "NEEDS_INPUT"


@pytest.mark.parametrize(
    ("sender", "state", "told"), [("eve@example.net", "REFUSED", False), ("bob@example.com", "INVALID", True)]
)
def test_only_the_requester_answers(world: World, sender: str, state: str, told: bool) -> None:
    """A stranger hears nothing; a colleague hears that he was not asked."""
    with world.administration() as operator:
        operator.allow_sender("bob@example.com", "acme/shop")
    made = asked(world)
    answer = reply(world, made, sender=sender)
    assert answer["outcome"] == "unknown-sender"
    assert world.one("select state, answered from messages where sender = %s", sender) == (state, told)
    assert world.value("select state from sprints") == "NEEDS_INPUT"


def test_reply_delivered_twenty_times_at_once_is_one_answer(world: World) -> None:
    """Half of them under the same Gmail id, half under ids of their own."""
    made = asked(world)
    message = world.mail()
    outcomes: list[str] = []

    def deliver(number: int) -> None:
        changed = message if number % 2 else message | {"id": None, "gmail_id": f"again-{number}"}
        answer = world.functions().call("ingest_reply_v1", message=changed, text="Blue.")
        outcomes.append(answer["outcome"])
        assert answer["run_id"]

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"20 deliveries: {outcomes.count('answered')} answered, {outcomes.count('duplicate')} duplicates")
    assert sorted(outcomes) == ["answered"] + ["duplicate"] * 19
    assert world.value("select jsonb_array_length(answers_json) from sprints") == 1
    runs = "select count(*) from runs where spec_id = %s and result is null"
    assert world.value(runs, made["spec_id"]) == 1


def test_operator_answers_what_came_another_way(world: World) -> None:
    asked(world)
    sprint_id = world.value("select id::text from sprints")
    with world.administration() as operator:
        answered = operator.answer_sprint(sprint_id, {"id": "phone", "text": "Blue.", "answered_by": "ada@example.com"})
    assert answered["state"] == "PLANNED"


def test_members_neither_plan_nor_ask_nor_reply(world: World) -> None:
    made = unplanned(world)
    member = world.member_of(world.projects["acme/shop"], "maintainer")
    for verb, arguments in {
        "record_plan_v1": {"run_id": made["run_id"], "plan": plan()},
        "ask_requester_v1": {"run_id": made["run_id"], "questions": QUESTIONS},
        "ingest_reply_v1": {"message": world.mail(), "text": "x"},
    }.items():
        with forbidden():
            member.call(verb, **arguments)
