"""Status events reach a listener who may read them, live, in order, once; nobody else hears of them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from local.gateway.announcements import MOST_PENDING, Listener
from local.gateway.events import MOST_OF_ONE_SUBJECT
from local.postgres.bootstrap import bootstrap
from local.postgres.database import start_database
from tests.database.world import Persona, World
from tests.unit.local.gateway.conftest import Stack, start_gateway

pytestmark = pytest.mark.database

MIGRATIONS = Path(__file__).parents[4] / "supabase" / "migrations"
PATH = "/realtime/v1/events"


class Live:
    """A gateway on a database with the migrations, and a project with a run in it."""

    def __init__(self, stack: Stack, world: World) -> None:
        self.stack = stack
        self.world = world
        self.project_id = world.settle()
        self.rival_id = world.settle("rival/shop")
        self.run_id = world.started()["run_id"]
        self.runner = world.runner_of(self.run_id)

    def headers(self, member: Persona, **more: str) -> dict[str, str]:
        token = self.stack.token(sub=member.claims["sub"])
        return {"apikey": self.stack.publishable_key, "Authorization": f"Bearer {token}"} | more

    def record(self, message: str) -> str:
        recorded = self.runner.call("record_event_v1", run_id=self.run_id, phase="BUILD", message=message, metadata={})
        return str(recorded)

    @contextmanager
    def stream(self, member: Persona, last_event_id: str = "", **query: str) -> Iterator[Stream]:
        headers = self.headers(member, **({"Last-Event-ID": last_event_id} if last_event_id else {}))
        query = {"project_id": self.project_id, "heartbeat": "1"} | query
        with (
            httpx.Client(timeout=5, trust_env=False) as client,
            client.stream("GET", self.stack.url + PATH, params=query, headers=headers) as answer,
        ):
            assert answer.status_code == 200, answer.read()
            yield Stream(answer)

    def refusal(self, headers: dict[str, str], **query: str) -> tuple[int, str]:
        query = {"project_id": self.project_id} | query
        answer = httpx.get(self.stack.url + PATH, params=query, headers=headers, timeout=5, trust_env=False)
        return answer.status_code, answer.json()["code"]


class Stream:
    """The blocks of one stream, as a client reads them."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.iter_lines()
        self.headers = answer.headers
        # The stream begins with a greeting; from then on everything is heard.
        assert ": listening" in self.block()

    def block(self) -> list[str]:
        lines = []
        for line in self._lines:
            if not line:
                return lines
            lines.append(line)
        raise EOFError

    def event(self) -> dict[str, Any]:
        """The next event, past heartbeats: {id, event, data}."""
        while True:
            fields = dict(line.split(": ", 1) for line in self.block() if not line.startswith(":"))
            if "data" in fields:
                return {**fields, "data": json.loads(fields["data"])}

    def messages(self, count: int) -> list[str]:
        return [self.event()["data"]["message"] for _ in range(count)]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with start_database(tmp_path_factory.mktemp("database"), ephemeral=True) as database:
        bootstrap(database, MIGRATIONS)
        stack = start_gateway(database, tmp_path_factory.mktemp("objects"))
        try:
            yield Live(stack, World(database.owner_url, database.authenticator_dsn, database.superuser_dsn))
        finally:
            stack.process.terminate()
            stack.process.wait(10)


@pytest.fixture
def member(live: Live) -> Persona:
    return live.world.member_of(live.project_id)


def test_event_reaches_a_listener_within_a_second(live: Live, member: Persona) -> None:
    with live.stream(member) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        began = time.monotonic()
        event_id = live.record("built")
        told = stream.event()
        assert time.monotonic() - began < 1
    assert told["event"] == "status_event"
    assert (told["data"]["id"], told["data"]["message"], told["data"]["run_id"]) == (event_id, "built", live.run_id)
    assert told["id"] == f"{told['data']['created_at']}_{event_id}"
    assert told["data"]["metadata"] == {}


def test_two_listeners_hear_the_same_in_order(live: Live, member: Persona) -> None:
    other = live.world.member_of(live.project_id)
    with live.stream(member) as one, live.stream(other, run_id=live.run_id) as two:
        sent = [f"step {number}" for number in range(20)]
        for message in sent:
            live.record(message)
        assert one.messages(20) == two.messages(20) == sent


def test_foreign_project_is_not_found_and_its_events_are_not_heard(live: Live, member: Persona) -> None:
    headers = live.headers(member)
    assert live.refusal(headers, project_id=live.rival_id) == (404, "not-found")
    assert live.refusal(headers, project_id=str(uuid.uuid4())) == (404, "not-found")
    foreign = live.world.started(repo="rival/shop")["run_id"]
    assert live.refusal(headers, run_id=foreign) == (404, "not-found")
    with live.stream(member) as stream:
        live.world.runner_of(foreign).call(
            "record_event_v1", run_id=foreign, phase="BUILD", message="theirs", metadata={}
        )
        live.record("ours")
        assert stream.messages(1) == ["ours"]


def test_announcement_with_a_foreign_events_id_brings_nothing(live: Live, member: Persona) -> None:
    """Anybody with a connection can notify; what is sent is what the listener may read."""
    [(foreign,)] = live.world.all("select id::text from status_events where project_id = %s limit 1", live.rival_id)
    with live.stream(member) as stream:
        for told in ({"id": foreign, "project_id": live.project_id}, {"id": "x'", "project_id": 7}, [1], "nonsense"):
            live.world.execute("select pg_notify('aicd_events', %s)", json.dumps(told))
        live.record("ours")
        assert stream.messages(1) == ["ours"]


def test_listener_who_comes_back_gets_what_he_missed(live: Live, member: Persona) -> None:
    with live.stream(member) as stream:
        live.record("seen")
        last = stream.event()["id"]
    missed = [live.record(f"missed {number}") for number in range(3)]
    with live.stream(member, last_event_id=last) as stream:
        live.record("live again")
        told = _until(stream, "live again")
    # What lies shortly before the place may come again: its id tells.
    ids = [event["id"] for event in told]
    assert len(ids) == len(set(ids))
    assert [event_id for event_id in ids if event_id in missed] == missed


def _until(stream: Stream, message: str) -> list[dict[str, Any]]:
    told = []
    while not told or told[-1]["message"] != message:
        told.append(stream.event()["data"])
    return told


def test_event_made_before_the_place_and_committed_after_it_is_not_missed(live: Live, member: Persona) -> None:
    """created_at is the time of making: a slow transaction's event comes to light behind a faster one's."""
    with psycopg.connect(live.world.owner_url) as slow:
        slow.execute(
            "insert into status_events (spec_id, phase, message) select spec_id, 'PLANNING', 'slow'"
            " from runs where id = %s",
            (live.run_id,),
        )
        with live.stream(member) as stream:
            live.record("fast")
            last = stream.event()["id"]
        slow.commit()
    with live.stream(member, last_event_id=last) as stream:
        assert "slow" in [event["message"] for event in _until(stream, "slow")]


def test_silent_stream_says_that_it_is_alive(live: Live, member: Persona) -> None:
    with live.stream(member) as stream:
        began = time.monotonic()
        assert stream.block() == [": still here"]
        assert 0.5 < time.monotonic() - began < 3


def test_member_who_is_put_out_hears_nothing_more_and_the_stream_ends(live: Live, member: Persona) -> None:
    with live.stream(member) as stream:
        live.record("still in")
        assert stream.messages(1) == ["still in"]
        live.world.execute("delete from project_members where user_id = %s", member.claims["sub"])
        live.record("secret")
        last = stream.event()
    assert (last["event"], last["data"]) == ("end", {"reason": "not-allowed"})


def test_broken_connection_to_the_database_loses_nothing(live: Live, member: Persona) -> None:
    with live.stream(member) as stream:
        with psycopg.connect(live.world.superuser_dsn, autocommit=True) as superuser:
            superuser.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen aicd_events%'"
            )
        live.record("while nobody heard")
        assert _until(stream, "while nobody heard")


def test_streams_of_one_person_are_bounded_and_places_come_free(live: Live, member: Persona) -> None:
    headers = live.headers(member)
    with httpx.Client(timeout=5, trust_env=False) as client:
        open_streams = []
        query = {"project_id": live.project_id}
        for _ in range(MOST_OF_ONE_SUBJECT):
            request = client.build_request("GET", live.stack.url + PATH, params=query, headers=headers)
            open_streams.append(client.send(request, stream=True))
        assert {answer.status_code for answer in open_streams} == {200}
        assert live.refusal(headers) == (429, "too-many-streams")
        for answer in open_streams:
            answer.close()
    deadline = time.monotonic() + 5
    while True:
        try:
            with live.stream(member):
                break
        except AssertionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_only_a_members_token_listens(live: Live, member: Persona) -> None:
    key = {"apikey": live.stack.publishable_key}
    runner = live.stack.token(role="aicd_runner", sub=str(uuid.uuid4()), jti="x", project_id=live.project_id)
    expired = live.stack.token(sub=member.claims["sub"], ttl_seconds=-120)
    assert live.refusal(key) == (401, "not-authenticated")
    assert live.refusal(key | {"Authorization": f"Bearer {runner}"}) == (403, "wrong-role")
    assert live.refusal(key | {"Authorization": f"Bearer {expired}"})[0] == 401
    assert live.refusal({})[0] == 401


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ({"project_id": ""}, {}),
        ({"project_id": "1 or 1=1"}, {}),
        ({"run_id": "x"}, {}),
        ({"heartbeat": "0"}, {}),
        ({"heartbeat": "61"}, {}),
        ({"heartbeat": "9" * 5000}, {}),
        ({"heartbeat": "-1"}, {}),
        ({}, {"Last-Event-ID": "7"}),
        ({}, {"Last-Event-ID": "2026-11-21T00:00:00_" + str(uuid.UUID(int=1))}),
        ({}, {"Last-Event-ID": "0001-01-01T00:00:00+00:00_" + str(uuid.UUID(int=1))}),
        ({}, {"Last-Event-ID": "2026-11-21T00:00:00+00:00_x"}),
    ],
)
def test_unreadable_parameter_is_named(
    live: Live, member: Persona, query: dict[str, str], headers: dict[str, str]
) -> None:
    assert live.refusal(live.headers(member, **headers), **query) == (400, "bad-parameter")


def test_listener_too_slow_for_the_ids_is_told_to_look_back() -> None:
    listener = Listener("p", None, "somebody")
    for number in range(MOST_PENDING):
        listener.tell(str(number))
    assert len(listener.take() or []) == MOST_PENDING
    for number in range(MOST_PENDING + 1):
        listener.tell(str(number))
    assert listener.take() is None
    assert listener.take() == []
