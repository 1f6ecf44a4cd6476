"""New work is announced at once: to listeners, and in the cloud to the function behind it, signed."""

from __future__ import annotations

import hashlib
import hmac
import json
import os

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.database.world import World

pytestmark = pytest.mark.database


def test_listener_hears_id_and_kind_of_every_new_row(world: World) -> None:
    with psycopg.connect(world.owner_url, autocommit=True) as listener:
        listener.execute("listen aicd_outbox")
        world.ingest()
        heard = [json.loads(notice.payload) for notice in listener.notifies(timeout=2, stop_after=2)]
    rows = world.all("select id::text, kind from outbox")
    assert sorted((one["id"], one["kind"]) for one in heard) == sorted(rows)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.binary(max_size=200), message=st.binary(max_size=300))
def test_hmac_in_sql_equals_pythons(world: World, key: bytes, message: bytes) -> None:
    # The block length is 64: keys on both sides of it take different ways.
    ours = world.value("select private.hmac_sha256(%s, %s)", key, message)
    assert bytes(ours) == hmac.new(key, message, hashlib.sha256).digest()


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 131])
def test_hmac_in_sql_holds_around_the_block_length(world: World, length: int) -> None:
    key = os.urandom(length)
    assert bytes(world.value("select private.hmac_sha256(%s, 'hello')", key)) == hmac.digest(key, b"hello", "sha256")


PG_NET = """
    create schema net;
    create table net.sent (url text, body text, headers jsonb);
    create function net.http_post(url text, body jsonb default '{}', params jsonb default '{}',
        headers jsonb default '{}', timeout_milliseconds integer default 5000) returns bigint
    language sql as $$ insert into net.sent values (url, body::text, headers); select 1::bigint $$;
"""


def test_cloud_webhook_is_signed_as_the_functions_check_it(throwaway_world: World) -> None:
    throwaway_world.execute(PG_NET)
    with throwaway_world.administration() as operator:
        operator.configure_webhook("notify", "https://functions.example/notify", "s3cret")
    throwaway_world.ingest()
    # dispatch has no address: nothing is sent for it.
    url, body, headers = throwaway_world.one("select url, body, headers from net.sent")
    stamped = f"{headers['X-Aicd-Timestamp']}.{body}".encode()
    assert url == "https://functions.example/notify"
    assert headers["X-Aicd-Signature"] == "sha256=" + hmac.new(b"s3cret", stamped, hashlib.sha256).hexdigest()
    assert json.loads(body)["record"]["kind"] == "notify"


def test_failing_webhook_does_not_undo_the_work(throwaway_world: World) -> None:
    throwaway_world.execute(PG_NET)
    throwaway_world.execute("drop table net.sent")
    with throwaway_world.administration() as operator:
        operator.configure_webhook("notify", "https://functions.example/notify", "s3cret")
    throwaway_world.ingest()
    assert throwaway_world.value("select count(*) from outbox") == 2
