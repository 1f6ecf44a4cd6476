"""A database in use is brought to the newest migration: nothing is lost or changed unasked, and the verbs go on."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.postgres.bootstrap import apply_migrations, bootstrap
from local.postgres.copies import create_copy
from local.postgres.database import Database, start_database
from tests.database.world import World

pytestmark = pytest.mark.database

MIGRATIONS = sorted((Path(__file__).parents[2] / "supabase" / "migrations").glob("*.sql"))
# The first version that was whole.
FIRST_WHOLE = next(place for place, path in enumerate(MIGRATIONS) if path.name.endswith("_storage.sql"))
STARTS = {"the migration before the newest": MIGRATIONS[:-1], "the first version": MIGRATIONS[: FIRST_WHOLE + 1]}
Rows = dict[str, list[str]]
# A table without rows proves nothing about its upgrade.
FULL = {
    "organisations", "organisation_members", "projects", "project_members", "mailboxes", "senders", "messages", "specs",
    "sprints", "runs", "artifacts", "status_events", "agent_executions", "outbox", "revoked_tokens", "audit_log",
}  # fmt: skip


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A project's database before its first migration."""
    with start_database(tmp_path_factory.mktemp("upgrade") / "data", ephemeral=True) as database:
        bootstrap(database, None)
        yield database


def apply(address: str, paths: list[Path], folder: Path) -> list[str]:
    folder.mkdir(exist_ok=True)
    for path in paths:
        shutil.copy(path, folder)
    with psycopg.connect(address, autocommit=True) as connection:
        return apply_migrations(connection, folder)


def use(world: World) -> dict[str, str]:
    """Every kind of row, made by the verbs: a run that ended, one that lasts, one that waits, refused mail, a dead
    letter, members of both kinds."""
    project_id = world.settle()
    ended, lasting, waiting = world.started(), world.started(), world.ingest()
    runner = world.runner_of(ended["run_id"])
    artifact_id = str(uuid.uuid4())
    artifact = {"id": artifact_id, "kind": "report", "storage_path": f"{ended['run_id']}/{artifact_id}"}
    runner.call("record_artifact_v1", run_id=ended["run_id"], artifact=artifact)
    runner.call("record_execution_v1", run_id=ended["run_id"], execution={"agent": "x", "cost_usd": 1.5})
    runner.call("finish_run_v1", run_id=ended["run_id"], result="PASSED", summary={"status": "PASSED"})
    world.functions().call(
        "record_message_v1", message=world.mail(state="REFUSED", reason="dmarc-fail", sender="x@y.z")
    )
    world.execute("update outbox set state = 'DEAD', dead_at = now(), last_error = 'x' where kind = 'notify'")
    world.member_of(project_id, "maintainer")
    world.execute(
        "insert into organisation_members (organisation_id, user_id, role) select organisation_id, %s, 'owner'"
        " from projects",
        world.user(),
    )
    with world.administration() as operator:
        operator.revoke_token("some-token", "test")
    return {"ended": ended["run_id"], "lasting": lasting["run_id"], "waiting": waiting["run_id"]}


def rows_of(world: World) -> Rows:
    """Every row of ours as JSON, by table."""
    tables = world.all(
        "select schemaname, tablename from pg_tables where schemaname in ('public', 'private') order by 1, 2"
    )
    return {
        f"{schema}.{table}": [row[0] for row in world.all(f'select to_jsonb(t)::text from "{schema}"."{table}" t')]
        for schema, table in tables
    }


def lost(before: Rows, after: Rows) -> list[tuple[str, object]]:
    """Rows that are gone or changed, in the columns that there were."""
    found: list[tuple[str, object]] = []
    for table, rows in before.items():
        now = [json.loads(row) for row in after.get(table, [])]
        for text in rows:
            row = json.loads(text)
            if not any(all(one.get(name) == value for name, value in row.items()) for one in now):
                found.append((table, row))
    return found


@pytest.mark.parametrize("start", STARTS)
def test_upgrade_keeps_every_row_and_the_verbs_go_on(bare: Database, start: str, tmp_path: Path) -> None:
    name = f"upgrade_{uuid.uuid4().hex[:8]}"
    world = World(create_copy(bare, name), bare.authenticator_dsn_of(name), bare.superuser_dsn_of(name))
    apply(world.owner_url, STARTS[start], tmp_path / "old")
    runs = use(world)
    before = rows_of(world)
    assert {f"public.{table}" for table in FULL} <= {table for table, rows in before.items() if rows}
    # Somebody is at work while the upgrade comes.
    claimed = world.functions().call("claim_outbox_v1", kinds=["dispatch"], limit=1, lease_seconds=60)[0]
    before = rows_of(world)
    applied = apply(world.owner_url, MIGRATIONS, tmp_path / "new")
    assert len(applied) == len(MIGRATIONS) - len(STARTS[start]) >= 1
    after = rows_of(world)
    assert lost(before, after) == []
    assert {table: len(after[table]) for table in before} == {table: len(rows) for table, rows in before.items()}
    assert world.functions().call("finish_outbox_v1", id=claimed["id"], lease_id=claimed["lease_id"], result={}) is True
    lasting = world.runner_of(runs["lasting"])
    lasting.call("record_event_v1", run_id=runs["lasting"], phase="BUILD", message="after the upgrade", metadata={})
    assert lasting.call("finish_run_v1", run_id=runs["lasting"], result="PASSED", summary={})["result"] == "PASSED"
    waiting = world.runner_of(runs["waiting"])
    assert waiting.call("start_run_v1", run_id=runs["waiting"], ci_run_id="7", ci_attempt=1)["outcome"] == "started"
    assert world.started()["run_id"]
    page = world.member_of(world.projects["acme/shop"]).call("show_run_v1", run_id=runs["ended"])
    assert (page["run"]["result"], len(page["artifacts"]), len(page["executions"])) == ("PASSED", 1, 1)


def test_comparison_notices_a_lost_and_a_changed_row() -> None:
    row = json.dumps({"id": 1, "state": "DONE", "policy": {"a": 1}})
    assert lost({"t": [row]}, {"t": [json.dumps({"id": 1, "state": "DONE", "policy": {"a": 1}, "new": None})]}) == []
    assert lost({"t": [row]}, {"t": []})
    assert lost({"t": [row]}, {})
    assert lost({"t": [row]}, {"t": [json.dumps({"id": 1, "state": "FAILED", "policy": {"a": 1}})]})
    assert lost({"t": [row]}, {"t": [json.dumps({"id": 1, "state": "DONE"})]})
