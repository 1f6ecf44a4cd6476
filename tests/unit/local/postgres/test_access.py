"""Who gets in, and what each may do once inside."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from local.postgres.database import Database


def run_as_owner(database: Database, statement: str) -> None:
    with psycopg.connect(database.owner_url) as connection:
        connection.execute(statement)
        connection.rollback()


def test_tcp_wants_the_password(database: Database) -> None:
    address = urlsplit(database.owner_url)
    assert (address.username, address.hostname, address.path) == ("postgres", "127.0.0.1", "/postgres")
    for password in ("", "wrong"):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(host="127.0.0.1", port=database.port, user="postgres", password=password, dbname="postgres")


def test_socket_wants_a_password_and_a_directory_nobody_enters(database: Database) -> None:
    with psycopg.connect(database.superuser_dsn) as connection:
        sockets = Path(str(connection.execute("show unix_socket_directories").fetchone()[0]))  # type: ignore[index]
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(host=str(sockets), port=database.port, user="supabase_admin", dbname="postgres", password="x")


def test_passwords_stay_in_a_private_file_and_out_of_the_log(database: Database) -> None:
    assert stat.S_IMODE((database.log_path.parent / "credentials.json").stat().st_mode) == 0o600
    password = str(urlsplit(database.owner_url).password)
    assert password not in database.log_path.read_text()
    assert password not in repr(database._cluster)


def test_owner_is_no_superuser(database: Database) -> None:
    with psycopg.connect(database.owner_url) as connection:
        row = connection.execute(
            "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb from pg_roles where rolname = current_user"
        ).fetchone()
    assert row == (False, True, True, True)


ALLOWED = [
    'create policy "x" on storage.objects for select to authenticated using (true)',
    'create policy "x" on storage.buckets for select using (true); drop policy "x" on storage.buckets',
    "create role r nologin; grant r to authenticator; grant anon to r; grant select on storage.objects to r",
    "create table public.t (id uuid primary key references auth.users (id))",
    "create trigger a after insert on auth.users for each row execute function storage.update_updated_at_column()",
    "create schema private; create function private.f() returns int language sql as 'select 1'",
    "insert into storage.buckets (id, name) values ('b', 'b')",
    "create extension pg_trgm with schema extensions",
    "alter role authenticator set pgrst.db_pre_request = 'public.f'",
    "alter role anon set statement_timeout = '5s'",
]
REFUSED = [
    "alter table storage.objects disable row level security",
    "alter table storage.objects add column x int",
    "drop table storage.objects",
    "drop trigger protect_objects_delete on storage.objects",
    "create index on storage.objects (owner)",
    "drop index storage.bucketid_objname",
    "create function storage.mine() returns int language sql as 'select 1'",
    "create table auth.mine (id int)",
    "set role supabase_storage_admin; alter table storage.objects add column x int",
    "set role supabase_admin",
    "delete from storage.objects",
    "alter role postgres superuser",
    "create role s superuser",
    "copy (select 1) to program 'true'",
    "create event trigger e on sql_drop execute function local_guard.refuse_drops()",
    "drop event trigger refuse_drops",
]


@pytest.mark.parametrize("statement", ALLOWED)
def test_owner_may_do_what_the_cloud_allows(database: Database, statement: str) -> None:
    run_as_owner(database, statement)


@pytest.mark.parametrize("statement", REFUSED)
def test_owner_may_not_do_what_the_cloud_refuses(database: Database, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run_as_owner(database, statement)


def test_new_tables_are_granted_to_nobody(database: Database) -> None:
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("create table public.fresh (id int)")
        for role in ("anon", "authenticated", "service_role", "authenticator"):
            row = connection.execute("select has_table_privilege(%s, 'public.fresh', 'select')", (role,)).fetchone()
            assert row == (False,)
        connection.rollback()


def test_authenticator_becomes_the_api_roles_and_nothing_else(database: Database) -> None:
    with psycopg.connect(database.authenticator_dsn, autocommit=True) as connection:
        for role in ("anon", "authenticated", "service_role"):
            connection.execute(f"set role {role}")
            connection.execute("reset role")
        for role in ("postgres", "supabase_admin", "supabase_storage_admin", "supabase_auth_admin"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"set role {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from storage.objects")


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ("", (None, None, None, None)),
        ('{"sub": "00000000-0000-0000-0000-000000000001", "role": "r", "email": "e"}', (1, "r", "e", "r")),
        ("{}", (None, None, None, None)),
    ],
)
def test_claim_functions_read_the_settings(database: Database, claims: str, expected: tuple[object, ...]) -> None:
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
        row = connection.execute("select auth.uid(), auth.role(), auth.email(), auth.jwt() ->> 'role'").fetchone()
    assert row is not None
    assert (row[0].int if row[0] else None, *row[1:]) == expected


def test_subject_that_is_no_uuid_raises(database: Database) -> None:
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("select set_config('request.jwt.claims', '{\"sub\": \"me\"}', true)")
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            connection.execute("select auth.uid()")


@pytest.mark.parametrize(
    ("name", "folders", "file", "extension"),
    [("a/b/c.tar.gz", ["a", "b"], "c.tar.gz", "gz"), ("c.txt", [], "c.txt", "txt"), ("a/b", ["a"], "b", "b")],
)
def test_names_of_objects_come_apart(
    database: Database, name: str, folders: list[str], file: str, extension: str
) -> None:
    with psycopg.connect(database.owner_url) as connection:
        row = connection.execute(
            "select storage.foldername(%(n)s), storage.filename(%(n)s), storage.extension(%(n)s)", {"n": name}
        ).fetchone()
    assert row == (folders, file, extension)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another account")
def test_server_of_root_runs_as_somebody_else(database: Database) -> None:
    assert Path(f"/proc/{database.pid}").stat().st_uid != 0
