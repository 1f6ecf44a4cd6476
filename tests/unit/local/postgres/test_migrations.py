"""From an empty cluster to a project's database, and copies of it."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from local.postgres.bootstrap import apply_migrations, bootstrap
from local.postgres.copies import create_copy, drop_copy
from local.postgres.database import Database
from local.postgres.errors import MigrationError


@pytest.fixture
def copy(database: Database, request: pytest.FixtureRequest) -> str:
    """The owner's address of a fresh copy."""
    return create_copy(database, f"copy_of_{request.node.name}"[:60])


def test_migrations_are_applied_once_in_order_and_recorded(copy: str, migrations: Path) -> None:
    with psycopg.connect(copy, autocommit=True) as connection:
        assert apply_migrations(connection, migrations) == ["20260101000000", "20260102000000"]
        assert apply_migrations(connection, migrations) == []
        assert connection.execute("select note from first").fetchall() == [("100%",)]
        recorded = connection.execute("select version, name, statements from supabase_migrations.schema_migrations")
        assert [(row[0], row[1]) for row in recorded] == [("20260101000000", "first"), ("20260102000000", "second")]


def test_failing_migration_leaves_nothing_and_says_where(copy: str, migrations: Path) -> None:
    broken = migrations / "20260103000000_broken.sql"
    broken.write_text("create table half (id int);\n\nselect nonsense;\n")
    with psycopg.connect(copy, autocommit=True) as connection:
        with pytest.raises(MigrationError, match=r"20260103000000_broken\.sql failed in line 3") as caught:
            apply_migrations(connection, migrations)
        assert caught.value.fix
        assert connection.execute("select to_regclass('half'), to_regclass('first')::text").fetchone() == (
            None,
            "first",
        )
        broken.write_text("create table half (id int);")
        assert apply_migrations(connection, migrations) == ["20260103000000"]


def test_setting_of_one_migration_does_not_reach_the_next(copy: str, migrations: Path) -> None:
    (migrations / "20260103000000_a.sql").write_text("set search_path = pg_catalog; set row_security = off;")
    (migrations / "20260104000000_b.sql").write_text("create table unqualified (id int);")
    with psycopg.connect(copy, autocommit=True) as connection:
        apply_migrations(connection, migrations)
        assert connection.execute("select to_regclass('public.unqualified') is not null").fetchone() == (True,)


def test_bootstrap_twice_changes_nothing(database: Database) -> None:
    assert bootstrap(database, None) == []


def test_data_of_another_base_layer_is_refused(database: Database) -> None:
    with psycopg.connect(database.superuser_dsn, autocommit=True) as connection:
        comment = connection.execute("select obj_description('local_guard'::regnamespace, 'pg_namespace')").fetchone()
        assert comment is not None
        connection.execute("comment on schema local_guard is 'older'")
        with pytest.raises(MigrationError, match="another version"):
            bootstrap(database, None)
        connection.execute(f"comment on schema local_guard is '{comment[0]}'")


def test_copies_are_apart_and_whole(database: Database) -> None:
    with psycopg.connect(create_copy(database, "one")) as one, psycopg.connect(create_copy(database, "two")) as two:
        one.execute("create table only_here (id int)")
        one.commit()
        assert two.execute("select to_regclass('only_here'), to_regclass('storage.objects')::text").fetchone() == (
            None,
            "storage.objects",
        )
    with psycopg.connect(database.authenticator_dsn_of("one")) as connection:
        connection.execute("set role anon")
    drop_copy(database, "one")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database.owner_url_of("one"))
