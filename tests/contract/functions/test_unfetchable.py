"""Mail that Gmail names and does not hand over: held back for an hour, then given up, and told to the operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

GET = "gmail.users.messages.get"
OLD_ENOUGH = {"failures": 4, "minutes": 61}


@pytest.fixture
def begun(line: Any) -> Any:
    line.call(line.function("tick"))
    return line


@pytest.fixture
def two(begun: Any, letter: Callable[..., Any]) -> tuple[str, str]:
    """Two mails: the first one is in trouble in these tests."""
    return begun.deliver(letter(subject="bad"))["gmail_id"], begun.deliver(letter(subject="good"))["gmail_id"]


def withhold(line: Any, *gmail_ids: str, **fault: Any) -> None:
    """Gmail does not hand these mails over, for as long as the test lasts."""
    trouble = {"operation": GET, "times": 1_000, "status": 500} | fault
    line.world.google.post("faults", api=[trouble | {"path": f"*/{gmail_id}"} for gmail_id in gmail_ids or ("*",)])


def pass_time(line: Any, failures: int, minutes: int) -> None:
    line.database.execute(
        "update private.fetch_failures set failures = %s, last_at = now() - interval '2 minutes',"
        " first_at = now() - %s * interval '1 minute'",
        (failures, minutes),
    )


def messages(line: Any) -> dict[str, tuple[str, str]]:
    return {one: (state, why) for one, state, why in line.rows("select gmail_id, state, reason from public.messages")}


def trouble(line: Any) -> tuple[str | None, str | None]:
    [(error, fix)] = line.rows("select last_error, last_error_fix from public.mailboxes")
    return error, fix


@pytest.mark.parametrize("fault", [{"status": 500}, {"kind": "garbage", "status": 200}], ids=["500", "nonsense"])
def test_mail_that_gmail_never_hands_over_is_given_up_after_an_hour(
    begun: Any, letter: Callable[..., Any], two: tuple[str, str], fault: dict[str, Any]
) -> None:
    bad, good = two
    push, tick = begun.function("gmail_push"), begun.function("tick")
    withhold(begun, bad, **fault)
    assert begun.push(push).status_code == 503
    assert messages(begun) == {good: ("ACCEPTED", "accepted")}
    pass_time(begun, failures=4, minutes=59)
    assert begun.push(push).status_code == 503, "not before the hour is over"
    pass_time(begun, failures=3, minutes=61)
    assert begun.push(push).status_code == 503, "nor after too few tries"
    pass_time(begun, **OLD_ENOUGH)
    assert begun.push(push).status_code == 204
    assert messages(begun) == {good: ("ACCEPTED", "accepted"), bad: ("REFUSED", "unfetchable")}
    assert begun.rows("select size, sha256, answered from public.messages where gmail_id = %s", bad) == [
        (None, None, False)
    ]
    error, fix = trouble(begun)
    assert bad in str(error)
    assert "send it again" in str(fix)
    later = begun.deliver(letter())["gmail_id"]
    assert begun.push(push).status_code == 204
    assert messages(begun)[later] == ("ACCEPTED", "accepted")
    begun.call(tick)
    assert trouble(begun) == (error, fix), "told for a day, although the mailbox works"
    begun.database.execute("update public.messages set created_at = created_at - interval '25 hours'")
    begun.database.execute("update public.mailboxes set last_error_at = last_error_at - interval '25 hours'")
    begun.call(tick)
    assert trouble(begun) == (None, None)


def test_several_such_mails_do_not_hold_each_other(begun: Any, letter: Callable[..., Any]) -> None:
    mails = [begun.deliver(letter())["gmail_id"] for _ in range(5)]
    push = begun.function("gmail_push")
    withhold(begun, *mails[:4])
    assert begun.push(push).status_code == 503
    assert messages(begun) == {}, "after three failures Gmail is left alone"
    for _ in range(2):
        pass_time(begun, **OLD_ENOUGH)
        last = begun.push(push).status_code
    assert messages(begun)[mails[4]] == ("ACCEPTED", "accepted")
    pass_time(begun, **OLD_ENOUGH)
    last = begun.push(push).status_code
    assert last == 204
    assert [why for _, why in messages(begun).values()].count("unfetchable") == 4


def test_no_mail_is_given_up_while_gmail_as_a_whole_is_away(begun: Any, two: tuple[str, str]) -> None:
    push = begun.function("gmail_push")
    withhold(begun)
    for minutes in (0, 61, 300, 2_000):
        assert begun.push(push).status_code == 503
        pass_time(begun, failures=99, minutes=minutes)
    assert messages(begun) == {}
    begun.world.google.post("faults")
    assert begun.push(push).status_code == 204
    assert set(messages(begun)) == set(two)


def test_only_mail_of_an_inbox_is_given_up_after_a_day(begun: Any, letter: Callable[..., Any]) -> None:
    alone = begun.deliver(letter())["gmail_id"]
    push = begun.function("gmail_push")
    withhold(begun)
    assert begun.push(push).status_code == 503
    pass_time(begun, failures=99, minutes=23 * 60)
    assert begun.push(push).status_code == 503
    pass_time(begun, failures=99, minutes=24 * 60)
    assert begun.push(push).status_code == 204
    assert messages(begun) == {alone: ("REFUSED", "unfetchable")}


def test_tries_within_a_minute_count_as_one(begun: Any, two: tuple[str, str]) -> None:
    push = begun.function("gmail_push")
    withhold(begun, two[0])
    for _ in range(4):
        assert begun.push(push).status_code == 503
    assert begun.rows("select gmail_id, failures from private.fetch_failures") == [(two[0], 1)]


def test_quota_tells_nothing_of_a_mail_and_ends_the_pass(begun: Any, two: tuple[str, str]) -> None:
    push = begun.function("gmail_push")
    withhold(begun, two[0], status=429)
    answer = begun.push(push)
    assert (answer.status_code, messages(begun)) == (503, {})
    assert begun.rows("select from private.fetch_failures") == []


def test_mail_that_gmail_refuses_to_hand_over_is_recorded_at_once(begun: Any, two: tuple[str, str]) -> None:
    bad, good = two
    withhold(begun, bad, status=400)
    assert begun.push(begun.function("gmail_push")).status_code == 204
    assert messages(begun) == {good: ("ACCEPTED", "accepted"), bad: ("REFUSED", "unfetchable")}
    assert bad in str(trouble(begun)[0])
    begun.world.google.post("faults")
    assert begun.push(begun.function("gmail_push")).status_code == 204
    assert len(messages(begun)) == 2


@pytest.mark.parametrize(
    "operation", ["gmail.users.history.list", "gmail.users.getProfile", "gmail.users.messages.list"]
)
@pytest.mark.parametrize("status", [400, 404])
def test_request_that_gmail_does_not_accept_is_acknowledged_and_known(
    begun: Any, letter: Callable[..., Any], operation: str, status: int
) -> None:
    """Pub/Sub would deliver it again for days; tick asks each minute anyway."""
    push = begun.function("gmail_push")
    begun.push(push)  # whose mailbox it is has been asked
    two = [begun.deliver(letter())["gmail_id"] for _ in range(2)]
    if operation != "gmail.users.history.list":
        begun.world.google.post(f"mailbox/{begun.mailbox}/expire-history")
    begun.world.google.break_(operation, status=status, times=1)
    assert begun.push(push).status_code == 204
    healed = operation == "gmail.users.history.list" and status == 404  # the inbox is read instead
    assert (trouble(begun)[0] is None) == healed
    assert (set(messages(begun)) == set(two)) == healed
    begun.call(begun.function("tick"))
    assert set(messages(begun)) == set(two)
    assert trouble(begun) == (None, None)


def test_more_such_mails_than_a_pass_bears_are_tried_behind_the_new_ones(
    begun: Any, letter: Callable[..., Any]
) -> None:
    """They stood first in every pass, three of them in an hour: others waited for all of them."""
    bad = [begun.deliver(letter())["gmail_id"] for _ in range(9)]
    good = begun.deliver(letter())["gmail_id"]
    push = begun.function("gmail_push")
    withhold(begun, *bad)
    for _ in range(3):
        assert begun.push(push).status_code == 503
    assert messages(begun) == {}
    assert begun.push(push).status_code == 503
    assert messages(begun) == {good: ("ACCEPTED", "accepted")}
    begun.world.google.post("faults")
    assert begun.push(push).status_code == 204
    assert set(messages(begun)) == {good, *bad}


def test_mail_that_was_given_up_is_told_whatever_else_fails(begun: Any, letter: Callable[..., Any]) -> None:
    """Another mail that is held back, and a watch that is renewed, overwrote it."""
    bad, held = (begun.deliver(letter())["gmail_id"] for _ in range(2))
    tick = begun.function("tick")
    begun.world.google.post(
        "faults",
        api=[
            {"operation": GET, "times": 1_000, "status": status, "path": f"*/{gmail_id}"}
            for gmail_id, status in ((bad, 400), (held, 500))
        ],
    )
    begun.database.execute("update public.mailboxes set last_push_at = null")
    begun.call(tick)
    error, fix = trouble(begun)
    assert str(error).startswith("Gmail cannot serve us now")
    assert bad in str(error)
    assert "send it again" in str(fix)
    begun.call(tick)
    assert str(trouble(begun)[0]).count(bad) == 1
    begun.world.google.post("faults")
    begun.database.execute("update public.mailboxes set watch_expires_at = null")
    begun.call(tick)
    assert bad in str(trouble(begun)[0])
    assert "cannot serve" not in str(trouble(begun)[0])
    assert messages(begun)[held] == ("ACCEPTED", "accepted")
