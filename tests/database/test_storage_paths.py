"""Who may store and read which object, by its path. The rows are Storage's; the policies are ours."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest

from tests.database.world import Persona, World, forbidden

pytestmark = pytest.mark.database

HOSTILE = [
    "",
    "x",
    "../etc/passwd",
    "{id}",
    "{id}/",
    "{id}/../other",
    "{id}/source/more",
    "/{id}/source",
    "{ID}/source",
    "{id}//source",
    "{id}/source\n",
    "not-a-uuid-but-36-characters-long-xxx/source",
    "{id}/Source",
    "{id}%2fsource",
]


def store(persona: Persona, bucket: str, name: str) -> None:
    # returning *: as Storage does it, which needs the right to see the row as well.
    persona.rows("insert into storage.objects (bucket_id, name) values (%s, %s) returning *", bucket, name)


def seen(persona: Persona, bucket: str) -> set[str]:
    return {row[0] for row in persona.rows("select name from storage.objects where bucket_id = %s", bucket)}


def put(world: World, bucket: str, name: str) -> str:
    world.execute("insert into storage.objects (bucket_id, name) values (%s, %s)", bucket, name)
    return name


def test_buckets_are_private_and_bounded(world: World) -> None:
    assert world.all("select id, public, file_size_limit from storage.buckets order by id") == [
        ("artifacts", False, 104857600),
        ("sessions", False, 52428800),
        ("specs", False, 2097152),
    ]


def test_functions_store_and_read_specifications(world: World) -> None:
    functions, name = world.functions(), f"{uuid.uuid4()}/source"
    store(functions, "specs", name)
    assert seen(functions, "specs") == {name}
    with pytest.raises(psycopg.errors.UniqueViolation):
        store(functions, "specs", name)


@pytest.mark.parametrize("name", HOSTILE)
def test_functions_store_specifications_nowhere_else(world: World, name: str) -> None:
    own = str(uuid.uuid4())
    with forbidden():
        store(world.functions(), "specs", name.format(id=own, ID=own.upper()))


def test_functions_read_artifacts_and_store_none(world: World) -> None:
    made = world.started()
    name = put(world, "artifacts", f"{made['run_id']}/{uuid.uuid4()}")
    assert seen(world.functions(), "artifacts") == {name}
    with forbidden():
        store(world.functions(), "artifacts", f"{made['run_id']}/{uuid.uuid4()}")


@pytest.mark.parametrize("claims", [{}, {"run_id": None, "spec_id": None}], ids=["run token", "project token"])
def test_runner_stores_and_reads_its_own_only(world: World, claims: dict[str, Any]) -> None:
    world.settle("rival/shop")
    mine, other = world.started(), world.started(repo="rival/shop")
    runner = world.runner_of(mine["run_id"], **claims)
    for made in (mine, other):
        put(world, "specs", f"{made['spec_id']}/source")
    put(world, "artifacts", f"{other['run_id']}/{uuid.uuid4()}")
    name = f"{mine['run_id']}/{uuid.uuid4()}"
    store(runner, "artifacts", name)
    assert seen(runner, "artifacts") == {name}
    assert seen(runner, "specs") == {f"{mine['spec_id']}/source"}
    with forbidden():
        store(runner, "artifacts", f"{other['run_id']}/{uuid.uuid4()}")
    with forbidden():
        store(runner, "specs", f"{uuid.uuid4()}/source")


def test_runner_of_one_run_does_not_see_the_same_projects_other_run(world: World) -> None:
    mine, sibling = world.started(), world.started()
    put(world, "artifacts", f"{sibling['run_id']}/{uuid.uuid4()}")
    put(world, "specs", f"{sibling['spec_id']}/source")
    runner = world.runner_of(mine["run_id"])
    assert (seen(runner, "artifacts"), seen(runner, "specs")) == (set(), set())
    with forbidden():
        store(runner, "artifacts", f"{sibling['run_id']}/{uuid.uuid4()}")


@pytest.mark.parametrize("name", [*HOSTILE, "{id}/source"])
def test_runner_stores_artifacts_under_uuids_only(world: World, name: str) -> None:
    made = world.started()
    with forbidden():
        store(world.runner_of(made["run_id"]), "artifacts", name.format(id=made["run_id"], ID=made["run_id"].upper()))


def test_hostile_names_in_the_bucket_break_no_read(world: World) -> None:
    """A policy that casts would fail for everybody as soon as one such object is there."""
    made = world.started()
    for name in HOSTILE:
        put(world, "artifacts", name.format(id=made["run_id"], ID=made["run_id"].upper()))
    for persona in (world.runner_of(made["run_id"]), world.member_of(world.projects["acme/shop"]), world.functions()):
        assert "../etc/passwd" not in seen(persona, "artifacts")


def test_artifacts_come_from_a_running_run_with_the_right_scope(world: World) -> None:
    made, waiting = world.started(), world.ingest()
    path = f"{made['run_id']}/{uuid.uuid4()}"
    with forbidden():
        store(world.runner_of(made["run_id"], scope="build"), "artifacts", path)
    with forbidden():
        store(world.runner_of(waiting["run_id"]), "artifacts", f"{waiting['run_id']}/{uuid.uuid4()}")
    publisher = world.runner_of(made["run_id"], scope="publish")
    store(publisher, "artifacts", path)
    publisher.call("finish_run_v1", run_id=made["run_id"], result="PASSED", summary={})
    with forbidden():
        store(publisher, "artifacts", f"{made['run_id']}/{uuid.uuid4()}")
    assert seen(publisher, "artifacts") == {path}


def test_revoked_tokens_see_and_store_nothing(world: World) -> None:
    made = world.started()
    put(world, "artifacts", f"{made['run_id']}/{uuid.uuid4()}")
    put(world, "specs", f"{made['spec_id']}/source")
    for persona in (world.runner_of(made["run_id"]), world.functions()):
        with world.administration() as operator:
            operator.revoke_token(persona.claims["jti"], "test")
        assert (seen(persona, "artifacts"), seen(persona, "specs")) == (set(), set())
    with forbidden():
        store(persona, "specs", f"{uuid.uuid4()}/source")


def test_members_read_their_projects_files_and_store_none(world: World) -> None:
    world.settle("rival/shop")
    mine, other = world.started(), world.started(repo="rival/shop")
    member = world.member_of(world.projects["acme/shop"])
    for made in (mine, other):
        put(world, "specs", f"{made['spec_id']}/source")
        put(world, "artifacts", f"{made['run_id']}/{made['spec_id']}")
    assert seen(member, "specs") == {f"{mine['spec_id']}/source"}
    assert seen(member, "artifacts") == {f"{mine['run_id']}/{mine['spec_id']}"}
    assert seen(world.member(world.user()), "specs") == set()
    for bucket, name in (("specs", f"{uuid.uuid4()}/source"), ("artifacts", f"{mine['run_id']}/{uuid.uuid4()}")):
        with forbidden():
            store(member, bucket, name)
        with forbidden():
            store(world.anonymous(), bucket, name)
    assert seen(world.anonymous(), "specs") == set()


def session_of(world: World, made: dict[str, Any]) -> str:
    return str(world.value("select sprint_id || '/' || id from runs where id = %s", made["run_id"]))


def test_session_is_the_building_halfs_of_its_sprint_alone(world: World) -> None:
    mine, sibling = world.started(), world.started()
    path, other = session_of(world, mine), session_of(world, sibling)
    builder = world.runner_of(mine["run_id"], scope="build")
    for name in (path, f"{path}.2", f"{path}.9"):
        store(builder, "sessions", name)
    assert seen(builder, "sessions") == {path, f"{path}.2", f"{path}.9"}
    outsiders = (
        world.runner_of(sibling["run_id"]),
        world.runner_of(mine["run_id"], scope="publish"),
        world.functions(),
        world.member_of(world.projects["acme/shop"], "maintainer"),
        world.anonymous(),
    )
    for outsider in outsiders:
        assert seen(outsider, "sessions") == set()
        with forbidden():
            store(outsider, "sessions", f"{path}.3")
    mixed = f"{path.split('/')[0]}/{sibling['run_id']}"
    for name in (other, mixed, f"{path}.1", f"{path}.10", f"{path}/x", f"{path}x", path.split("/")[0]):
        with forbidden():
            store(builder, "sessions", name)


def test_session_is_stored_while_its_run_is_open_and_read_by_the_next_one(world: World) -> None:
    made = world.started()
    path, runner = session_of(world, made), world.runner_of(made["run_id"])
    store(runner, "sessions", path)
    runner.call("pause_run_v1", run_id=made["run_id"], resume_at="tomorrow", reason="limit", session={"path": path})
    with forbidden():
        store(runner, "sessions", f"{path}.2")
    with world.administration() as operator:
        next_run = operator.retry_sprint(path.split("/")[0])["run_id"]
    assert seen(world.runner_of(next_run, scope="build"), "sessions") == {path}


def test_nobody_changes_or_deletes_an_object(world: World) -> None:
    made = world.started()
    put(world, "artifacts", f"{made['run_id']}/{uuid.uuid4()}")
    personas = (
        world.functions(),
        world.runner_of(made["run_id"]),
        world.member_of(world.projects["acme/shop"], "maintainer"),
    )
    for persona in personas:
        assert persona.rows("update storage.objects set name = 'x' returning 1") == []
        assert persona.rows("select set_config('storage.allow_delete_query', 'true', true)") == [("true",)]
    assert world.value("select count(*) from storage.objects") == 1


def test_nobody_of_ours_makes_or_sees_a_bucket(world: World) -> None:
    made = world.started()
    for persona in (world.functions(), world.runner_of(made["run_id"]), world.anonymous()):
        assert persona.rows("select 1 from storage.buckets") == []
        with forbidden():
            persona.rows("insert into storage.buckets (id, name) values ('x', 'x') returning 1")
