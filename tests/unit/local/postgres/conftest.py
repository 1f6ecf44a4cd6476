"""Databases of these tests' own: what is tested here is their starting and stopping."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.postgres.bootstrap import bootstrap
from local.postgres.database import Database, start_database


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A bootstrapped database without migrations."""
    with start_database(tmp_path_factory.mktemp("database"), ephemeral=True) as database:
        bootstrap(database, None)
        yield database


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """A folder with two migrations and a file that is none."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "20260101000000_first.sql").write_text("create table first (id int); insert into first values (1);")
    (folder / "20260102000000_second.sql").write_text("alter table first add column note text default '100%';")
    (folder / "README.sql").write_text("this is no migration")
    return folder
