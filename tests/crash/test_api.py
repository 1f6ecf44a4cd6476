"""The API is killed at every step; the caller asks again with the same key; there is one specification, one object."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import pytest

from tests.crash.children import API, Nursery, sample
from tests.crash.test_intake import orphans
from tests.crash.world import REPO, SPEC, World

pytestmark = pytest.mark.database


def test_api_killed_at_any_step_takes_the_specification_in_once(
    clean: World, nursery: Nursery, chaos: bool, tell: Callable[[str], None]
) -> None:
    # A project's policy of its own: the day is longer than a hundred deaths.
    clean.execute("update public.projects set policy = policy || '{\"daily_specs\": 100000}'")
    clean.execute(
        "insert into private.settings values ('requests_per_caller_and_minute', '1000000') on conflict do nothing"
    )
    with clean.administration() as operator:
        key = str(operator.create_api_key({"repo": REPO, "name": "c", "scopes": ["specs:write"]})["key"])
    whole = nursery.post(*call(key, 0), watched=API)
    assert whole.status == 201
    points = sample(whole, 0 if chaos else 30)
    killed = left_work = 0
    for number, step in enumerate(points, start=1):
        body, headers = call(key, number)
        life = nursery.post(body, headers, die=step, watched=API)
        killed += life.killed
        specs, objects = stored(clean)
        left_work += (specs, objects) != (number + 1, number + 1)
        # Its hold on the key ends with its lease; nobody waits for that here.
        clean.execute("update private.idempotent_requests set lease_expires_at = now() - interval '1 second'")
        assert nursery.post(body, headers).status == 201, step
        assert stored(clean) == (number + 1, number + 1), f"killed at step {step}"
    assert orphans(clean) == 0
    assert clean.count("select count(*) from public.runs") == len(points) + 1
    assert killed >= 0.95 * len(points)
    calls = sum(what.startswith("before") for _, what in whole.effects)
    tell(
        f"N = {whole.steps} steps with {calls} calls outside; killed at {killed}; {left_work} times work was left to do"
    )


def call(key: str, number: int) -> tuple[str, dict[str, str]]:
    """A specification of its own, under a key of its own."""
    body = json.dumps({"spec": SPEC.replace("project: ", f"project: n{number}")})
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Idempotency-Key": uuid.uuid4().hex,
    }
    return body, headers


def stored(world: World) -> tuple[int, int]:
    return (
        world.count("select count(*) from public.specs"),
        world.count("select count(*) from storage.objects where bucket_id = 'specs'"),
    )
