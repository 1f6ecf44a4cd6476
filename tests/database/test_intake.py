"""Intake: a mail becomes rows once, all of them or none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.database.world import SENDER, World, forbidden, refused, spec

pytestmark = pytest.mark.database


def counts(world: World) -> tuple[int, ...]:
    return world.one(
        "select (select count(*) from messages), (select count(*) from specs), (select count(*) from sprints),"
        " (select count(*) from runs), (select count(*) from status_events), (select count(*) from outbox)"
    )


def test_mail_with_a_spec_becomes_all_its_rows_in_one_call(world: World) -> None:
    made = spec(sprints=2)
    answer = world.functions().call("ingest_message_v1", message=world.mail(), specs=[made])
    assert answer["outcome"] == "accepted"
    assert [one["spec_id"] for one in answer["specs"]] == [made["id"]]
    assert len(answer["specs"][0]["runs"]) == 1
    assert counts(world) == (1, 1, 2, 1, 2, 2)
    assert world.all("select phase from status_events order by created_at") == [("SPEC_RECEIVED",), ("PLANNING",)]
    assert world.all("select kind, payload ->> 'template' from outbox order by kind") == [
        ("dispatch", None),
        ("notify", "spec_received"),
    ]
    assert world.all("select label, position, state, dod_json ->> 'coverage_min' from sprints order by position") == [
        ("sprint-1", 1, "PLANNED", "0.8"),
        ("sprint-2", 2, "PLANNED", "0.8"),
    ]


def test_correlation_id_reaches_spec_run_and_outbox(world: World) -> None:
    world.functions().call("ingest_message_v1", message=world.mail(correlation_id="c-7"), specs=[spec()])
    assert (
        world.all(
            "select correlation_id from specs union all select correlation_id from runs"
            " union all select correlation_id from outbox"
        )
        == [("c-7",)] * 4
    )


def test_same_mail_twice_is_one_set_of_rows(world: World) -> None:
    mail, made = world.mail(), spec()
    first = world.functions().call("ingest_message_v1", message=mail, specs=[made])
    before = counts(world)
    second = world.functions().call("ingest_message_v1", message=mail, specs=[made])
    assert (second["outcome"], second["message_id"], second["specs"]) == (
        "duplicate",
        first["message_id"],
        first["specs"],
    )
    assert counts(world) == before


def test_same_mail_under_another_gmail_id_builds_nothing_more(world: World) -> None:
    mail = world.mail()
    first = world.functions().call("ingest_message_v1", message=mail, specs=[spec()])
    again = world.mail(rfc_message_id=mail["rfc_message_id"])
    second = world.functions().call("ingest_message_v1", message=again, specs=[spec()])
    assert (second["outcome"], second["specs"]) == ("duplicate", first["specs"])
    assert counts(world)[1:] == (1, 1, 1, 2, 2)
    assert world.value("select reason from messages where state = 'IGNORED'") == "duplicate"


def test_twenty_deliveries_at_once_are_one_spec(world: World) -> None:
    mail, made = world.mail(), spec()
    with ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(
                lambda _: world.functions().call("ingest_message_v1", message=mail, specs=[made])["outcome"], range(20)
            )
        )
    assert sorted(answers) == ["accepted"] + ["duplicate"] * 19
    assert counts(world) == (1, 1, 1, 1, 2, 2)


def test_file_attached_twice_is_built_once(world: World) -> None:
    made = spec()
    answer = world.functions().call("ingest_message_v1", message=world.mail(), specs=[made, made])
    assert len(answer["specs"]) == 1


def test_cursor_moves_with_the_mail_and_never_back(world: World) -> None:
    functions = world.functions()
    functions.call("ingest_message_v1", message=world.mail(history_id="18446744073709551615"), specs=[spec()])
    functions.call("record_message_v1", message=world.mail(state="IGNORED", history_id="7"))
    assert functions.call("open_mailbox_v1", email="SPECS@example.org")["history_id"] == "18446744073709551615"


def test_stranger_is_refused_recorded_and_not_answered(world: World) -> None:
    answer = world.functions().call("ingest_message_v1", message=world.mail(sender="eve@evil.example"), specs=[spec()])
    assert (answer["outcome"], answer["specs"]) == ("unknown-sender", [])
    assert world.one("select state, reason from messages") == ("REFUSED", "unknown-sender")
    assert world.value("select count(*) from outbox") == 0


@pytest.mark.parametrize("repo", ["acme/unknown", "other/private"])
def test_repository_that_is_not_the_senders_is_refused_alike(world: World, repo: str) -> None:
    with world.administration() as operator:
        operator.create_project({"repo": "other/private"})
    answer = world.functions().call("ingest_message_v1", message=world.mail(), specs=[spec(repo=repo)])
    assert answer["outcome"] == "repository-not-allowed"
    assert world.one("select state, answered from messages") == ("INVALID", True)
    assert world.value("select payload ->> 'template' from outbox") == "spec_invalid"
    assert world.value("select count(*) from specs") == 0


def test_one_bad_spec_of_two_stores_neither(world: World) -> None:
    answer = world.functions().call(
        "ingest_message_v1", message=world.mail(), specs=[spec(), spec(repo="acme/unknown")]
    )
    assert answer["outcome"] == "repository-not-allowed"
    assert world.value("select count(*) from specs") == 0


def test_domain_on_the_allow_list_lets_its_addresses_in(world: World) -> None:
    with world.administration() as operator:
        operator.allow_sender("*@Corp.example", None, {})
    answers = [
        world.functions().call("ingest_message_v1", message=world.mail(sender=sender), specs=[spec()])["outcome"]
        for sender in ("Bob@corp.example", "bob@sub.corp.example", "bob@corp.example@evil.example")
    ]
    assert answers == ["accepted", "unknown-sender", "unknown-sender"]


@pytest.mark.parametrize(
    ("branch", "outcome"),
    [("main", "accepted"), (None, "accepted"), ("release/1", "accepted"), ("hotfix", "branch-not-allowed"),
     ("release_1", "branch-not-allowed")],
)  # fmt: skip
def test_branch_must_fit_the_projects_patterns(world: World, branch: str | None, outcome: str) -> None:
    world.settle(branches=["release/*"])
    answer = world.functions().call("ingest_message_v1", message=world.mail(), specs=[spec(branch=branch)])
    assert answer["outcome"] == outcome


NOTE = {"attachment": "", "path": "", "message": "'a.pdf' was not read.", "note": True}


def test_receipt_of_an_accepted_mail_knows_how_it_was_read(world: World) -> None:
    world.functions().call("ingest_message_v1", message=world.mail(problems=[NOTE]), specs=[spec()])
    outbox_id = world.value("select id::text from outbox where payload ->> 'template' = 'spec_received'")
    notice = world.functions().call("describe_notice_v1", outbox_id=outbox_id)
    assert notice["problems"] == [NOTE]


def test_refusal_by_the_database_keeps_how_the_mail_was_read(world: World) -> None:
    message = world.mail(problems=[NOTE])
    world.functions().call("ingest_message_v1", message=message, specs=[spec(repo="acme/other")])
    refusal, note = world.value("select problems from messages")
    assert (refusal["code"], note) == ("repository-not-allowed", NOTE)


def test_daily_limit_holds_for_a_senders_next_mail(world: World) -> None:
    with world.administration() as operator:
        operator.allow_sender(SENDER, "acme/shop", {"daily_limit": 2})
    outcomes = [
        world.functions().call("ingest_message_v1", message=world.mail(), specs=[spec()])["outcome"] for _ in range(3)
    ]
    assert outcomes == ["accepted", "accepted", "daily-limit"]


def test_spec_that_needs_approval_waits_without_a_run(world: World) -> None:
    answer = world.functions().call("ingest_message_v1", message=world.mail(), specs=[spec(needs_approval=True)])
    assert answer["specs"][0]["runs"] == []
    assert world.value("select state from sprints") == "NEEDS_APPROVAL"
    assert world.all("select kind, payload ->> 'template' from outbox") == [("notify", "needs_approval")]


def test_notice_of_a_plan_that_was_brought_has_its_sprints_in_their_order(world: World) -> None:
    world.ingest(needs_approval=True, sprints=2)
    notice = world.functions().call("describe_notice_v1", outbox_id=world.value("select id::text from outbox"))
    assert notice["template"] == "needs_approval"
    assert [one["label"] for one in notice["planning"]["sprints"]] == ["sprint-1", "sprint-2"]
    assert [one["state"] for one in notice["spec"]["sprints"]] == ["NEEDS_APPROVAL", "PLANNED"]


def test_spec_without_a_plan_gets_one_run_to_plan_it(world: World) -> None:
    made = world.ingest(plan=None)
    assert made["run_id"] is not None
    assert world.one("select label, plan_json from sprints") == ("planning", None)


@pytest.mark.parametrize("path", ["../escape", "x/source", "", None])
def test_storage_path_that_is_not_ours_is_refused(world: World, path: str | None) -> None:
    with refused(400, "bad-storage-path"):
        world.functions().call("ingest_message_v1", message=world.mail(), specs=[spec(storage_path=path)])
    assert counts(world) == (0,) * 6


def test_invalid_mail_of_a_known_sender_is_answered_once(world: World) -> None:
    mail = world.mail(state="INVALID", reason="spec-invalid", problems=[{"path": "a", "message": "b"}])
    functions = world.functions()
    assert functions.call("record_message_v1", message=mail) == {
        "message_id": mail["id"],
        "outcome": "recorded",
        "answered": True,
    }
    assert functions.call("record_message_v1", message=mail)["outcome"] == "duplicate"
    twin = world.mail(state="INVALID", rfc_message_id=mail["rfc_message_id"])
    assert functions.call("record_message_v1", message=twin)["answered"] is False
    assert world.value("select count(*) from outbox") == 1


def test_thousand_invalid_mails_get_twenty_answers_in_a_day(world: World) -> None:
    functions = world.functions()
    answered = [functions.call("record_message_v1", message=world.mail(state="INVALID"))["answered"] for _ in range(25)]
    assert answered == [True] * 20 + [False] * 5


def test_operator_sets_how_many_answers_a_sender_gets_in_a_day(world: World) -> None:
    with world.administration() as operator:
        operator.limit_answers(3)
    functions = world.functions()
    answered = [functions.call("record_message_v1", message=world.mail(state="INVALID"))["answered"] for _ in range(5)]
    assert answered == [True] * 3 + [False] * 2
    world.execute("delete from private.settings where name = 'answers_per_sender_and_day'")


def test_invalid_mail_of_a_stranger_becomes_refused(world: World) -> None:
    answer = world.functions().call("record_message_v1", message=world.mail(state="INVALID", sender="eve@evil.example"))
    assert answer["answered"] is False
    assert world.one("select state, reason from messages") == ("REFUSED", "unknown-sender")


def test_accepted_is_not_for_record_message(world: World) -> None:
    with refused(400, "bad-state"):
        world.functions().call("record_message_v1", message=world.mail(state="ACCEPTED"))


def test_mailbox_that_does_not_exist_is_not_found(world: World) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    with refused(404, "mailbox-not-found"):
        world.functions().call("record_message_v1", message=world.mail(state="IGNORED", mailbox_id=nobody))
    assert world.functions().call("open_mailbox_v1", email="who@example.org") is None


def test_renewed_watch_starts_a_cursor_but_never_moves_one(world: World) -> None:
    functions = world.functions()
    expires = "2030-01-01T00:00:00+00:00"
    functions.call("renew_mailbox_v1", mailbox_id=world.mailbox_id, history_id="5", watch_expires_at=expires)
    functions.call("renew_mailbox_v1", mailbox_id=world.mailbox_id, history_id="9", watch_expires_at=expires)
    (mailbox,) = functions.call("list_mailboxes_v1")
    assert mailbox["history_id"] == "5"
    assert functions.call("advance_mailbox_v1", mailbox_id=world.mailbox_id, history_id="7") == "7"
    assert functions.call("advance_mailbox_v1", mailbox_id=world.mailbox_id, history_id="6") == "7"


def test_failed_mailbox_keeps_its_error_until_the_watch_is_renewed(world: World) -> None:
    world.functions().call("fail_mailbox_v1", mailbox_id=world.mailbox_id, error="invalid_grant", fix="sign in again")
    assert world.one("select last_error, last_error_fix from mailboxes") == ("invalid_grant", "sign in again")


def test_long_allow_list_is_not_handed_over(world: World) -> None:
    opened = world.functions().call("open_mailbox_v1", email="specs@example.org")
    assert opened["senders"] == [SENDER]
    world.execute("insert into senders (pattern) select 'p' || n || '@example.com' from generate_series(1, 500) as n")
    assert world.functions().call("open_mailbox_v1", email="specs@example.org")["senders"] is None


def test_mails_that_were_dealt_with_are_known_to_their_mailbox_alone(world: World) -> None:
    functions = world.functions()
    functions.call("record_message_v1", message=world.mail(gmail_id="a", state="IGNORED"))
    functions.call("ingest_message_v1", message=world.mail(gmail_id="b"), specs=[spec()])
    known = functions.call("known_messages_v1", mailbox_id=world.mailbox_id, gmail_ids=["a", "b", "c"])
    assert sorted(known) == ["a", "b"]
    nobody = "00000000-0000-4000-8000-000000000000"
    assert functions.call("known_messages_v1", mailbox_id=nobody, gmail_ids=["a"]) == []
    assert functions.call("known_messages_v1", mailbox_id=world.mailbox_id, gmail_ids=[]) == []
    with refused(413, "too-large"):
        functions.call("known_messages_v1", mailbox_id=world.mailbox_id, gmail_ids=["x"] * 501)


def test_mails_that_are_held_back_are_told_the_one_first_that_waits_longest(world: World) -> None:
    functions, ids = world.functions(), {"mailbox_id": world.mailbox_id}
    for gmail_id in ("a", "b", "c"):
        functions.call("hold_message_v1", **ids, gmail_id=gmail_id)
    functions.call("hold_message_v1", **ids, gmail_id="a")
    functions.call("record_message_v1", message=world.mail(gmail_id="k", state="IGNORED"))
    assert functions.call("known_messages_v2", **ids, gmail_ids=["a", "b", "d", "k"]) == {
        "known": ["k"], "held": ["b", "a"]}  # fmt: skip
    assert functions.call("note_fetch_failure_v1", **ids, gmail_id="c")["failures"] == 0, "it was handed over"
    nobody = "00000000-0000-4000-8000-000000000000"
    assert functions.call("known_messages_v2", mailbox_id=nobody, gmail_ids=["a"]) == {"known": [], "held": []}


def test_opened_mailbox_says_since_when_it_is_ours(world: World) -> None:
    functions = world.functions()
    opened = functions.call("open_mailbox_v2", email="SPECS@example.org")
    assert opened["created_at"]
    del opened["created_at"]
    assert opened == functions.call("open_mailbox_v1", email="specs@example.org")
    assert functions.call("open_mailbox_v2", email="who@example.org") is None


@pytest.mark.parametrize(
    "verb",
    [
        "ingest_message_v1", "record_message_v1", "open_mailbox_v1", "list_mailboxes_v1",
        "open_mailbox_v2", "known_messages_v1", "known_messages_v2", "hold_message_v1",
    ],
)  # fmt: skip
def test_intake_is_closed_to_everybody_else(world: World, verb: str) -> None:
    arguments = {
        "ingest_message_v1": {"message": world.mail(), "specs": [spec()]},
        "record_message_v1": {"message": world.mail()},
        "open_mailbox_v1": {"email": "specs@example.org"},
        "open_mailbox_v2": {"email": "specs@example.org"},
        "known_messages_v1": {"mailbox_id": world.mailbox_id, "gmail_ids": ["x"]},
        "known_messages_v2": {"mailbox_id": world.mailbox_id, "gmail_ids": ["x"]},
        "hold_message_v1": {"mailbox_id": world.mailbox_id, "gmail_id": "x"},
        "list_mailboxes_v1": {},
    }[verb]
    outsiders = (world.runner(project_id=world.projects["acme/shop"]), world.member(world.user()), world.anonymous())
    for outsider in outsiders:
        with forbidden():
            outsider.call(verb, **arguments)
