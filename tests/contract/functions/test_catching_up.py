"""Much mail at once, and history forgotten over much mail: nothing is fetched twice, and Gmail's quota holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from functions._shared.intake import sync
from functions.tick import mailboxes
from local.administration import Administration

GMAIL = "/gmail/v1/users/me/"
# Google's own table of 2026-05: what each call costs, and how much one mailbox may spend in a minute.
UNITS = {"history": 2, "profile": 1, "messages": 5, "message": 20}
UNITS_PER_MINUTE = 6_000


def kind_of(path: str) -> str:
    rest = path.partition(GMAIL)[2]
    return "message" if rest.startswith("messages/") else rest


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every request to Gmail from now on, by its kind, a mail by its id."""
    seen: list[str] = []
    send = httpx.Client.send

    def counting(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        path = request.url.path
        if GMAIL in path:
            seen.append(path.rpartition("/")[2] if kind_of(path) == "message" else kind_of(path))
        return send(client, request, **options)

    monkeypatch.setattr(httpx.Client, "send", counting)
    return seen


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """Four mails in a pass, instead of a hundred."""
    monkeypatch.setattr(sync, "MOST_FETCHES", 4)
    return 4


@pytest.fixture
def begun(line: Any) -> Any:
    line.call(line.function("tick"))
    return line


def deliver(line: Any, letter: Callable[..., Any], count: int) -> list[str]:
    return [line.deliver(letter(subject=f"Mail {number}"))["gmail_id"] for number in range(count)]


def accepted(line: Any) -> list[str]:
    rows = line.rows("select gmail_id from public.messages where state = 'ACCEPTED' order by created_at")
    return [gmail_id for (gmail_id,) in rows]


def forget_history(line: Any) -> None:
    line.world.google.post(f"mailbox/{line.mailbox}/expire-history")


def wait(line: Any) -> None:
    """The rest is over."""
    line.database.execute("update public.mailboxes set retry_at = now() - interval '1 second'")


def stand(line: Any) -> tuple[int, str | None, bool]:
    [(cursor, error, rests)] = line.rows("select history_id, last_error, retry_at > now() from public.mailboxes")
    return int(cursor), error, bool(rests)


def test_inbox_that_is_read_anew_fetches_no_mail_that_is_known(begun: Any, letter: Any, asked: list[str]) -> None:
    push = begun.function("gmail_push")
    known = deliver(begun, letter, 5)
    assert begun.push(push).status_code == 204
    missed = deliver(begun, letter, 3)
    forget_history(begun)
    asked.clear()
    assert begun.push(push).status_code == 204
    assert accepted(begun) == [*known, *missed]
    assert Counter(asked) == Counter({"history": 1, "profile": 1, "messages": 1} | dict.fromkeys(missed, 1))


def test_mail_from_before_the_mailbox_was_ours_is_not_read_when_history_is_forgotten(begun: Any, letter: Any) -> None:
    old = deliver(begun, letter, 2)
    begun.database.execute("update public.mailboxes set created_at = now() + interval '1 second'")
    begun.world.google.post("clock", advance_seconds=2)
    new = deliver(begun, letter, 1)
    forget_history(begun)
    assert begun.push(begun.function("gmail_push")).status_code == 204
    assert accepted(begun) == new
    assert old


def test_large_inbox_is_read_in_passes_that_go_on_where_the_last_one_stopped(
    begun: Any, letter: Any, asked: list[str], few: int
) -> None:
    forgotten_at, _, _ = stand(begun)
    mails = deliver(begun, letter, 2 * few + 2)
    forget_history(begun)
    push, tick = begun.function("gmail_push"), begun.function("tick")
    assert begun.push(push).status_code == 204
    assert accepted(begun) == mails[:few]
    cursor, error, rests = stand(begun)
    assert (cursor, rests) == (forgotten_at, True), "the newest cursor is kept only when all is done"
    assert error is not None
    assert f"{few + 2} are still to come" in error
    spent = len(asked)
    assert begun.push(push).status_code == 204
    assert len(asked) == spent, "Google is left alone meanwhile"
    wait(begun)
    assert begun.call(tick).json["data"]["mailboxes"] == {
        "watches_renewed": 0, "polled": 1, "failed": 0, "resting": 0,
    }  # fmt: skip
    assert accepted(begun) == mails[: 2 * few]
    assert stand(begun)[1:] != (None, False), "there is more to come, and the mailbox says so"
    wait(begun)
    begun.call(tick)
    assert accepted(begun) == mails
    assert asked.count("history") == 3, "one for each pass"
    assert all(asked.count(mail) == 1 for mail in mails), "none twice"
    cursor, error, rests = stand(begun)
    assert (cursor > forgotten_at, error, rests) == (True, None, False)


def test_many_mails_in_the_history_are_read_in_passes_too(begun: Any, letter: Any, asked: list[str], few: int) -> None:
    mails = deliver(begun, letter, few + 3)
    push = begun.function("gmail_push")
    before, _, _ = stand(begun)
    assert begun.push(push).status_code == 204
    cursor, _, rests = stand(begun)
    assert (cursor > before, rests, accepted(begun)) == (True, True, mails[:few])
    wait(begun)
    assert begun.push(push).status_code == 204
    assert accepted(begun) == mails
    assert all(asked.count(mail) == 1 for mail in mails)


def test_passes_of_a_minute_stay_within_gmails_quota(record_property: Callable[[str, object], None]) -> None:
    passes = 60 / sync.REST_SECONDS
    spent = passes * (sync.MOST_FETCHES * UNITS["message"] + UNITS["history"] + UNITS["profile"] + UNITS["messages"])
    record_property("figure", f"{passes:.0f} passes of {sync.MOST_FETCHES} mails a minute: {spent:.0f} units")
    assert spent <= 0.75 * UNITS_PER_MINUTE


def test_mail_that_is_held_back_has_the_others_fetched_once(begun: Any, letter: Any, asked: list[str]) -> None:
    """Each redelivery asks for what is missing, and not for all that came after it."""
    push = begun.function("gmail_push")
    mails = deliver(begun, letter, 3)
    begun.world.google.break_("gmail.users.messages.get", status=500, times=3)
    assert begun.push(push).status_code == 503
    assert begun.push(push).status_code == 204
    assert sorted(accepted(begun)) == sorted(mails)
    assert [asked.count(mail) for mail in mails] == [4, 1, 1]


def test_pass_ends_when_its_time_is_up_and_the_next_one_goes_on(
    begun: Any, letter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's DNS that hangs costs seconds for each of his mails: the function was cut off in their middle."""
    mails = deliver(begun, letter, 3)
    tick = begun.function("tick")
    monkeypatch.setattr(sync, "MOST_SECONDS", 0.0)
    for done in (1, 2, 3):
        begun.database.execute("update public.mailboxes set last_push_at = null, retry_at = null")
        begun.call(tick)
        assert len(accepted(begun)) == done, "at least one each time"
    assert sorted(accepted(begun)) == sorted(mails)


def test_mailboxes_take_turns_where_one_takes_all_the_time(begun: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"email": name} for name in "abc"]
    at = datetime(2026, 11, 30, tzinfo=UTC)
    firsts = {mailboxes._taking_turns(rows, at + timedelta(minutes=minute))[0]["email"] for minute in range(3)}
    assert firsts == {"a", "b", "c"}
    assert mailboxes._taking_turns([], at) == []
    with Administration(begun.world.db_url) as operator:
        operator.create_mailbox(f"zz-{begun.mailbox}")
    monkeypatch.setattr(mailboxes, "MOST_SECONDS", 0.0)
    begun.database.execute("update public.mailboxes set last_push_at = null")
    counts = begun.call(begun.function("tick")).json["data"]["mailboxes"]
    assert counts["polled"] + counts["failed"] == 1
