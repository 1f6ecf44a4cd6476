"""Status events go out on Realtime's private channels, and the channels let in whom channels.txt names.

Realtime itself is not here. Its part of the database is: a table and two functions as its migrations make them
(https://supabase.com/docs/guides/realtime/authorization), and the question that it asks when somebody joins.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from local.postgres.copies import create_copy, drop_copy
from local.postgres.database import Database
from tests.database.test_access import Peopled, people
from tests.database.world import Persona, World

pytestmark = pytest.mark.database

CHANNELS = Path(__file__).with_name("channels.txt")
REALTIME = """
    create schema realtime;
    create table realtime.messages (
        topic text not null, extension text not null, payload jsonb, event text, private boolean default false,
        updated_at timestamp not null default now(), inserted_at timestamp not null default now(),
        id uuid not null default gen_random_uuid(), primary key (id, inserted_at)
    );
    alter table realtime.messages enable row level security;
    create function realtime.topic() returns text language sql stable as $$
        select nullif(current_setting('realtime.topic', true), '')
    $$;
    create function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void
    language sql as $$
        insert into realtime.messages (payload, event, topic, private, extension)
        values (payload, event, topic, private, 'broadcast')
    $$;
    grant usage on schema realtime to anon, authenticated, service_role, aicd_functions, aicd_runner;
    grant select, insert, update on realtime.messages to anon, authenticated, service_role, aicd_functions, aicd_runner;
"""
MEMBERS = "members listen to their projects and runs"


@dataclass
class Channels:
    """Personas, and per kind of channel the topics of the own and of a foreign project."""

    peopled: Peopled
    own: dict[str, str]
    foreign: dict[str, str]


@pytest.fixture(scope="module")
def channels(server: Database) -> Iterator[Channels]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    world = World(create_copy(server, name), server.authenticator_dsn_of(name), server.superuser_dsn_of(name))
    world.execute(REALTIME)
    assert world.value("select private.guard_channels()") is True
    peopled = people(world)
    topics = []
    for repo in ("acme/shop", "rival/shop"):
        project_id, run_id = world.one(
            "select project_id::text, runs.id::text from runs join projects on projects.id = project_id"
            " where projects.repo = %s",
            repo,
        )
        topics.append({"project": f"project:{project_id}", "run": f"run:{run_id}"})
    yield Channels(peopled, *topics)
    drop_copy(server, name)


def written() -> dict[tuple[str, str, str], tuple[bool, bool]]:
    lines = [line.split() for line in CHANNELS.read_text(encoding="utf-8").splitlines()]
    cells = [line for line in lines if line and not line[0].startswith("#")]
    return {(role, token, kind): (own == "yes", foreign == "yes") for role, token, kind, own, foreign in cells}


def may_join(
    connection: psycopg.Connection[object], persona: Persona, topic: str, extension: str = "broadcast"
) -> bool:
    """What Realtime asks when a client joins: a message is put there, looked for as the client, and taken back."""
    connection.execute("savepoint joining")
    try:
        connection.execute(
            "insert into realtime.messages (topic, extension, private) values (%s, %s, true)", (topic, extension)
        )
        connection.execute(
            "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true),"
            " set_config('realtime.topic', %s, true)",
            (persona.role, json.dumps(persona.claims), topic),
        )
        row = connection.execute(
            "select exists (select from realtime.messages where topic = %s and extension = %s)", (topic, extension)
        ).fetchone()
        return row == (True,)
    finally:
        connection.execute("rollback to savepoint joining")


def differences(channels: Channels, connection: psycopg.Connection[object]) -> list[tuple[str, str, str]]:
    matrix = written()
    found = []
    for (role, token), persona in channels.peopled.personas.items():
        for kind in ("project", "run"):
            seen = tuple(may_join(connection, persona, topics[kind]) for topics in (channels.own, channels.foreign))
            if seen != matrix.get((role, token, kind), (False, False)):
                found.append((role, token, kind))
    return found


def test_channels_let_in_whom_the_matrix_names(channels: Channels) -> None:
    with psycopg.connect(channels.peopled.world.owner_url) as connection:
        assert differences(channels, connection) == []
    assert {(role, token) for role, token, _ in written()} < set(channels.peopled.personas)


@pytest.mark.parametrize(
    "mutant",
    [
        f'drop policy "{MEMBERS}" on realtime.messages',
        f'alter policy "{MEMBERS}" on realtime.messages using (true)',
        f"alter policy \"{MEMBERS}\" on realtime.messages using (extension = 'broadcast')",
        f'alter policy "{MEMBERS}" on realtime.messages to anon',
        "alter table realtime.messages disable row level security",
        "alter table runs disable row level security",
        "revoke execute on function private.may_listen(text) from authenticated",
    ],
)
def test_channel_matrix_notices(channels: Channels, mutant: str) -> None:
    with psycopg.connect(channels.peopled.world.owner_url) as connection:
        connection.execute(mutant)
        try:
            is_noticed = bool(differences(channels, connection))
        except psycopg.errors.InsufficientPrivilege:
            # A policy that cannot be evaluated lets nobody in, and says so.
            is_noticed = True
        assert is_noticed
        connection.rollback()


@pytest.mark.parametrize(
    "form", ["{}", "Project:{}", "project:{} ", "project:{}:x", "spec:{}", "project:", "", "run:{}"]
)
def test_channel_of_another_form_lets_nobody_in(channels: Channels, form: str) -> None:
    topic = form.format(channels.own["project"].removeprefix("project:"))
    with psycopg.connect(channels.peopled.world.owner_url) as connection:
        for persona in channels.peopled.personas.values():
            assert not may_join(connection, persona, topic), topic


def test_nobody_sends_and_presence_is_not_served(channels: Channels) -> None:
    topic = channels.own["project"]
    with psycopg.connect(channels.peopled.world.owner_url) as connection:
        for persona in channels.peopled.personas.values():
            assert not may_join(connection, persona, topic, extension="presence")
            with pytest.raises(psycopg.errors.InsufficientPrivilege), persona.transaction() as sending:
                sending.execute("select set_config('realtime.topic', %s, true)", (topic,))
                sending.execute("insert into realtime.messages (topic, extension) values (%s, 'broadcast')", (topic,))


@pytest.fixture
def cloud(throwaway_world: World) -> World:
    throwaway_world.execute(REALTIME)
    throwaway_world.value("select private.guard_channels()")
    return throwaway_world


def test_event_of_a_run_is_broadcast_on_its_two_private_channels(cloud: World) -> None:
    made = cloud.started()
    cloud.execute("delete from realtime.messages")
    with psycopg.connect(cloud.owner_url, autocommit=True) as listener:
        listener.execute("listen aicd_events")
        event_id = cloud.runner_of(made["run_id"]).call(
            "record_event_v1", run_id=made["run_id"], phase="BUILD", message="go", metadata={"large": "x" * 100}
        )
        assert list(listener.notifies(timeout=0.2)) == []
    sent = cloud.all("select topic, event, private, payload from realtime.messages")
    assert {(topic, event, private) for topic, event, private, _ in sent} == {
        (f"project:{cloud.projects['acme/shop']}", "status_event", True),
        (f"run:{made['run_id']}", "status_event", True),
    }
    [payload] = {json.dumps(row[3], sort_keys=True) for row in sent}
    told = json.loads(payload)
    assert (told["id"], told["phase"], told["message"], "metadata" in told) == (str(event_id), "BUILD", "go", False)


def test_event_before_any_run_is_broadcast_to_the_project_only(cloud: World) -> None:
    cloud.ingest()
    topics = {row[0] for row in cloud.all("select topic from realtime.messages where payload ->> 'run_id' is null")}
    assert topics == {f"project:{cloud.projects['acme/shop']}"}


def test_broken_broadcast_does_not_undo_the_event(cloud: World) -> None:
    cloud.execute("drop table realtime.messages")
    made = cloud.started()
    assert cloud.value("select count(*) from status_events where spec_id = %s", made["spec_id"]) >= 2


def test_event_is_notified_with_ids_only_where_there_is_no_realtime(world: World) -> None:
    with psycopg.connect(world.owner_url, autocommit=True) as listener:
        listener.execute("listen aicd_events")
        world.ingest()
        heard = [json.loads(notice.payload) for notice in listener.notifies(timeout=2, stop_after=2)]
    rows = world.all("select id::text, project_id::text, run_id::text from status_events order by created_at")
    assert heard == [{"id": one, "project_id": project, "run_id": run} for one, project, run in rows]


def test_channels_are_guarded_once_and_only_where_there_is_a_realtime(throwaway_world: World) -> None:
    assert throwaway_world.value("select private.guard_channels()") is False
    throwaway_world.execute(REALTIME)
    assert [throwaway_world.value("select private.guard_channels()") for _ in range(2)] == [True, True]
    assert throwaway_world.all("select cmd, roles::text from pg_policies where schemaname = 'realtime'") == [
        ("SELECT", "{authenticated}")
    ]
