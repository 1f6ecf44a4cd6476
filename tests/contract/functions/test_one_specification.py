"""Row 2: the same mail by push, by poll and by API, in any order, or all at once, is one specification.

Twenty orders in every run, two hundred with AICD_WIDE_TESTS=1.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from typing import Any

import pytest

from functions._shared.intake.sync import sync_mailbox
from functions._shared.retention.sweep import sweep
from functions._shared.settings import Environment, GoogleSettings
from functions._shared.wiring import open_intake
from local.administration import Administration
from tests.contract.functions.conftest import REPO, SPEC, Line

pytestmark = pytest.mark.database

SEEDS = range(200 if os.environ.get("AICD_WIDE_TESTS") == "1" else 20)
# Every fifth order is none: all doors are opened at once.
AT_ONCE = 5


def test_same_mail_by_every_door_in_any_order_is_one_specification(
    line: Line, letter: Callable[..., EmailMessage], record_property: Callable[[str, object], None]
) -> None:
    line.database.execute("truncate private.request_times, private.idempotent_requests")
    line.database.execute("update senders set daily_limit = 10000")
    line.database.execute("update projects set policy = '{\"daily_specs\": 10000}'")
    line.world.google.post("push-config", endpoint="")
    sweep(line.store)  # what the tests before left behind
    line.call(line.function("tick"))  # the mailbox begins
    before = _stored(line)
    doors = Doors(line)
    for seed in SEEDS:
        dice = random.Random(seed)
        spec = SPEC.replace("People can be greeted.", f"People can be greeted {seed} times.")
        mail = letter(subject=f"Letter {seed}", spec=None)
        # As mail programs do it: text as text, its lines ended by CRLF, or packed.
        mail.add_attachment(spec, subtype="yaml", filename="spec.yaml", cte=dice.choice(("7bit", "base64")))
        line.deliver(bytes(mail).replace(b"\n", b"\r\n"))
        named = dice.choice((str(mail["Message-ID"]), ""))
        deliveries = [doors.push, doors.push, doors.poll, *[lambda s=spec, n=named: doors.post(s, n)] * 2]  # type: ignore[misc]
        dice.shuffle(deliveries)
        if seed % AT_ONCE == 0:
            with ThreadPoolExecutor(len(deliveries)) as pool:
                list(pool.map(lambda deliver: deliver(), deliveries))
        else:
            for deliver in deliveries:
                deliver()
        assert line.rows("select count(*) from specs") == [(seed + 1,)], (seed, named)
    assert line.rows("select count(*) from specs where message_id is null") == [(0,)], "each sender hears of it"
    assert line.rows("select count(*) from runs") == [(len(SEEDS),)]
    assert line.rows("select count(*) from outbox where kind = 'dispatch'") == [(len(SEEDS),)]
    sweep(line.store)
    assert _stored(line) - before == len(SEEDS), "and what the slower doors had stored is gone"
    figure = f"row 2: {len(SEEDS)} orders of two pushes, a poll and two API calls, {len(SEEDS)} specifications"
    record_property("figure", figure)


def _stored(line: Line) -> int:
    [(objects,)] = line.rows("select count(*) from storage.objects where bucket_id = 'specs'")
    return int(objects)


class Doors:
    """Push and API as they are deployed, and the poll as tick does it."""

    def __init__(self, line: Any) -> None:
        self._line = line
        self._gmail_push, self._specs = line.function("gmail_push"), line.function("specs")
        google = GoogleSettings.read(Environment(line.environment))
        self._intake = open_intake(line.store, google, "mx.google.com")
        self._token = line.id_token()
        with Administration(line.world.db_url) as operator:
            wanted = {"repo": REPO, "name": "ci", "scopes": ["specs:write"]}
            self._keys = [str(operator.create_api_key(wanted)["key"]) for _ in range(10)]

    def push(self) -> None:
        assert self._line.push(self._gmail_push, token=self._token).status_code == 204

    def poll(self) -> None:
        sync_mailbox(self._line.mailbox, self._intake)

    def post(self, spec: str, message_id: str) -> None:
        # Ten keys, for ten times a hundred requests in a minute.
        bearer = {"Authorization": f"Bearer {random.choice(self._keys)}", "Content-Type": "application/json"}
        body = json.dumps({"spec": spec, "message_id": message_id})
        assert self._specs.post("/specs", data=body, headers=bearer).status_code in (200, 201)
