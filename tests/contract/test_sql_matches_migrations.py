"""`sql/`, which a person reads, and `supabase/migrations/`, which a project applies, build the same database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.postgres.bootstrap import apply_migrations, bootstrap
from local.postgres.database import Database, start_database

pytestmark = pytest.mark.database

ROOT = Path(__file__).parents[2]
SCHEMAS = "('public', 'private', 'storage', 'auth')"

# What two databases are compared by; every query answers rows of text, and none of them oids.
CATALOGUE = {
    "tables": """
        select format('%I.%I', n.nspname, c.relname), c.relkind, c.relrowsecurity, c.relforcerowsecurity,
            pg_get_userbyid(c.relowner)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname in {schemas} and c.relkind in ('r', 'v', 'm', 'S', 'p')""",
    "columns": """
        select a.attrelid::regclass::text, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)
        from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where n.nspname in {schemas} and c.relkind in ('r', 'v') and a.attnum > 0 and not a.attisdropped""",
    "constraints": """
        select conrelid::regclass::text, conname, pg_get_constraintdef(c.oid), convalidated
        from pg_constraint c join pg_namespace n on n.oid = c.connamespace
        where n.nspname in {schemas} and contype <> 'n'""",
    "indexes": "select schemaname, tablename, indexname, indexdef from pg_indexes where schemaname in {schemas}",
    "policies": """
        select schemaname, tablename, policyname, permissive, roles::text, cmd, qual, with_check
        from pg_policies where schemaname in {schemas}""",
    "functions": """
        select p.oid::regprocedure::text, pg_get_functiondef(p.oid), pg_get_userbyid(p.proowner)
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname in {schemas}""",
    "triggers": """
        select tgrelid::regclass::text, tgname, pg_get_triggerdef(t.oid), tgenabled
        from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
        where n.nspname in {schemas} and not tgisinternal""",
    "table grants": """
        select c.oid::regclass::text, x.grantee::regrole::text, x.privilege_type, x.is_grantable
        from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) x
        where n.nspname in {schemas}""",
    "function grants": """
        select p.oid::regprocedure::text, coalesce(x.grantee::regrole::text, 'PUBLIC'), x.privilege_type
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace, aclexplode(coalesce(p.proacl,
            acldefault('f', p.proowner))) x
        where n.nspname in {schemas}""",
    "schema grants": """
        select n.nspname, x.grantee::regrole::text, x.privilege_type
        from pg_namespace n, aclexplode(n.nspacl) x where n.nspname in {schemas}""",
    "memberships": """
        select roleid::regrole::text, member::regrole::text, admin_option from pg_auth_members
        where roleid::regrole::text like 'aicd%' or member::regrole::text like 'aicd%'""",
    "buckets": "select id, name, public, file_size_limit, allowed_mime_types::text from storage.buckets",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    pg_bin = os.environ.get("PG_BIN")
    data = tmp_path_factory.mktemp("postgres") / "data"
    with start_database(data, ephemeral=True, pg_bin=Path(pg_bin) if pg_bin else None) as database:
        bootstrap(database, None)
        with psycopg.connect(database.superuser_dsn_of("template1"), autocommit=True) as connection:
            for name in ("from_sql", "from_migrations"):
                connection.execute(f"create database {name} template postgres owner postgres")
        yield database


def ordered_files() -> list[Path]:
    lines = (ROOT / "sql" / "order.txt").read_text(encoding="utf-8").splitlines()
    return [ROOT / "sql" / line for line in lines if line.strip() and not line.startswith("#")]


def catalogue(address: str) -> dict[str, set[tuple[Any, ...]]]:
    with psycopg.connect(address) as connection:
        return {name: set(connection.execute(query.format(schemas=SCHEMAS)).fetchall())  # type: ignore[arg-type]
                for name, query in CATALOGUE.items()}  # fmt: skip


def test_order_lists_every_sql_file_once() -> None:
    listed = ordered_files()
    assert len(listed) == len(set(listed))
    assert set(listed) == set((ROOT / "sql").rglob("*.sql"))


def test_sql_and_migrations_build_the_same_database(server: Database) -> None:
    with psycopg.connect(server.owner_url_of("from_sql"), autocommit=True) as connection:
        for path in ordered_files():
            with connection.transaction():
                connection.execute(path.read_text(encoding="utf-8"))  # type: ignore[arg-type]
    with psycopg.connect(server.owner_url_of("from_migrations"), autocommit=True) as connection:
        assert apply_migrations(connection, ROOT / "supabase" / "migrations")
    read, applied = (catalogue(server.owner_url_of(name)) for name in ("from_sql", "from_migrations"))
    for name in CATALOGUE:
        assert read[name], f"the comparison of {name} compares nothing"
        assert read[name] == applied[name], name


def test_comparison_notices_a_difference_of_every_kind(server: Database) -> None:
    """Without this the test above could be blind."""
    changes = {
        "tables": "alter table runs disable row level security",
        "columns": "alter table runs alter column attempt set default 7",
        "constraints": "alter table runs drop constraint runs_finished_with_result",
        "indexes": "drop index idx_runs_sprint_id",
        "policies": 'drop policy "a runner reads its run" on runs',
        "functions": "alter function private.claims() volatile",
        "triggers": "alter table runs disable trigger guard_run",
        "table grants": "grant insert on runs to anon",
        "function grants": "grant execute on function private.claims() to public",
        "schema grants": "grant usage on schema private to anon",
        "buckets": "update storage.buckets set public = true where id = 'specs'",
    }
    with psycopg.connect(server.owner_url_of("from_migrations")) as connection:
        for name, change in changes.items():
            query = CATALOGUE[name].format(schemas=SCHEMAS)
            before = set(connection.execute(query).fetchall())  # type: ignore[arg-type]
            connection.execute(change)  # type: ignore[arg-type]
            assert set(connection.execute(query).fetchall()) != before, name  # type: ignore[arg-type]
            connection.rollback()
            assert set(connection.execute(query).fetchall()) == before  # type: ignore[arg-type]


def test_migrations_use_nothing_that_the_cloud_lacks() -> None:
    """No extension that is not everywhere, and nothing that only a superuser may do."""
    forbidden = (
        "pgcrypto",
        "uuid-ossp",
        "create extension",
        "superuser",
        "bypassrls",
        "event trigger",
        "to service_role",
    )
    for path in sorted((ROOT / "supabase" / "migrations").glob("*.sql")):
        lines = [line.split("--", 1)[0].lower() for line in path.read_text(encoding="utf-8").splitlines()]
        for word in forbidden:
            assert not any(word in line for line in lines), (path.name, word)


def test_supabase_folder_is_no_python_package() -> None:
    """An __init__.py there would hide the client library of the same name."""
    assert not list((ROOT / "supabase").rglob("__init__.py"))
    assert not list((ROOT / "sql").rglob("__init__.py"))
