"""Row level security and grants, cell by cell: the database equals the written matrix (matrix.txt)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from local.postgres.copies import create_copy, drop_copy
from local.postgres.database import Database
from tests.database.world import Persona, World

pytestmark = pytest.mark.database

PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
ROLES = ("anon", "authenticated", "service_role", "aicd_functions", "aicd_runner")
MATRIX = Path(__file__).with_name("matrix.txt")


def written() -> dict[tuple[str, str, str, str], tuple[bool, bool]]:
    """(role, token, table, privilege) → whether the own and a foreign row are seen."""
    lines = [line.split() for line in MATRIX.read_text(encoding="utf-8").splitlines()]
    cells = [line for line in lines if line and not line[0].startswith("#")]
    return {(role, token, table, right): (own == "yes", foreign == "yes")
            for role, token, table, right, own, foreign in cells}  # fmt: skip


@dataclass
class Peopled:
    """Two organisations with a project each, full of rows; `own` belongs to every persona, `foreign` to none."""

    world: World
    personas: dict[tuple[str, str], Persona]
    own: dict[str, set[str]]
    foreign: dict[str, set[str]]


@pytest.fixture(scope="module")
def peopled(server: Database) -> Iterator[Peopled]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    world = World(create_copy(server, name), server.authenticator_dsn_of(name), server.superuser_dsn_of(name))
    yield people(world)
    drop_copy(server, name)


def people(world: World) -> Peopled:
    ids = []
    for repo in ("acme/shop", "rival/shop"):
        project_id = world.settle(repo)
        made = world.started(repo=repo)
        runner = world.runner_of(made["run_id"])
        artifact_id = str(uuid.uuid4())
        path = f"{made['run_id']}/{artifact_id}"
        artifact = {"id": artifact_id, "kind": "report", "storage_path": path}
        runner.call("record_artifact_v1", run_id=made["run_id"], artifact=artifact)
        runner.call("record_execution_v1", run_id=made["run_id"], execution={"agent": "x"})
        runner.call("record_event_v1", run_id=made["run_id"], phase="BUILD", message="", metadata={})
        entry = {"id": str(uuid.uuid4()), "kind": "builder", "cost_usd": 1}
        runner.call("record_cost_v1", run_id=made["run_id"], entry=entry)
        with world.administration() as operator:
            operator.create_api_key({"repo": repo, "name": "ci", "scopes": ["specs:write"]})
        # Somebody is a member there already, so that these tables have an own and a foreign row.
        world.member_of(project_id)
        world.execute(
            "insert into organisation_members (organisation_id, user_id, role)"
            " select organisation_id, %s, 'member' from projects where id = %s",
            world.user(),
            project_id,
        )
        ids.append((project_id, made))
    (project_id, made), (foreign_project, _) = ids
    personas = make_personas(world, project_id, made["run_id"])
    return Peopled(world, personas, rows_of(world, project_id), rows_of(world, foreign_project))


def make_personas(world: World, project_id: str, run_id: str) -> dict[tuple[str, str], Persona]:
    revoked = world.runner_of(run_id)
    with world.administration() as operator:
        operator.revoke_token(revoked.claims["jti"], "test")
    personas = {
        ("aicd_functions", "live"): world.functions(),
        ("aicd_runner", "run"): world.runner_of(run_id),
        ("aicd_runner", "project"): world.runner(project_id=project_id),
        ("aicd_runner", "revoked"): revoked,
        ("authenticated", "stranger"): world.member(world.user()),
        ("anon", "none"): world.anonymous(),
    }
    for role in ("maintainer", "developer", "viewer"):
        personas["authenticated", role] = world.member_of(project_id, role)
    for role in ("owner", "admin", "member"):
        user_id = world.user()
        world.execute(
            "insert into organisation_members (organisation_id, user_id, role)"
            " select organisation_id, %s, %s from projects where id = %s",
            user_id,
            role,
            project_id,
        )
        personas["authenticated", role] = world.member(user_id)
    return personas


def tables(world: World) -> list[str]:
    return [row[0] for row in world.all("select tablename from pg_tables where schemaname = 'public' order by 1")]


def rows_of(world: World, project_id: str) -> dict[str, set[str]]:
    """Per table the ctids of the rows that belong to a project; tables that belong to nobody have none."""
    organisation = "(select organisation_id from projects where id = %s)"
    conditions = {
        "organisations": f"id = {organisation}",
        "organisation_members": f"organisation_id = {organisation}",
        "projects": "id = %s",
        **dict.fromkeys(
            (
                "project_members",
                "specs",
                "sprints",
                "runs",
                "artifacts",
                "agent_executions",
                "ledger",
                "audit_log",
                "api_keys",
            ),
            "project_id = %s",
        ),
        # What came before any run is the specification's and not the run's.
        "status_events": "project_id = %s and run_id is not null",
    }
    return {
        table: {row[0] for row in world.all(f"select ctid::text from {table} where {condition}", project_id)}
        for table, condition in conditions.items()
    }


def test_reads_equal_the_matrix_for_own_and_foreign_rows(peopled: Peopled) -> None:
    """Every persona, every table."""
    matrix = written()
    compared = 0
    for (role, token), persona in peopled.personas.items():
        for table in tables(peopled.world):
            compared += 1
            try:
                seen = {row[0] for row in persona.rows(f"select ctid::text from {table}")}
            except psycopg.errors.InsufficientPrivilege:
                assert (role, token, table, "SELECT") not in matrix, (role, token, table)
                continue
            own, foreign = matrix[role, token, table, "SELECT"]
            assert peopled.own[table], f"{table} has no own row: the comparison would prove nothing"
            assert peopled.foreign[table], f"{table} has no foreign row"
            assert (peopled.own[table] <= seen) is own, (role, token, table)
            assert own or not peopled.own[table] & seen, (role, token, table)
            assert bool(peopled.foreign[table] & seen) is foreign, (role, token, table)
    assert compared == len(peopled.personas) * len(tables(peopled.world)) > 100


def test_grants_equal_the_matrix_in_every_cell(peopled: Peopled) -> None:
    granted = peopled.world.all(
        "select role, tablename, privilege from unnest(%s::text[]) role, unnest(%s::text[]) privilege, pg_tables"
        " where schemaname in ('public', 'private')"
        " and has_table_privilege(role, format('%%I.%%I', schemaname, tablename), privilege)",
        list(ROLES),
        list(PRIVILEGES),
    )
    assert set(granted) == {(role, table, right) for role, _, table, right in written()}


def test_nobody_writes_a_table(peopled: Peopled) -> None:
    """Tried, not only looked up: insert, update, delete and truncate, by every persona on every table."""
    commands = ("insert into {0} default values", 'update {0} set "{1}" = "{1}"', "delete from {0}", "truncate {0}")
    first_columns = dict(
        peopled.world.all(
            "select relname, attname from pg_attribute join pg_class on pg_class.oid = attrelid"
            " where relnamespace = 'public'::regnamespace and relkind = 'r' and attnum = 1"
        )
    )
    tried = 0
    for persona in peopled.personas.values():
        with persona.transaction() as connection:
            for (table, column), command in product(first_columns.items(), commands):
                connection.execute("savepoint before")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(command.format(table, column))
                connection.execute("rollback to savepoint before")
                tried += 1
    assert tried == len(peopled.personas) * len(first_columns) * len(commands) > 400


def test_every_table_has_row_level_security(peopled: Peopled) -> None:
    bare = peopled.world.all(
        "select relname from pg_class where relkind in ('r', 'p') and not relrowsecurity"
        " and relnamespace in ('public'::regnamespace, 'private'::regnamespace)"
    )
    assert bare == []


def test_only_the_granted_verbs_can_be_executed(peopled: Peopled) -> None:
    """No function of ours is anybody's by default: PUBLIC holds none, and each role exactly its own verbs."""
    executable = peopled.world.all(
        "select role, proname from unnest(%s::text[]) role, pg_proc"
        " where pronamespace = 'public'::regnamespace and has_function_privilege(role, pg_proc.oid, 'execute')",
        list(ROLES),
    )
    functions = {
        "open_mailbox_v1", "list_mailboxes_v1", "advance_mailbox_v1", "renew_mailbox_v1", "fail_mailbox_v1",
        "record_message_v1", "ingest_message_v1", "claim_outbox_v1", "finish_outbox_v1", "retry_outbox_v1",
        "describe_run_v1", "bind_run_v1", "abandon_run_v1", "close_dead_runs_v1", "describe_notice_v1",
        "describe_run_trust_v1", "claim_identity_v1", "answer_sprint_v1", "wake_sprints_v1", "check_api_key_v1",
        "expire_rows_v1", "begin_request_v1", "finish_request_v1", "find_repository_v1",
        "ingest_reply_v1", "reserve_budget_v1", "postpone_outbox_v1", "bury_outbox_v1",
        "copy_notice_v1",
        "open_key_call_v1", "open_webhook_call_v1", "check_submission_v1", "submit_spec_v1", "begin_upload_v1",
        "describe_upload_v1", "search_specs_for_v1", "show_spec_for_v1", "record_github_event_v1",
        "fail_mailbox_v2", "heal_mailbox_v1", "show_plan_for_v1", "find_runs_for_v1",
        "show_dod_for_v1", "record_note_for_v1", "ask_about_spec_for_v1", "answer_spec_v1",
        "known_messages_v2", "hold_message_v1",
        "open_mailbox_v2", "known_messages_v1", "note_fetch_failure_v1", "give_up_message_v1", "heal_mailbox_v2",
    }  # fmt: skip
    runner = {"start_run_v1", "record_event_v1", "record_execution_v1", "record_artifact_v1",
              "record_artifacts_v1", "describe_earlier_run_v1",
              "record_pull_request_v1", "finish_run_v1", "keep_session_v1", "pause_run_v1", "record_plan_v1",
              "ask_requester_v1", "keep_answer_v1", "find_answer_v1", "forget_answers_v1",
              "record_cost_v1", "read_budget_v1", "search_runs_v1"}  # fmt: skip
    member = {"approve_sprint_v1", "retry_sprint_v1", "cancel_spec_v1", "create_api_key_v1", "revoke_api_key_v1",
              "list_projects_v1", "list_specs_v1", "list_runs_v1", "list_events_v1", "list_run_events_v1",
              "show_run_v1", "open_member_call_v1", "search_specs_v1", "show_spec_v1",
              "show_plan_v1", "find_runs_v1", "show_dod_v1", "record_note_v1", "ask_about_spec_v1"}  # fmt: skip
    expected = {"aicd_functions": functions, "aicd_runner": runner, "authenticated": member}
    assert set(executable) == {(role, verb) for role, verbs in expected.items() for verb in verbs}
    assert peopled.world.all(
        "select proname from pg_proc where pronamespace in ('public'::regnamespace, 'private'::regnamespace)"
        " and (proacl is null or exists (select from aclexplode(proacl) where grantee = 0))"
    ) == []  # fmt: skip


def test_every_function_pins_its_search_path(peopled: Peopled) -> None:
    loose = peopled.world.all(
        "select proname from pg_proc where pronamespace in ('public'::regnamespace, 'private'::regnamespace)"
        " and not coalesce(proconfig, '{}') @> array['search_path=\"\"']"
    )
    assert loose == []


def test_service_role_holds_nothing_of_ours(peopled: Peopled) -> None:
    with psycopg.connect(peopled.world.superuser_dsn, autocommit=True) as connection:
        connection.execute("set role service_role")
        for table in tables(peopled.world):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql.SQL("select from {}").format(sql.Identifier(table)))
