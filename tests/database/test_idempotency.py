"""Idempotency keys: the same key gives the same answer, another body is an error, twins make one effect."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.database.world import World, forbidden

pytestmark = pytest.mark.database

BODY = hashlib.sha256(b"POST /specs {}").hexdigest()
OTHER_BODY = hashlib.sha256(b"POST /specs {other}").hexdigest()
ANSWER = {"data": {"spec_id": "s-1"}}


def begin(world: World, key: str = "k-1", body: str = BODY, caller: str = "key:1", **more: Any) -> Any:
    return world.functions().call("begin_request_v1", caller=caller, key=key, request_hash=body, **more)


def finish(world: World, status: int, response: Any, key: str = "k-1", body: str = BODY, caller: str = "key:1") -> Any:
    return world.functions().call(
        "finish_request_v1", caller=caller, key=key, request_hash=body, status=status, response=response
    )


def test_repeated_request_gets_the_same_answer(world: World) -> None:
    assert begin(world) == {"outcome": "new"}
    assert finish(world, 201, ANSWER) is True
    for _ in range(3):
        assert begin(world) == {"outcome": "replay", "status": 201, "response": ANSWER}


def test_refusal_is_an_answer_too(world: World) -> None:
    begin(world)
    finish(world, 422, {"errors": [{"code": "spec-invalid"}]})
    assert begin(world)["status"] == 422


def test_key_used_for_another_body_is_a_mismatch_also_while_the_first_is_served(world: World) -> None:
    begin(world)
    assert begin(world, body=OTHER_BODY) == {"outcome": "mismatch"}
    finish(world, 201, ANSWER)
    assert begin(world, body=OTHER_BODY) == {"outcome": "mismatch"}
    assert finish(world, 200, {}, body=OTHER_BODY) is False
    assert begin(world)["response"] == ANSWER


def test_fault_of_ours_is_not_kept_so_that_the_caller_may_try_again(world: World) -> None:
    begin(world)
    assert finish(world, 500, {"errors": []}) is True
    assert begin(world) == {"outcome": "new"}
    finish(world, 201, ANSWER)
    assert begin(world)["status"] == 201


def test_twenty_twins_at_once_make_one_effect(world: World) -> None:
    with ThreadPoolExecutor(20) as pool:
        outcomes = [answer["outcome"] for answer in pool.map(lambda _: begin(world), range(20))]
    assert sorted(outcomes) == ["in-progress"] * 19 + ["new"]


def test_server_that_died_while_serving_frees_the_key_when_its_lease_ends(world: World) -> None:
    begin(world, lease_seconds=30)
    assert begin(world) == {"outcome": "in-progress"}
    world.execute("update private.idempotent_requests set lease_expires_at = now() - interval '1 second'")
    assert begin(world, body=OTHER_BODY) == {"outcome": "mismatch"}
    assert begin(world) == {"outcome": "new"}


def test_key_is_forgotten_after_a_day(world: World) -> None:
    begin(world)
    finish(world, 201, ANSWER)
    world.execute("update private.idempotent_requests set created_at = now() - interval '25 hours'")
    assert begin(world, body=OTHER_BODY) == {"outcome": "new"}


def test_keys_of_two_callers_do_not_meet(world: World) -> None:
    begin(world)
    assert begin(world, caller="key:2", body=OTHER_BODY) == {"outcome": "new"}


def test_nobody_else_may_claim_or_answer(world: World) -> None:
    for persona in (world.runner(), world.anonymous(), world.member("00000000-0000-4000-8000-000000000001")):
        with forbidden():
            persona.call("begin_request_v1", caller="c", key="k", request_hash=BODY)
        with forbidden():
            persona.call("finish_request_v1", caller="c", key="k", request_hash=BODY, status=200, response={})
