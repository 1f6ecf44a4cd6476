"""One Postgres for the session, one copy of the migrated database for each test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.postgres.bootstrap import bootstrap
from local.postgres.copies import create_copy, drop_copy
from local.postgres.database import Database, start_database
from tests.database.world import World

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """PG_BIN chooses the Postgres under test."""
    pg_bin = os.environ.get("PG_BIN")
    data = tmp_path_factory.mktemp("postgres") / "data"
    with start_database(data, ephemeral=True, pg_bin=Path(pg_bin) if pg_bin else None) as database:
        bootstrap(database, ROOT / "supabase" / "migrations")
        yield database


@pytest.fixture
def empty_world(server: Database) -> Iterator[World]:
    """The database as the migrations leave it."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    owner_url = create_copy(server, name)
    yield World(owner_url, server.authenticator_dsn_of(name), server.superuser_dsn_of(name))
    drop_copy(server, name)


@pytest.fixture
def world(empty_world: World) -> World:
    """One project, one mailbox, one sender who may target it."""
    empty_world.settle()
    return empty_world
