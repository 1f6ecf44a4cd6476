"""One Postgres for the session; for each test a database as the migrations leave it.

A copy of the template costs a tenth of a second when the machine is idle and half a second when it is not, so copies
are emptied and used again. A test that changes the schema asks for a `throwaway_world`.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.postgres.bootstrap import bootstrap
from local.postgres.copies import create_copy, drop_copy
from local.postgres.database import Database, start_database
from tests.database.world import World

ROOT = Path(__file__).parents[2]

# With triggers and foreign keys asleep, the order does not matter and the append-only log can be emptied.
EMPTY_ALL = """
    set session_replication_role = replica;
    do $$
    declare
        emptied record;
    begin
        for emptied in
            select schemaname, tablename from pg_tables
            where schemaname in ('public', 'private')
                or (schemaname, tablename) in (('storage', 'objects'), ('auth', 'users'))
        loop
            execute format('delete from %I.%I', emptied.schemaname, emptied.tablename);
        end loop;
    end
    $$;
    reset session_replication_role;
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """PG_BIN chooses the Postgres under test."""
    pg_bin = os.environ.get("PG_BIN")
    data = tmp_path_factory.mktemp("postgres") / "data"
    with start_database(data, ephemeral=True, pg_bin=Path(pg_bin) if pg_bin else None) as database:
        bootstrap(database, ROOT / "supabase" / "migrations")
        yield database


@pytest.fixture(scope="session")
def shared(server: Database) -> World:
    return copy_of(server, "shared")


@pytest.fixture
def empty_world(shared: World) -> Iterator[World]:
    """The database as the migrations leave it."""
    yield World(shared.owner_url, shared.authenticator_dsn, shared.superuser_dsn, api=shared.api, owner=shared.owner)
    with psycopg.connect(shared.superuser_dsn, autocommit=True) as connection:
        connection.execute(EMPTY_ALL)


@pytest.fixture
def world(empty_world: World) -> World:
    """One project, one mailbox, one sender who may target it."""
    empty_world.settle()
    return empty_world


@pytest.fixture
def throwaway_world(server: Database) -> Iterator[World]:
    """As `world`, for a test that changes the schema."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    world = copy_of(server, name)
    world.settle()
    yield world
    drop_copy(server, name)


def copy_of(server: Database, name: str) -> World:
    return World(create_copy(server, name), server.authenticator_dsn_of(name), server.superuser_dsn_of(name))
