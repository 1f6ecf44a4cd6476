"""Every rule of access, broken one at a time: the comparisons with matrix.txt, storage.txt and the list of verbs must
turn red each time. A mutant is made inside a transaction and taken back.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from local.postgres.copies import create_copy, drop_copy
from local.postgres.database import Database
from tests.database.test_access import PRIVILEGES, ROLES, Peopled, people, written
from tests.database.world import Persona, World

pytestmark = pytest.mark.database

Connection = psycopg.Connection[Any]
OBJECTS = Path(__file__).with_name("storage.txt")
BUCKETS = ("specs", "artifacts", "sessions")
OUR_SCHEMAS = "('public', 'private')"


@dataclass
class Ground:
    """What the mutants are bred on: the people of the access test, and objects of each kind in every bucket."""

    peopled: Peopled
    personas: dict[tuple[str, str], Persona]
    keys: dict[str, dict[str, str]]
    free: dict[str, dict[str, str]]
    verbs: set[tuple[str, str]]

    @property
    def world(self) -> World:
        return self.peopled.world


@pytest.fixture(scope="module")
def ground(server: Database) -> Iterator[Ground]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    world = World(create_copy(server, name), server.authenticator_dsn_of(name), server.superuser_dsn_of(name))
    yield prepare(people(world))
    drop_copy(server, name)


def prepare(peopled: Peopled) -> Ground:
    world = peopled.world
    ids = dict(world.all("select repo, array[spec_id::text, r.id::text, sprint_id::text] from runs r"
                         " join specs on specs.id = spec_id"))  # fmt: skip
    own, foreign = ids["acme/shop"], ids["rival/shop"]
    keys = {
        "specs": {"own": f"{own[0]}/source", "foreign": f"{foreign[0]}/source", "marked": f"{uuid.uuid4()}/source"},
        "artifacts": {kind: f"{run}/{uuid.uuid4()}"
                      for kind, run in (("own", own[1]), ("foreign", foreign[1]), ("marked", own[1]))},
        "sessions": {"own": f"{own[2]}/{own[1]}", "foreign": f"{foreign[2]}/{foreign[1]}",
                     "marked": f"{own[2]}/{uuid.uuid4()}"},
    }  # fmt: skip
    free = {
        "specs": {kind: f"{uuid.uuid4()}/source" for kind in ("own", "foreign")},
        "artifacts": {"own": f"{own[1]}/{uuid.uuid4()}", "foreign": f"{foreign[1]}/{uuid.uuid4()}"},
        "sessions": {"own": f"{own[2]}/{own[1]}.2", "foreign": f"{foreign[2]}/{foreign[1]}.2"},
    }
    for bucket in BUCKETS:
        keys[bucket]["hostile"], free[bucket]["hostile"] = "nobodys/source", "../source"
        for name in keys[bucket].values():
            world.execute("insert into storage.objects (bucket_id, name) values (%s, %s)", bucket, name)
        world.execute("insert into private.expired_objects (bucket, path, reason) values (%s, %s, 'retention')",
                      bucket, keys[bucket]["marked"])  # fmt: skip
    extra = {("aicd_runner", scope): world.runner_of(own[1], scope=scope) for scope in ("build", "publish")}
    with psycopg.connect(world.superuser_dsn) as connection:
        verbs = executable(connection)
    return Ground(peopled, peopled.personas | extra, keys, free, verbs)


# The comparisons


def differences(ground: Ground, connection: Connection) -> list[object]:
    """What the database does otherwise than it is written, up to the first kind of difference."""
    for compare in (grants, row_security, verbs, rows, objects):
        if found := compare(ground, connection):
            return found
    return []


def grants(ground: Ground, connection: Connection) -> list[object]:
    granted = connection.execute(
        "select role, tablename, privilege from unnest(%s::text[]) role, unnest(%s::text[]) privilege, pg_tables"
        f" where schemaname in {OUR_SCHEMAS}"
        " and has_table_privilege(role, format('%%I.%%I', schemaname, tablename), privilege)",
        (list(ROLES), list(PRIVILEGES)),
    ).fetchall()
    return list(set(granted) ^ {(role, table, right) for role, _, table, right in written()})


def row_security(ground: Ground, connection: Connection) -> list[object]:
    return connection.execute(
        "select relname from pg_class where relkind in ('r', 'p') and not relrowsecurity and (relnamespace in"
        " ('public'::regnamespace, 'private'::regnamespace) or oid = 'storage.objects'::regclass)"
    ).fetchall()


def verbs(ground: Ground, connection: Connection) -> list[object]:
    """test_access holds the list to what is written; here it must only be the same as before the mutant."""
    return list(executable(connection) ^ ground.verbs)


def executable(connection: Connection) -> set[tuple[str, str]]:
    query = (
        "select role, pg_proc.oid::regprocedure::text from unnest(%s::text[]) role, pg_proc"
        f" where pronamespace::regnamespace::text in {OUR_SCHEMAS}"
        " and has_function_privilege(role, pg_proc.oid, 'execute')"
    )
    return set(connection.execute(query, (list(ROLES),)).fetchall())


def rows(ground: Ground, connection: Connection) -> list[object]:
    peopled = ground.peopled
    for (role, token, table, _), (own, foreign) in written().items():
        seen = rows_seen(connection, ground.personas[role, token], table)
        if own != (peopled.own[table] <= seen) or foreign != bool(peopled.foreign[table] & seen):
            return [(role, token, table)]
    return []


def objects(ground: Ground, connection: Connection) -> list[object]:
    wanted = written_objects()
    for (role, token), persona in ground.personas.items():
        for bucket in BUCKETS:
            for verb, may in allowed(ground, connection, persona, bucket).items():
                if may != wanted.get((role, token, bucket, verb), set()):
                    return [(role, token, bucket, verb, may)]
    return []


def written_objects() -> dict[tuple[str, str, str, str], set[str]]:
    lines = [line.split() for line in OBJECTS.read_text(encoding="utf-8").splitlines()]
    return {(role, token, bucket, verb): set(keys)
            for role, token, bucket, verb, *keys in (line for line in lines if line and line[0] != "#")}  # fmt: skip


def allowed(ground: Ground, connection: Connection, persona: Persona, bucket: str) -> dict[str, set[str]]:
    """For each verb the kinds of keys on which it works."""
    keys = ground.keys[bucket]
    visible = "select name from storage.objects where bucket_id = %s and name = any(%s)"
    removed = "delete from storage.objects where bucket_id = %s and name = any(%s) returning name"
    changed = "update storage.objects set name = name where bucket_id = %s and name = any(%s) returning name"
    found = {}
    for verb, statement in {"SELECT": visible, "DELETE": removed, "UPDATE": changed}.items():
        names = {row[0] for row in tried(connection, persona, statement, bucket, list(keys.values()))}
        found[verb] = {kind for kind, name in keys.items() if name in names}
    stored = "insert into storage.objects (bucket_id, name) values (%s, %s)"
    found["INSERT"] = {kind for kind, name in ground.free[bucket].items()
                       if tried(connection, persona, stored, bucket, name) is not DENIED}  # fmt: skip
    return found


DENIED: list[tuple[Any, ...]] = []


def tried(connection: Connection, persona: Persona, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """The rows that a statement of the persona gives within the transaction; DENIED when it may not be made at all."""
    connection.execute("savepoint trying")
    try:
        connection.execute(
            "select set_config('request.jwt.claims', %s, true), set_config('storage.allow_delete_query', 'true', true)",
            (json.dumps(persona.claims),),
        )
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(persona.role)))
        cursor = connection.execute(statement, parameters)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else [()]
    except psycopg.errors.InsufficientPrivilege:
        return DENIED
    finally:
        connection.execute("rollback to savepoint trying")


def rows_seen(connection: Connection, persona: Persona, table: str) -> set[str]:
    return {str(row[0]) for row in tried(connection, persona, f"select ctid::text from public.{table}")}


# The mutants


def is_noticed(ground: Ground, connection: Connection, mutant: str) -> bool:
    connection.execute(mutant)  # type: ignore[arg-type]
    found = differences(ground, connection)
    connection.rollback()
    return bool(found)


def survivors(ground: Ground, kind: str, mutants: list[str]) -> list[str]:
    with psycopg.connect(ground.world.superuser_dsn) as connection:
        alive = [mutant for mutant in mutants if not is_noticed(ground, connection, mutant)]
    print(f"{kind}: {len(mutants)} mutants, {len(mutants) - len(alive)} noticed")
    return alive


def test_database_is_as_it_is_written(ground: Ground) -> None:
    """Or every mutant would be noticed for nothing."""
    with psycopg.connect(ground.world.superuser_dsn) as connection:
        assert differences(ground, connection) == []
    assert {(role, token) for role, token, _, _ in written_objects()} < set(ground.personas)


def test_every_policy_dropped_or_widened_is_noticed(ground: Ground) -> None:
    policies = ground.world.all(
        "select quote_ident(policyname), format('%%I.%%I', schemaname, tablename), cmd from pg_policies"
        " where schemaname in ('public', 'private', 'storage')"
    )
    assert {table for _, table, _ in policies} >= {"public.api_keys", "storage.objects", "public.specs"}
    mutants = [f"drop policy {name} on {table}" for name, table, _ in policies]
    mutants += [
        f"alter policy {name} on {table} {'with check' if verb == 'INSERT' else 'using'} (true)"
        for name, table, verb in policies
    ]
    assert survivors(ground, f"{len(policies)} policies dropped and widened", mutants) == []


def test_row_level_security_switched_off_is_noticed_on_every_table(ground: Ground) -> None:
    tables = ground.world.all(f"select schemaname || '.' || tablename from pg_tables where schemaname in {OUR_SCHEMAS}")
    mutants = [f"alter table {table} disable row level security" for (table,) in [*tables, ("storage.objects",)]]
    assert len(mutants) > 20
    assert survivors(ground, "row level security disabled", mutants) == []


def test_everything_granted_on_a_table_is_noticed_for_every_role(ground: Ground) -> None:
    tables = ground.world.all(f"select schemaname || '.' || tablename from pg_tables where schemaname in {OUR_SCHEMAS}")
    mutants = [f"grant all on {table} to {role}" for (table,) in tables for role in (*ROLES, "public")]
    assert survivors(ground, "everything granted", mutants) == []


def test_every_function_given_to_everybody_is_noticed(ground: Ground) -> None:
    """Those that belong to nobody, too: a step of a verb, called by itself, would skip who may."""
    functions = ground.world.all(
        f"select oid::regprocedure::text from pg_proc where pronamespace::regnamespace::text in {OUR_SCHEMAS}"
    )
    mutants = [f"grant execute on function {function} to public" for (function,) in functions]
    assert len(mutants) > 80
    assert survivors(ground, "functions given to everybody", mutants) == []


# What a policy asks is worth as much as what answers: each of these says yes to all.
CREDULOUS = {
    "private.token_is_live()": "returns boolean language sql stable security definer",
    "private.scope_allows(p_scope text)": "returns boolean language sql stable",
    "private.may_remove_object(p_bucket text, p_path text, p_stored_at timestamptz)":
        "returns boolean language sql volatile security definer",
}  # fmt: skip


@pytest.mark.parametrize("function", CREDULOUS)
def test_answer_that_is_always_yes_is_noticed(ground: Ground, function: str) -> None:
    mutant = f"create or replace function {function} {CREDULOUS[function]} set search_path = '' as 'select true'"
    assert survivors(ground, f"{function} that says yes", [mutant]) == []


MEMBERSHIP = {
    "private.my_project_ids()": "public.projects",
    "private.my_maintained_project_ids()": "public.projects",
    "private.my_organisation_ids()": "public.organisations",
}


@pytest.mark.parametrize("function", MEMBERSHIP)
def test_membership_of_everything_is_noticed(ground: Ground, function: str) -> None:
    mutant = (
        f"create or replace function {function} returns setof uuid language sql stable security definer"
        f" set search_path = '' as 'select id from {MEMBERSHIP[function]}'"
    )
    assert survivors(ground, f"{function} of everything", [mutant]) == []
