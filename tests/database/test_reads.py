"""A member's lists and pages: complete, in order, paged by key, and only what is his."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from controlplane.errors import BrokenPromise, NotAllowed, NotFound
from controlplane.states import Phase, SprintState
from controlplane.store import connect
from controlplane.store.member import EVENTS, MemberStore, read_rows
from local.gateway.keys import mint_jwt
from tests.database.test_store import Gate, gate
from tests.database.world import Persona, World, forbidden

__all__ = ["gate"]
pytestmark = pytest.mark.database

READS = {
    "list_projects_v1": {},
    "list_specs_v1": {"project_id": str(uuid.UUID(int=7))},
    "list_runs_v1": {"spec_id": str(uuid.UUID(int=7))},
    "list_events_v1": {"project_id": str(uuid.UUID(int=7))},
    "list_run_events_v1": {"run_id": str(uuid.UUID(int=7))},
    "show_run_v1": {"run_id": str(uuid.UUID(int=7))},
}


@pytest.fixture
def member(world: World) -> Persona:
    return world.member_of(world.projects["acme/shop"])


def store_of(gate: Gate, member: Persona) -> MemberStore:
    token = mint_jwt(gate.jwk, {"role": "authenticated", "sub": member.claims["sub"]}, 600)
    return MemberStore(connect(gate.connection(token)))


def pages(persona: Persona, verb: str, side: str, limit: int, **given: Any) -> Iterator[list[dict[str, Any]]]:
    """All pages, the last one empty or short."""
    key: dict[str, Any] = {}
    while True:
        page = persona.call(verb, **given, **key, limit=limit)
        yield page
        if len(page) < limit:
            return
        key = {f"{side}_created_at": datetime.fromisoformat(page[-1]["created_at"]), f"{side}_id": page[-1]["id"]}


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 200])
def test_specifications_come_newest_first_and_once_at_any_page_size(world: World, member: Persona, limit: int) -> None:
    made = [world.ingest()["spec_id"] for _ in range(7)]
    # Mails of one transaction have one time: the key must tell them apart.
    world.execute("update specs set created_at = '2026-11-21' where id = any (%s::uuid[])", made[2:5])
    project_id = world.projects["acme/shop"]
    listed = [row for page in pages(member, "list_specs_v1", "before", limit, project_id=project_id) for row in page]
    expected = world.all("select id::text from specs order by created_at desc, id")
    assert [row["id"] for row in listed] == [row[0] for row in expected]
    assert all(row["sprints"] == [{**row["sprints"][0], "label": "sprint-1", "position": 1}] for row in listed)


@pytest.mark.parametrize("limit", [1, 2, 5, 1000])
def test_events_come_oldest_first_and_once_at_any_page_size(world: World, member: Persona, limit: int) -> None:
    made = world.started()
    world.execute("update status_events set created_at = '2026-11-21'")
    runner = world.runner_of(made["run_id"])
    for number in range(4):
        runner.call("record_event_v1", run_id=made["run_id"], phase="BUILD", message=str(number), metadata={})
    everything = [row[0] for row in world.all("select id::text from status_events order by created_at, id desc")]
    in_order = "select id::text from status_events where run_id = %s order by created_at, id desc"
    of_run = [row[0] for row in world.all(in_order, made["run_id"])]
    assert len(everything) > len(of_run) > 3
    project_id = world.projects["acme/shop"]
    for verb, given, expected in (
        ("list_events_v1", {"project_id": project_id}, everything),
        ("list_run_events_v1", {"run_id": made["run_id"]}, of_run),
    ):
        listed = [row["id"] for page in pages(member, verb, "after", limit, **given) for row in page]
        assert listed == expected


def test_page_is_not_moved_by_what_arrives_meanwhile(world: World, member: Persona) -> None:
    """An offset would show a row twice when a newer one pushes it on."""
    project_id = world.projects["acme/shop"]
    made = [world.ingest()["spec_id"] for _ in range(4)]
    first = member.call("list_specs_v1", project_id=project_id, limit=2)
    world.ingest()
    second = member.call(
        "list_specs_v1",
        project_id=project_id,
        before_created_at=datetime.fromisoformat(first[-1]["created_at"]),
        before_id=first[-1]["id"],
        limit=2,
    )
    assert [row["id"] for row in first + second] == made[::-1]


def test_runs_of_a_sprint_are_those_of_that_sprint(world: World, member: Persona) -> None:
    made = world.ingest()
    [(sprint_id,)] = world.all("select sprint_id::text from runs where id = %s", made["run_id"])
    world.functions().call("abandon_run_v1", run_id=made["run_id"], code="x", reason="y")
    world.execute("update sprints set state = 'PLANNED' where id = %s", sprint_id)
    world.execute("select private.open_run(%s)", sprint_id)
    runs = member.call("list_runs_v1", spec_id=made["spec_id"], sprint_id=sprint_id)
    assert [(run["attempt"], run["result"]) for run in runs] == [(2, None), (1, "FAILED")]
    assert member.call("list_runs_v1", spec_id=made["spec_id"]) == runs
    assert member.call("list_runs_v1", spec_id=made["spec_id"], sprint_id=str(uuid.uuid4())) == []
    listed = [row["id"] for page in pages(member, "list_runs_v1", "before", 1, spec_id=made["spec_id"]) for row in page]
    assert listed == [run["id"] for run in runs]


def test_foreign_rows_look_like_no_rows(world: World, member: Persona) -> None:
    world.settle("rival/shop")
    theirs = world.started(repo="rival/shop")
    rival_id = world.projects["rival/shop"]
    assert world.member_of(rival_id).call("show_run_v1", run_id=theirs["run_id"])["run"]["id"] == theirs["run_id"]
    assert [row["repo"] for row in member.call("list_projects_v1")] == ["acme/shop"]
    assert member.call("list_specs_v1", project_id=rival_id) == []
    assert member.call("list_runs_v1", spec_id=theirs["spec_id"]) == []
    assert member.call("list_events_v1", project_id=rival_id) == []
    assert member.call("list_run_events_v1", run_id=theirs["run_id"]) == []
    assert member.call("show_run_v1", run_id=theirs["run_id"]) is None


def test_reads_are_for_members_only(world: World) -> None:
    for persona in (world.anonymous(), world.functions(), world.runner(project_id=world.projects["acme/shop"])):
        for verb, given in READS.items():
            with forbidden():
                persona.call(verb, **given)


def test_reads_write_nothing_and_use_the_callers_rights(world: World) -> None:
    """STABLE has PostgREST run them read only; invoker rights have the policies decide."""
    found = world.all("select proname, provolatile, prosecdef from pg_proc where proname = any (%s)", list(READS))
    assert set(found) == {(name, "s", False) for name in READS}


def test_limits_are_bounded_on_both_sides(world: World, member: Persona) -> None:
    made = world.ingest()
    world.execute(
        "insert into status_events (spec_id, phase) select %s, 'BUILD' from generate_series(1, 1200)", made["spec_id"]
    )
    for limit, expected in ((10_000, 1000), (0, 1), (-5, 1), (None, 200)):
        page = member.call("list_events_v1", project_id=world.projects["acme/shop"], limit=limit)
        assert len(page) == expected, limit


def test_quiet_projects_tail_reads_only_its_own_events(world: World) -> None:
    """Whatever the statistics say, the way is the index that begins with the project, also once the plan is kept."""
    world.settle("busy/shop")
    world.ingest()
    busy = world.ingest(repo="busy/shop")["spec_id"]
    world.execute(
        "insert into status_events (spec_id, phase, created_at) select %s, 'BUILD', timestamptz '2030-01-01'"
        " + make_interval(secs => n) from generate_series(1, 20000) n",
        busy,
    )
    world.execute("analyze status_events")
    member = world.member_of(world.projects["acme/shop"])
    with member.transaction() as connection:
        before = rows_read(connection)
        for _ in range(8):
            answer = connection.execute("select list_events_v1(%s, '2029-01-01')", (world.projects["acme/shop"],))
            assert answer.fetchone() == ([],)
        assert rows_read(connection) - before < 100
        # The control: the meter does count what is read and thrown away.
        connection.execute("select from status_events where created_at > '2029-01-01' and message = 'x'")
        assert rows_read(connection) - before >= 20_000


def rows_read(connection: psycopg.Connection[Any]) -> int:
    """Rows of status_events that this transaction has looked at."""
    row = connection.execute(
        "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relname = 'status_events'"
    ).fetchone()
    return int(row[0]) if row else 0


def test_store_reads_everything_as_its_own_types(world: World, gate: Gate) -> None:
    world.settle("rival/shop")
    made = world.started()
    runner, run_id = world.runner_of(made["run_id"]), made["run_id"]
    artifact_id = str(uuid.uuid4())
    artifact = {"id": artifact_id, "kind": "report", "name": "report.html", "storage_path": f"{run_id}/{artifact_id}"}
    runner.call("record_artifact_v1", run_id=run_id, artifact=artifact)
    runner.call("record_execution_v1", run_id=run_id, execution={"agent": "x", "cost_usd": 0.25})
    runner.call("record_event_v1", run_id=run_id, phase="BUILD", message="go", metadata={"a": [1]})
    store = store_of(gate, world.member_of(world.projects["acme/shop"]))
    [project] = store.list_projects()
    assert (project.repo, store.list_projects(after=project)) == ("acme/shop", ())
    [spec] = store.list_specs(project.id)
    assert (str(spec.id), spec.sprints[0].state) == (made["spec_id"], SprintState.RUNNING)
    assert store.list_specs(project.id, before=spec) == ()
    [run] = store.list_runs(spec.id, spec.sprints[0].id)
    assert (str(run.id), run.result, store.list_runs(spec.id, before=run)) == (run_id, None, ())
    page = store.show_run(run.id)
    assert (page.run.id, page.sprint.label, page.spec.id) == (run.id, "sprint-1", spec.id)
    assert [(one.name, one.storage_path) for one in page.artifacts] == [("report.html", artifact["storage_path"])]
    assert [(one.agent, one.cost_usd) for one in page.executions] == [("x", 0.25)]
    assert page.events == store.list_run_events(run.id)
    events = store.list_events(project.id)
    assert [event.phase for event in events[:2]] == [Phase.SPEC_RECEIVED, Phase.PLANNING]
    assert events[-1].metadata == {"a": [1]}
    assert store.list_events(project.id, after=events[-2]) == events[-1:]
    assert store.list_run_events(run.id, after=events[-1]) == ()


def test_store_says_what_is_not_there_and_who_may_not_look(world: World, gate: Gate) -> None:
    made = world.ingest()
    with pytest.raises(NotFound) as caught:
        store_of(gate, world.member(world.user())).show_run(UUID(made["run_id"]))
    assert caught.value.code == "run-not-found"
    with pytest.raises(NotAllowed):
        MemberStore(gate.functions()._client).list_projects()


def test_answer_of_another_form_is_our_fault_and_names_the_place() -> None:
    with pytest.raises(BrokenPromise, match=r"at 0\.id"):
        read_rows(EVENTS, [{"phase": "NEVER_HEARD_OF"}])
