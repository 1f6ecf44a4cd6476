"""A notice that is told in a channel, too: by a row of its own, once for each run, round or specification."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.database.test_requests import key_of
from tests.database.test_submissions import caller_of
from tests.database.world import World, refused

pytestmark = pytest.mark.database


def copy(world: World, outbox_id: str, channel: str | None = "slack") -> Any:
    return world.functions().call("copy_notice_v1", outbox_id=outbox_id, channel=channel)


def notice(world: World, template: str = "spec_received") -> str:
    return str(
        world.value(
            "select id::text from outbox where payload ->> 'template' = %s and not payload ? 'channel'", template
        )
    )


def test_copy_is_a_row_of_its_own_that_says_the_same_and_is_made_once(world: World) -> None:
    made = world.ingest()
    mail = notice(world)
    assert [copy(world, mail) for _ in range(3)] == [True, False, False]
    key, payload, channel_id = world.one(
        "select idempotency_key, payload, id::text from outbox where payload ->> 'channel' = 'slack'"
    )
    assert key == f"slack:spec_received:{made['spec_id']}"
    assert payload["spec_id"] == made["spec_id"]
    told = world.functions().call("describe_notice_v1", outbox_id=channel_id)
    assert (told["template"], told["spec"]["repo"]) == ("spec_received", "acme/shop")
    claimed = world.functions().call("claim_outbox_v1", kinds=["notify"], limit=9, lease_seconds=60)
    assert {row["id"] for row in claimed} == {mail, channel_id}


def test_run_that_two_mails_are_told_of_is_told_once_in_the_channel(world: World) -> None:
    made = world.ingest()
    world.functions().call("abandon_run_v1", run_id=made["run_id"], code="x", reason="y")
    world.execute(
        "insert into outbox (kind, payload, idempotency_key)"
        " select kind, payload, idempotency_key || ':another-mail' from outbox where payload ->> 'template' = 'report'"
    )
    reports = world.all("select id::text from outbox where payload ->> 'template' = 'report'")
    assert [copy(world, outbox_id) for (outbox_id,) in reports] == [True, False]


def test_only_a_mails_notice_is_copied_and_only_to_a_channel_that_there_is(world: World) -> None:
    world.ingest()
    copy(world, notice(world))
    channel_id = world.value("select id::text from outbox where payload ? 'channel'")
    dispatch = world.value("select id::text from outbox where kind = 'dispatch'")
    for outbox_id in (channel_id, dispatch, str(uuid.uuid4())):
        with refused(404, "notice-not-found"):
            copy(world, outbox_id)
    for channel in ("pigeon", "", None):
        with refused(400, "bad-channel"):
            copy(world, notice(world), channel)


def test_operator_sees_which_row_is_the_channels(world: World) -> None:
    world.ingest()
    copy(world, notice(world))
    with world.administration() as operator:
        rows = operator.list_outbox(None, 10)
    assert {(row["template"], row["channel"]) for row in rows} == {
        (None, None), ("spec_received", None), ("spec_received", "slack"),
    }  # fmt: skip


def test_every_round_of_questions_is_told_in_the_channel(world: World) -> None:
    made, caller = world.ingest(needs_approval=True), caller_of(key_of(world))
    for number in range(2):
        asked = {"id": str(uuid.uuid4()), "questions": [{"text": f"Which one of {number}?"}]}
        world.functions().call("ask_about_spec_for_v1", caller=caller, spec_id=made["spec_id"], asked=asked)
        row_id = world.value("select id::text from outbox where payload ->> 'round_id' = %s", asked["id"])
        assert [copy(world, row_id) for _ in range(2)] == [True, False]
        world.functions().call("ingest_reply_v1", message=world.mail(), text="This one.")
