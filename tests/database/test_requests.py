"""How often a caller may ask: at most 100 times in any 60 seconds, each caller by himself."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from controlplane.api_keys import hash_api_key
from tests.database.world import World, refused

pytestmark = pytest.mark.database

LIMIT = 100


def key_of(world: World, **changes: Any) -> dict[str, Any]:
    wanted = {"repo": "acme/shop", "name": "ci", "scopes": ["specs:read", "specs:write"], **changes}
    with world.administration() as operator:
        return dict(operator.create_api_key(wanted))


def ask(world: World, key: dict[str, Any]) -> dict[str, Any]:
    return dict(world.functions().call("open_key_call_v1", hash=hash_api_key(key["key"]))["limit"])


def test_hundred_requests_at_once_are_served_and_no_more(world: World) -> None:
    key = key_of(world)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(world, key), range(LIMIT + 50)))
    assert sum(answer["allowed"] for answer in answers) == LIMIT
    assert sorted(answer["remaining"] for answer in answers if answer["allowed"]) == list(range(LIMIT))
    assert all(1 <= answer["retry_after_seconds"] <= 60 for answer in answers if not answer["allowed"])


def test_one_caller_who_asks_too_often_costs_another_nothing(world: World) -> None:
    loud, quiet = key_of(world), key_of(world)
    for _ in range(LIMIT + 1):
        last = ask(world, loud)
    assert not last["allowed"]
    assert ask(world, quiet) == {"allowed": True, "limit": LIMIT, "remaining": LIMIT - 1, "retry_after_seconds": 0}


def test_whoever_waits_as_told_is_served_and_a_refused_request_does_not_count(world: World) -> None:
    key = key_of(world)
    world.execute("insert into private.settings values ('requests_per_caller_and_minute', '3')")
    begin = time.time()
    world.execute(
        "insert into private.request_times values (%s, array["
        "to_timestamp(%s) - interval '59 seconds', to_timestamp(%s) - interval '30 seconds', to_timestamp(%s)])",
        f"key:{key['id']}", begin, begin, begin,
    )  # fmt: skip
    assert ask(world, key)["retry_after_seconds"] == 1
    for _ in range(5):
        assert not ask(world, key)["allowed"]
    time.sleep(1.1)
    assert ask(world, key)["allowed"]
    assert ask(world, key)["retry_after_seconds"] in (28, 29)


def test_callers_who_were_silent_for_a_day_are_forgotten(world: World) -> None:
    world.execute("insert into private.request_times values ('key:old', array[now() - interval '2 days'])")
    ask(world, key_of(world))
    assert world.value("select count(*) from private.request_times where caller = 'key:old'") == 0


def test_dead_key_is_told_nothing_and_counts_nothing(world: World) -> None:
    assert world.functions().call("open_key_call_v1", hash="0" * 64) is None
    assert world.value("select count(*) from private.request_times") == 0


def test_member_is_known_by_his_own_token(world: World) -> None:
    member = world.member_of(world.projects["acme/shop"])
    told = member.call("open_member_call_v1")
    assert told["caller"] == f"user:{member.claims['sub']}"
    assert told["email"] is None, "his address is not confirmed"
    world.execute("update auth.users set email_confirmed_at = now() where id = %s", member.claims["sub"])
    assert member.call("open_member_call_v1")["email"] == f"{member.claims['sub']}@example.com"


@pytest.mark.parametrize("fate", ["banned_until = now() + interval '1 day'", "deleted_at = now()"])
def test_token_of_an_account_that_is_gone_counts_no_more(world: World, fate: str) -> None:
    member = world.member_of(world.projects["acme/shop"])
    world.execute(f"update auth.users set {fate} where id = %s", member.claims["sub"])
    with refused(401, "account-unknown"):
        member.call("open_member_call_v1")
