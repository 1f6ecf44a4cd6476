"""Mailboxes that do not work, the branches a sender may have work done on, and what a run knows of earlier ones."""

from __future__ import annotations

import pytest

from tests.database.world import SENDER, World, refused, spec
from tests.spoken import speaker

pytestmark = pytest.mark.database


def mailbox(world: World) -> dict[str, object]:
    [one] = world.functions().call("list_mailboxes_v1")
    return dict(one)


def test_trouble_is_remembered_with_googles_wish_until_the_mailbox_works_again(world: World) -> None:
    functions = world.functions()
    before = mailbox(world)
    assert (before["last_error"], before["retry_at"]) == (None, None)
    functions.call(
        "fail_mailbox_v2",
        mailbox_id=before["mailbox_id"],
        error="Too many requests.",
        fix="Wait.",
        retry_after_seconds=90,
    )
    assert mailbox(world)["last_error"] == "Too many requests."
    assert world.value(
        "select retry_at between now() + interval '85 seconds' and now() + interval '90 seconds' from mailboxes"
    )
    assert functions.call("open_mailbox_v1", email=before["email"])["retry_at"] is not None
    assert functions.call("heal_mailbox_v1", mailbox_id=before["mailbox_id"]) is True
    assert mailbox(world)["retry_at"] is None
    assert functions.call("heal_mailbox_v1", mailbox_id=before["mailbox_id"]) is False


@pytest.mark.parametrize(("seconds", "most"), [(10**9, 86_400), (-5, 0), (None, None)], ids=["far", "past", "none"])
def test_wish_to_be_left_alone_is_at_most_a_day(world: World, seconds: int | None, most: int | None) -> None:
    given = {"error": "e", "fix": "f", "retry_after_seconds": seconds}
    world.functions().call("fail_mailbox_v2", mailbox_id=mailbox(world)["mailbox_id"], **given)
    waits = world.value("select round(extract(epoch from retry_at - last_error_at)) from mailboxes")
    assert waits == most


def test_renewed_watch_forgets_the_trouble_too(world: World) -> None:
    one = mailbox(world)
    given = {"error": "e", "fix": "f", "retry_after_seconds": 60}
    world.functions().call("fail_mailbox_v2", mailbox_id=one["mailbox_id"], **given)
    renewed = {"history_id": "5", "watch_expires_at": "2026-12-01T00:00:00Z"}
    world.functions().call("renew_mailbox_v1", mailbox_id=one["mailbox_id"], **renewed)
    assert (mailbox(world)["last_error"], mailbox(world)["retry_at"]) == (None, None)


def test_mail_that_was_given_up_is_told_for_a_day(world: World) -> None:
    functions = world.functions()
    ids = {"mailbox_id": world.mailbox_id, "gmail_id": "a"}
    assert functions.call("note_fetch_failure_v1", **ids) == {"failures": 1, "seconds": 0}
    given = {"message": {**ids, "history_id": "77"}, "error": "left out", "fix": "send it again"}
    assert functions.call("give_up_message_v1", **given)["outcome"] == "recorded"
    assert world.one("select state, reason, sha256 from messages") == ("REFUSED", "unfetchable", None)
    assert (mailbox(world)["history_id"], mailbox(world)["last_error"]) == ("77", "left out")
    assert world.value("select count(*) from private.fetch_failures") == 0
    functions.call("fail_mailbox_v2", mailbox_id=world.mailbox_id, error="busy", fix="wait", retry_after_seconds=60)
    assert (mailbox(world)["last_error"], mailbox(world)["retry_at"] is None) == ("busy left out", False)
    assert functions.call("heal_mailbox_v2", mailbox_id=world.mailbox_id) is False
    assert (mailbox(world)["last_error"], mailbox(world)["retry_at"]) == ("left out", None), (
        "of other trouble it is healed"
    )
    renewed = {"history_id": "5", "watch_expires_at": "2026-12-01T00:00:00Z"}
    functions.call("renew_mailbox_v1", mailbox_id=world.mailbox_id, **renewed)
    assert mailbox(world)["last_error"] == "left out"
    given["message"]["gmail_id"] = "b"
    functions.call("give_up_message_v1", **given)
    assert functions.call("heal_mailbox_v2", mailbox_id=world.mailbox_id) is False
    assert mailbox(world)["last_error"] == "left out"
    assert functions.call("give_up_message_v1", **given)["outcome"] == "duplicate"
    world.execute("update messages set created_at = created_at - interval '25 hours'")
    world.execute("update mailboxes set last_error_at = last_error_at - interval '25 hours'")
    assert functions.call("heal_mailbox_v2", mailbox_id=world.mailbox_id) is True


def test_mail_that_was_given_up_is_given_up_once(world: World) -> None:
    """A parallel delivery may have fetched it meanwhile; then the mailbox has no trouble to tell."""
    functions = world.functions()
    functions.call("record_message_v1", message=world.mail(gmail_id="a", state="IGNORED"))
    given = {"mailbox_id": world.mailbox_id, "gmail_id": "a"}
    assert functions.call("give_up_message_v1", message=given, error="e", fix="f")["outcome"] == "duplicate"
    assert mailbox(world)["last_error"] is None


def test_failures_of_a_week_ago_are_forgotten(world: World) -> None:
    functions, ids = world.functions(), {"mailbox_id": world.mailbox_id, "gmail_id": "a"}
    functions.call("note_fetch_failure_v1", **ids)
    world.execute("update private.fetch_failures set first_at = now() - interval '8 days'")
    world.execute("update private.fetch_failures set last_at = now() - interval '8 days'")
    assert functions.call("note_fetch_failure_v1", **ids) == {"failures": 1, "seconds": 0}


def test_unknown_mailbox_cannot_fail(world: World) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    with refused(404, "mailbox-not-found"):
        world.functions().call("fail_mailbox_v2", mailbox_id=nobody, error="e", fix="f")


@pytest.mark.parametrize(
    ("allowed", "branch", "outcome"),
    [
        (["main"], None, "accepted"),
        (["main"], "main", "accepted"),
        (["main"], "develop", "branch-not-allowed"),
        (["develop", "feature/*"], "feature/prices", "accepted"),
        (["develop", "feature/*"], "develop", "accepted"),
        (["develop"], None, "branch-not-allowed"),
        (["feature_*"], "featurex1", "branch-not-allowed"),
        (None, "anything", "accepted"),
    ],
)
def test_sender_may_have_work_done_on_his_branches_only(
    world: World, allowed: list[str] | None, branch: str | None, outcome: str
) -> None:
    with world.administration() as operator:
        operator.allow_sender(SENDER, "acme/shop", {"branches": allowed})
    answer = world.functions().call("ingest_message_v1", message=world.mail(), specs=[spec(branch=branch)])
    assert answer["outcome"] == outcome
    if outcome != "accepted":
        assert ", ".join(allowed or []) in world.value("select problems ->> 0 from messages")


def test_row_without_branches_lets_its_sender_have_all(world: World) -> None:
    with world.administration() as operator:
        operator.allow_sender(SENDER, "acme/shop", {"branches": ["main"]})
        operator.allow_sender(SENDER, None)
    answer = world.functions().call("ingest_message_v1", message=world.mail(), specs=[spec(branch="hotfix")])
    assert answer["outcome"] == "accepted"


def test_option_that_is_not_said_stays_as_it_is(world: World) -> None:
    with world.administration() as operator:
        operator.allow_sender(SENDER, "acme/shop", {"branches": ["main"], "budget_usd_day": 5})
        again = operator.allow_sender(SENDER, "acme/shop", {"daily_limit": 7})
        assert (again["branches"], again["daily_limit"], again["budget_usd_day"]) == (["main"], 7, 5)
        assert operator.allow_sender(SENDER, "acme/shop", {"branches": None})["branches"] is None


def finish(world: World, run_id: str, summary: dict[str, object]) -> None:
    world.runner_of(run_id).call("finish_run_v1", run_id=run_id, result="FAILED", summary=summary)


def test_run_finds_what_was_missing_in_the_runs_before_it_and_no_other_specification(world: World) -> None:
    first = world.started()
    verdict = {
        "criteria": [
            {"id": "coverage_min", "status": "failed", "reason": "Too little tax."},
            {"id": "unit_pass", "status": "passed"},
        ]
    }
    finish(world, first["run_id"], {"status": "FAILED", "verdict": verdict})
    other = world.started()
    finish(world, other["run_id"], {"status": "FAILED", "verdict": verdict})
    sprint_id = world.value("select sprint_id::text from runs where id = %s", first["run_id"])
    with world.administration() as operator:
        again = operator.retry_sprint(sprint_id)["run_id"]
    runner = world.runner_of(again)
    [found] = runner.call("search_runs_v1", run_id=again, query="TAX little")
    assert (found["run_id"], found["result"]) == (first["run_id"], "FAILED")
    assert found["failing"] == [{"id": "coverage_min", "status": "failed", "reason": "Too little tax."}]
    assert runner.call("search_runs_v1", run_id=again, query="tax gold") == []
    assert len(runner.call("search_runs_v1", run_id=again)) == 1
    with refused(404, "run-not-found"):
        runner.call("search_runs_v1", run_id=other["run_id"])


def test_operator_names_a_senders_branches_and_takes_them_back(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DB_URL", world.owner_url)
    aicd, shop = speaker(capsys), ("bob@example.com", "--repo", "acme/shop")
    aicd("sender", "allow", *shop, "--branch", "main", "--branch", "release/*")
    aicd("sender", "allow", *shop, "--budget-day", "5")
    bob = {one["pattern"]: one for one in aicd("sender", "list", "--json").json["senders"]}["bob@example.com"]
    assert (bob["branches"], bob["budget_usd_day"]) == (["main", "release/*"], 5)
    assert "main, release/*" in aicd("sender", "list").out
    assert aicd("sender", "allow", *shop, "--branch", "main", "--any-branch").code == 2
    assert aicd("sender", "allow", *shop, "--any-branch", "--json").json["branches"] is None
