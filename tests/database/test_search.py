"""What the API shows: the caller's own and nothing else, filtered, in order, and no dearer for what lies deeper."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.database.test_requests import key_of
from tests.database.world import Persona, World, spec

pytestmark = pytest.mark.database

PAGE = 10


def search(who: Persona, limit: int = 50, **wanted: Any) -> list[dict[str, Any]]:
    return list(who.call("search_specs_v1", filter=Jsonb(wanted), limit=limit))


def developer_of_both(world: World) -> Persona:
    member = world.member_of(world.projects["acme/shop"])
    world.execute(
        "insert into project_members (project_id, user_id, role) values (%s, %s, 'viewer')",
        world.projects["acme/mill"],
        member.claims["sub"],
    )
    return member


def test_list_is_of_all_his_projects_newest_first_and_paged_without_gap_or_repeat(world: World) -> None:
    world.settle("acme/mill")
    world.settle("rival/shop")
    made = [world.ingest(repo=repo)["spec_id"] for repo in ("acme/shop", "acme/mill") * 4]
    world.ingest(repo="rival/shop")
    # The same moment for several: the id decides.
    world.execute("update specs set created_at = date_trunc('minute', created_at)")
    member = developer_of_both(world)
    seen: list[dict[str, Any]] = []
    for _ in range(4):
        key = {"before_created_at": seen[-1]["created_at"], "before_id": seen[-1]["id"]} if seen else {}
        seen += search(member, 3, **key)
    assert sorted(row["id"] for row in seen) == sorted(made)
    assert all((a["created_at"], b["id"]) >= (b["created_at"], a["id"]) for a, b in itertools.pairwise(seen))


def test_state_is_what_matters_first_and_can_be_asked_for(world: World) -> None:
    first, second = world.ingest(plan=spec(3)["plan"]), world.ingest()
    member = world.member_of(world.projects["acme/shop"])
    assert {row["state"] for row in search(member)} == {"PLANNED"}
    for state in ("RUNNING", "FAILED"):
        world.execute("update sprints set state = %s where spec_id = %s and position = 1", state, first["spec_id"])
        assert [row["id"] for row in search(member, state=state)] == [first["spec_id"]]
        assert [row["id"] for row in search(member, state="PLANNED")] == [second["spec_id"]]
    world.execute("update sprints set state = 'CANCELLED' where spec_id = %s", second["spec_id"])
    assert [row["state"] for row in search(member, repo="ACME/SHOP", state="CANCELLED")] == ["CANCELLED"]


def test_key_sees_its_project_and_no_token_reads_by_another_ones_list(world: World) -> None:
    world.settle("rival/shop")
    mine, other = world.ingest(), world.ingest(repo="rival/shop")
    caller = {"kind": "key", "id": key_of(world)["id"]}
    rows = world.functions().call("search_specs_for_v1", caller=caller, filter=Jsonb({}), limit=50)
    assert [row["id"] for row in rows] == [mine["spec_id"]]
    assert world.functions().call("show_spec_for_v1", caller=caller, spec_id=other["spec_id"]) is None
    member = world.member_of(world.projects["acme/shop"])
    foreign = f"{{{world.projects['rival/shop']}}}"
    assert member.call("search_specs_v1", filter=Jsonb({}), limit=50, project_ids=foreign) == []
    assert member.call("show_spec_v1", spec_id=other["spec_id"], project_ids=foreign) is None


def test_page_reads_no_more_than_a_page_of_each_project(world: World) -> None:
    world.settle("acme/mill")
    world.execute(
        "insert into specs (id, repo, storage_path, sha, created_by, created_at)"
        " select id, case n %% 2 when 0 then 'acme/shop' else 'acme/mill' end, id || '/source', 'aaaaaaa', 'a@b',"
        " now() - make_interval(secs => n)"
        " from (select n, gen_random_uuid() as id from generate_series(1, 4000) as n) as made"
    )
    world.execute("insert into sprints (spec_id, label) select id, 's' from specs")
    world.execute("analyze specs, sprints, projects")
    member = developer_of_both(world)
    counted = "select relname, seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where schemaname = 'public'"
    with member.transaction() as connection:
        before = dict(connection.execute(counted).fetchall())
        verb = "select jsonb_array_length(public.search_specs_v1('{}', %s))"
        assert connection.execute(verb, (PAGE,)).fetchone() == (PAGE,)
        read = {table: rows - before[table] for table, rows in connection.execute(counted).fetchall()}
    assert PAGE <= read["specs"] <= 4 * PAGE
    assert PAGE <= read["sprints"] <= 4 * PAGE
