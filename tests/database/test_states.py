"""The allowed moves: enforced for everybody, and exactly those that docs/states.md draws."""

from __future__ import annotations

import re
import uuid
from itertools import product
from pathlib import Path

import psycopg
import pytest

from controlplane.states import SprintState
from tests.database.world import World, refused

pytestmark = pytest.mark.database

DRAWINGS = (Path(__file__).parents[2] / "docs" / "states.md").read_text(encoding="utf-8")
STATES = [state.value for state in SprintState]


def drawn(title: str) -> set[tuple[str | None, str]]:
    """The arrows of one drawing; a beginning is None, an end is left out."""
    drawing = DRAWINGS.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    arrows = re.findall(r"^ +(\S+) --> (\S+)$", drawing, re.MULTILINE)
    return {(None if start == "[*]" else start, end) for start, end in arrows if end != "[*]"}


@pytest.mark.parametrize(
    ("title", "function", "states"),
    [("Sprint", "sprint_may_move", STATES), ("Outbox", "outbox_may_move", ["PENDING", "DONE", "DEAD"])],
)
def test_database_allows_exactly_the_drawn_moves(world: World, title: str, function: str, states: list[str]) -> None:
    allowed = world.all(
        f"select a, b from unnest(%s::text[]) a, unnest(%s::text[]) b where private.{function}(a, b)",
        [None, *states],
        states,
    )
    assert set(allowed) == drawn(title)
    assert drawn(title)


def test_every_sprint_move_is_enforced_for_the_owner_too(throwaway_world: World) -> None:
    """Drives a real row from every state to every other."""
    made = throwaway_world.ingest(needs_approval=True)
    moves = drawn("Sprint")
    with psycopg.connect(throwaway_world.owner_url, autocommit=True) as owner:
        for start, end in product(STATES, STATES):
            # Only a trigger that is off lets the test put the row anywhere.
            owner.execute("alter table sprints disable trigger guard_sprint")
            owner.execute("update sprints set state = %s where spec_id = %s", (start, made["spec_id"]))
            owner.execute("alter table sprints enable trigger guard_sprint")
            try:
                owner.execute("update sprints set state = %s where spec_id = %s", (end, made["spec_id"]))
                moved = True
            except psycopg.DatabaseError as error:
                assert (error.sqlstate, error.diag.message_primary) == ("PT409", "illegal-move")
                moved = False
            assert moved == (start == end or (start, end) in moves), (start, end)


@pytest.mark.parametrize("state", sorted(set(STATES) - {"PLANNED", "NEEDS_INPUT", "NEEDS_APPROVAL"}))
def test_sprint_cannot_begin_in_the_middle(world: World, state: str) -> None:
    made = world.ingest()
    with refused(409, "illegal-move"):
        world.execute(
            "insert into sprints (spec_id, label, position, state) values (%s, 'x', 9, %s)", made["spec_id"], state
        )


@pytest.mark.parametrize(
    "change",
    [
        "result = 'FAILED'",
        "result = null, finished_at = null",
        "summary_json = '{}'",
        "finished_at = now() + interval '1 day'",
        "started_at = null",
        "ci_run_id = '2'",
        "sprint_id = gen_random_uuid()",
        "project_id = gen_random_uuid()",
    ],
)
def test_finished_run_never_changes(world: World, change: str) -> None:
    made = world.started()
    world.runner_of(made["run_id"]).call("finish_run_v1", run_id=made["run_id"], result="PASSED", summary={"n": 1})
    with refused(409, "illegal-move"):
        world.execute(f"update runs set {change} where id = %s", made["run_id"])


def test_sprint_has_one_open_run(world: World) -> None:
    made = world.ingest()
    with pytest.raises(psycopg.errors.UniqueViolation):
        world.execute(
            "insert into runs (sprint_id, attempt) select sprint_id, 2 from runs where id = %s", made["run_id"]
        )


def test_run_does_not_begin_with_a_result(world: World) -> None:
    made = world.ingest(needs_approval=True)
    with refused(409, "illegal-move"):
        world.execute(
            "insert into runs (sprint_id, result) select id, 'PASSED' from sprints where spec_id = %s", made["spec_id"]
        )


def test_done_outbox_row_stays_done_and_a_dead_one_may_come_back(world: World) -> None:
    world.ingest()
    world.execute("update outbox set state = 'DEAD' where kind = 'dispatch'")
    world.execute("update outbox set state = 'PENDING', attempts = 0 where kind = 'dispatch'")
    assert world.value("select dead_at from outbox where kind = 'dispatch'") is None
    world.execute("update outbox set state = 'DONE'")
    with refused(409, "illegal-move"):
        world.execute("update outbox set state = 'PENDING'")
    with refused(409, "illegal-move"):
        world.execute("update outbox set payload = '{}'")


def test_recorded_mail_keeps_its_state(world: World) -> None:
    world.functions().call("record_message_v1", message=world.mail(state="REFUSED"))
    with refused(409, "illegal-move"):
        world.execute("update messages set state = 'ACCEPTED'")


@pytest.mark.parametrize("change", ["update audit_log set actor = 'me'", "delete from audit_log", "truncate audit_log"])
def test_audit_log_is_only_ever_added_to(world: World, change: str) -> None:
    assert world.value("select count(*) from audit_log") > 0
    with refused(409, "append-only"):
        world.execute(change)


def test_row_takes_its_project_from_its_parent_whatever_is_claimed(world: World) -> None:
    world.settle("acme/other")
    made = world.ingest()
    world.execute(
        "insert into status_events (spec_id, run_id, project_id, phase) values (%s, %s, %s, 'BUILD')",
        str(uuid.uuid4()),
        made["run_id"],
        world.projects["acme/other"],
    )
    assert world.one("select spec_id::text, project_id::text from status_events where phase = 'BUILD'") == (
        made["spec_id"],
        world.projects["acme/shop"],
    )
