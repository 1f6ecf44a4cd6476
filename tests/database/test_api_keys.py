"""API keys: shown once, kept as a hash, checked by it, dead at once; and the audit log that remembers who made them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import uuid
from typing import Any

import psycopg
import pytest

from controlplane.api_keys import KEY, hash_api_key
from tests.database.test_store import Gate, gate  # noqa: F401 - a fixture
from tests.database.world import Persona, World, forbidden, refused

pytestmark = pytest.mark.database

WANTED = {"repo": "acme/shop", "name": "ci", "scopes": ["specs:write", "specs:read"]}


def create(caller: Persona, **changes: Any) -> Any:
    return caller.call("create_api_key_v1", key={**WANTED, **changes})


def check(world: World, key: str) -> Any:
    return world.functions().call("check_api_key_v1", hash=hash_api_key(key))


def maintainer(world: World) -> Persona:
    return world.member_of(world.projects["acme/shop"], "maintainer")


def administrator(world: World, role: str = "admin") -> Persona:
    user_id = world.user()
    world.execute("insert into organisation_members (organisation_id, user_id, role)"
                  " select organisation_id, %s, %s from projects where repo = 'acme/shop'", user_id, role)  # fmt: skip
    return world.member(user_id)


def test_key_is_shown_once_and_found_nowhere(world: World) -> None:
    made = create(maintainer(world))
    assert KEY.fullmatch(made["key"])
    assert made["key"].startswith(f"aicd_{made['prefix']}_")
    secret = made["key"].rsplit("_", 1)[1]
    for schema, table in world.all(
        "select schemaname, tablename from pg_tables where schemaname in ('public', 'private')"
    ):
        rows = world.value(f"select coalesce(json_agg(t), '[]')::text from {schema}.{table} t")
        assert secret not in rows, table
    assert world.value("select hash from private.api_key_hashes") == hashlib.sha256(made["key"].encode()).hexdigest()


def test_two_keys_share_nothing(world: World) -> None:
    member = maintainer(world)
    secrets = {create(member)["key"].rsplit("_", 1)[1] for _ in range(20)}
    assert len(secrets) == 20
    # 20 × 64 hex digits; a digit that is missing from them all would be no accident.
    assert set("".join(secrets)) == set("0123456789abcdef")


def test_live_key_is_told_what_it_may(world: World) -> None:
    made = create(maintainer(world), scopes=["specs:read", "specs:read"])
    assert check(world, made["key"]) == {
        "key_id": made["id"], "organisation_id": made["organisation_id"], "project_id": world.projects["acme/shop"],
        "name": "ci", "scopes": ["specs:read"],
    }  # fmt: skip


@pytest.mark.parametrize("fate", ["unknown", "revoked", "expired", "project gone"])
def test_dead_keys_all_get_the_same_answer(world: World, fate: str) -> None:
    made = create(maintainer(world), expires_in_seconds=60)
    if fate == "unknown":
        made["key"] = made["key"][:-1] + ("0" if made["key"][-1] != "0" else "1")
    elif fate == "revoked":
        assert maintainer(world).call("revoke_api_key_v1", id=made["id"], reason="lost") is True
        assert maintainer(world).call("revoke_api_key_v1", id=made["id"], reason="lost") is False
    elif fate == "expired":
        world.execute("update api_keys set expires_at = now() - interval '1 second'")
    else:
        world.execute("delete from projects")
    assert check(world, made["key"]) is None


@pytest.mark.parametrize(
    "nonsense", ["", "aicd_", "aicd_12345678_short", "Aicd_" + "0" * 8 + "_" + "0" * 64, "x" * 9999]
)
def test_what_cannot_be_a_key_is_no_question_to_the_database(nonsense: str) -> None:
    assert hash_api_key(nonsense) is None
    assert hash_api_key("aicd_" + "0" * 8 + "_" + "0" * 64 + "\n") is None


def test_last_use_is_written_once_a_minute(world: World) -> None:
    made = create(maintainer(world))
    assert world.value("select last_used_at from api_keys") is None
    seen = []
    for _ in range(3):
        check(world, made["key"])
        seen.append(world.one("select last_used_at, xmin::text from api_keys"))
    assert len(set(seen)) == 1
    world.execute("update api_keys set last_used_at = now() - interval '61 seconds'")
    check(world, made["key"])
    assert world.value("select last_used_at > now() - interval '5 seconds' from api_keys")


def test_check_does_not_wait_for_somebody_who_holds_the_key(world: World) -> None:
    made = create(maintainer(world))
    with psycopg.connect(world.owner_url) as holding:
        holding.execute("select from api_keys for update")
        assert check(world, made["key"])["key_id"] == made["id"]


def test_organisations_key_is_its_administrators(world: World) -> None:
    organisation = world.value("select id::text from organisations")
    wanted = {"repo": None, "organisation_id": organisation}
    with refused(404, "organisation-not-found"):
        create(maintainer(world), **wanted)
    with refused(403, "not-administrator"):
        create(administrator(world, "member"), **wanted)
    made = create(administrator(world), **wanted)
    assert check(world, made["key"])["project_id"] is None
    for other in (maintainer(world), world.member(world.user())):
        with refused(404, "api-key-not-found"):
            other.call("revoke_api_key_v1", id=made["id"])
    for role, sees in {"owner": 1, "admin": 1, "member": 0}.items():
        assert len(administrator(world, role).rows("select * from api_keys")) == sees, role
    assert maintainer(world).rows("select * from api_keys") == []
    assert administrator(world, "owner").call("revoke_api_key_v1", id=made["id"]) is True


def test_project_that_is_not_there_does_not_become_a_key_for_all(world: World) -> None:
    admin = administrator(world)
    for missing in ({"repo": "acme/none"}, {"repo": None, "project_id": str(uuid.uuid4())}):
        with refused(404, "project-not-found"):
            create(admin, organisation_id=world.value("select id::text from organisations"), **missing)


@pytest.mark.parametrize("role", ["developer", "viewer"])
def test_members_without_authority_neither_make_nor_revoke_nor_see_keys(world: World, role: str) -> None:
    made = create(maintainer(world))
    member = world.member_of(world.projects["acme/shop"], role)
    with refused(403, "not-maintainer"):
        create(member)
    with refused(403, "not-maintainer"):
        member.call("revoke_api_key_v1", id=made["id"])
    assert member.rows("select * from api_keys") == []


def test_strangers_keys_look_like_none(world: World) -> None:
    world.settle("rival/shop")
    made = create(maintainer(world))
    rival = world.member_of(world.projects["rival/shop"], "maintainer")
    with refused(404, "project-not-found"):
        create(rival)
    for key_id in (made["id"], str(uuid.uuid4())):
        with refused(404, "api-key-not-found"):
            rival.call("revoke_api_key_v1", id=key_id)
    assert rival.rows("select * from api_keys") == []


def test_maintainer_sees_all_of_the_key_but_its_hash(world: World) -> None:
    member = maintainer(world)
    create(member)
    ((columns,),) = member.rows("select array_agg(key order by key) from api_keys, json_each(row_to_json(api_keys))")
    assert columns == ["budget_usd_day", "budget_usd_month", "created_at", "created_by", "expires_at", "id",
                       "last_used_at", "name", "organisation_id", "prefix", "project_id", "revoked_at",
                       "scopes"]  # fmt: skip
    with forbidden():
        member.rows("select * from private.api_key_hashes")


def test_machines_make_no_keys_and_members_check_none(world: World) -> None:
    made = world.started()
    for outsider in (world.functions(), world.runner_of(made["run_id"]), world.anonymous()):
        with forbidden():
            create(outsider)
    for outsider in (maintainer(world), world.runner_of(made["run_id"]), world.anonymous()):
        with forbidden():
            outsider.call("check_api_key_v1", hash="0" * 64)


@pytest.mark.parametrize(
    "wrong",
    [{"scopes": []}, {"scopes": ["admin"]}, {"scopes": "specs:read"}, {"scopes": None}, {"name": ""}, {"name": None},
     {"name": "x" * 101}, {"expires_in_seconds": 0}, {"expires_in_seconds": 10**10},
     {"budget_usd_day": -1}, {"budget_usd_month": "NaN"}, {"budget_usd_day": 10**9}],
)  # fmt: skip
def test_key_that_makes_no_sense_is_refused(world: World, wrong: dict[str, Any]) -> None:
    with refused(400, "bad-key"):
        create(maintainer(world), **wrong)


def test_key_through_the_official_client(world: World, gate: Gate) -> None:  # noqa: F811
    with world.administration() as operator:
        made = operator.create_api_key(WANTED)
        functions = gate.functions()
        found = functions.check_api_key(made["key"])
        assert found is not None
        assert found["key_id"] == made["id"]
        operator.revoke_api_key(made["id"], "test")
    assert functions.check_api_key(made["key"]) is None
    assert functions.check_api_key("nonsense") is None


def command(world: World, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "local", "key", *arguments],
        env=os.environ | {"DB_URL": world.owner_url}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_command_makes_lists_and_revokes(world: World) -> None:
    code, printed, _ = command(world, "create", "--repo", "acme/shop", "--name", "ci", "--expires", "90d",
                              "--budget-day", "2.5", "--json")  # fmt: skip
    made = json.loads(printed)
    assert (made["budget_usd_day"], made["budget_usd_month"]) == (2.5, None)
    assert (code, made["repo"], made["scopes"]) == (0, "acme/shop", ["specs:read", "specs:write"])
    code, listed, _ = command(world, "list")
    assert made["id"] in listed
    assert "2.50" in listed
    assert made["key"] not in listed
    assert re.search(r"never used", listed)
    assert command(world, "revoke", made["id"], "--reason", "test")[0] == 0
    assert check(world, made["key"]) is None
    assert json.loads(command(world, "list", "--json")[1])["keys"][0]["revoked_at"] is not None


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("create", "--name", "x"), 2), (("create", "--name", "x", "--repo", "a/b", "--organisation", "a"), 2),
     (("create", "--name", "x", "--repo", "acme/none"), 1), (("revoke", "nonsense"), 2),
     (("revoke", "00000000-0000-4000-8000-000000000000"), 1)],
)  # fmt: skip
def test_command_says_what_is_wrong_without_a_trace(world: World, arguments: tuple[str, ...], code: int) -> None:
    ended, printed, said = command(world, *arguments)
    assert (ended, printed) == (code, "")
    assert "Traceback" not in said
    assert said
