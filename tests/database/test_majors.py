"""The migrations, and a mail's whole way through the verbs, on every major of Postgres that can be had here."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.postgres.bootstrap import bootstrap
from local.postgres.copies import create_copy
from local.postgres.database import start_database
from tests.database.advisors import RULES
from tests.database.majors import MAJORS, VARIABLE, WHERE, found_majors
from tests.database.world import World, refused

pytestmark = pytest.mark.database

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=MAJORS)
def major(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, World]]:
    directory = found_majors().get(request.param)
    if directory is None:
        pytest.skip(
            f"Postgres {request.param} is not here: {WHERE[request.param]}, or name its directory in {VARIABLE}"
        )
    with start_database(tmp_path_factory.mktemp("major") / "data", ephemeral=True, pg_bin=directory) as database:
        bootstrap(database, ROOT / "supabase" / "migrations")
        create_copy(database, "used")
        yield (
            request.param,
            World(
                database.owner_url_of("used"),
                database.authenticator_dsn_of("used"),
                database.superuser_dsn_of("used"),
            ),
        )


@pytest.fixture
def world(major: tuple[int, World]) -> World:
    return major[1]


def test_server_is_of_the_major_it_is_taken_for(major: tuple[int, World]) -> None:
    number, world = major
    assert int(world.value("show server_version_num")) // 10_000 == number


def test_mail_goes_all_the_way(world: World) -> None:
    """From the mail to the report, with a listener's notice, a member's page, and a stranger who sees nothing."""
    project_id = world.settle()
    with psycopg.connect(world.owner_url, autocommit=True) as listener:
        listener.execute("listen aicd_events")
        made = world.started()
        assert len(list(listener.notifies(timeout=2, stop_after=2))) == 2
    run_id, runner, functions = made["run_id"], world.runner_of(made["run_id"]), world.functions()
    [dispatch, *_] = functions.call("claim_outbox_v1", kinds=["dispatch"], limit=10, lease_seconds=60)
    assert functions.call("finish_outbox_v1", id=dispatch["id"], lease_id=dispatch["lease_id"], result={}) is True
    runner.call("record_event_v1", run_id=run_id, phase="BUILD", message="go", metadata={})
    artifact_id = str(uuid.uuid4())
    artifact = {"id": artifact_id, "kind": "report", "storage_path": f"{run_id}/{artifact_id}"}
    runner.call("record_artifact_v1", run_id=run_id, artifact=artifact)
    assert runner.call("finish_run_v1", run_id=run_id, result="PASSED", summary={})["result"] == "PASSED"
    with refused(409, "run-finished"):
        runner.call("finish_run_v1", run_id=run_id, result="FAILED", summary={})
    notices = functions.call("claim_outbox_v1", kinds=["notify"], limit=10, lease_seconds=60)
    report = functions.call("describe_notice_v1", outbox_id=notices[-1]["id"])
    assert (report["template"], report["run"]["result"]) == ("report", "PASSED")
    member = world.member_of(project_id)
    page = member.call("show_run_v1", run_id=run_id)
    assert (page["run"]["result"], page["sprint"]["state"]) == ("PASSED", "DONE")
    assert [one["id"] for one in page["artifacts"]] == [artifact_id]
    assert [spec["id"] for spec in member.call("list_specs_v1", project_id=project_id)] == [made["spec_id"]]
    assert len(member.call("list_events_v1", project_id=project_id)) >= 4
    stranger = world.member(world.user())
    assert (stranger.call("show_run_v1", run_id=run_id), stranger.rows("select from specs")) == (None, [])


def test_rules_of_the_advisors_hold(world: World) -> None:
    with psycopg.connect(world.superuser_dsn) as connection:
        found = {rule.name: rule.find(connection) for rule in RULES}
    assert found == {rule.name: set(rule.allowed) for rule in RULES}


def test_seed_of_the_cli_applies(world: World) -> None:
    world.execute((ROOT / "supabase" / "seed.sql").read_text(encoding="utf-8"))
    assert world.value("select count(*) from projects where repo = 'example/hello'") == 1


def test_event_tail_of_a_quiet_project_begins_with_the_project(world: World) -> None:
    """Majors differ in what they do with any(array[…]); none may sort, or read what is not the project's."""
    member = world.member_of(world.projects["acme/shop"])
    with member.transaction() as connection:
        connection.execute("set local enable_seqscan = off")
        plan = connection.execute(
            "explain select message from status_events where project_id = any (array[%s]::uuid[])"
            " and created_at >= '2026-01-01' order by project_id desc, created_at, id desc limit 10",
            (world.projects["acme/shop"],),
        ).fetchall()
    lines = "\n".join(row[0] for row in plan)
    assert "Index Scan Backward using idx_status_events_project_id" in lines, lines
    assert "Sort" not in lines.split("InitPlan")[0], lines
