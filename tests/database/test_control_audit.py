"""The audit log: who decided what, by hand, about which row; and that nobody takes it back."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from local.administration import Administration
from tests.database.world import MAILBOX, World, forbidden, refused

pytestmark = pytest.mark.database


def failed(world: World) -> dict[str, str]:
    made = world.started()
    world.runner_of(made["run_id"]).call("finish_run_v1", run_id=made["run_id"], result="FAILED", summary={})
    return with_sprint(world, made)


def waiting(world: World) -> dict[str, str]:
    return with_sprint(world, world.ingest(needs_approval=True))


def with_sprint(world: World, made: dict[str, Any]) -> dict[str, str]:
    sprint = world.value("select id::text from sprints where spec_id = %s", made["spec_id"])
    return made | {"sprint_id": sprint}


def asked(world: World) -> dict[str, str]:
    made = failed(world)
    for state in ("PLANNED", "NEEDS_INPUT"):
        world.execute("update sprints set state = %s where id = %s", state, made["sprint_id"])
    return made


def dead(world: World) -> dict[str, str]:
    world.ingest()
    world.execute("update outbox set state = 'DEAD' where kind = 'notify'")
    return {"outbox_id": world.value("select id::text from outbox where state = 'DEAD'")}


Case = tuple[str, str, Callable[[World], dict[str, str]], Callable[[Any, dict[str, str]], Any], str]
KEY = {"repo": "acme/shop", "name": "ci", "scopes": ["specs:read"]}


def no_state(world: World) -> dict[str, str]:
    return {}


MEMBERS: list[Case] = [
    ("approve_sprint", "sprints", waiting,
     lambda p, m: p.call("approve_sprint_v1", sprint_id=m["sprint_id"]), "sprint_id"),
    ("retry_sprint", "sprints", failed, lambda p, m: p.call("retry_sprint_v1", sprint_id=m["sprint_id"]), "sprint_id"),
    ("cancel_spec", "specs", waiting, lambda p, m: p.call("cancel_spec_v1", spec_id=m["spec_id"]), "spec_id"),
    ("create_api_key", "api_keys", no_state, lambda p, _: p.call("create_api_key_v1", key=KEY), ""),
]  # fmt: skip


@pytest.mark.parametrize(("action", "table", "prepare", "act", "subject"), MEMBERS, ids=[case[0] for case in MEMBERS])
def test_members_decision_is_on_record_with_his_id_and_its_row(
    world: World, action: str, table: str, prepare: Any, act: Any, subject: str
) -> None:
    made = prepare(world)
    member = world.member_of(world.projects["acme/shop"], "maintainer")
    answer = act(member, made)
    rows = world.all(
        "select actor, subject_table, subject_id, project_id::text from audit_log where action = %s", action
    )
    assert rows == [
        (f"authenticated:{member.claims['sub']}", table, made.get(subject) or answer["id"], world.projects["acme/shop"])
    ]


FUNCTIONS: list[Case] = [
    ("answer_sprint", "sprints", asked, lambda p, m: p.call(
        "answer_sprint_v1", sprint_id=m["sprint_id"], reply={"id": "1", "text": "x"}), "sprint_id"),
    ("abandon_run", "runs", lambda w: w.ingest(), lambda p, m: p.call(
        "abandon_run_v1", run_id=m["run_id"], code="x", reason="y"), "run_id"),
]  # fmt: skip


@pytest.mark.parametrize(("action", "table", "prepare", "act", "subject"), FUNCTIONS, ids=[c[0] for c in FUNCTIONS])
def test_functions_decision_is_on_record_with_the_tokens_jti(
    world: World, action: str, table: str, prepare: Any, act: Any, subject: str
) -> None:
    made = prepare(world)
    functions = world.functions()
    act(functions, made)
    rows = world.all("select actor, subject_table, subject_id from audit_log where action = %s", action)
    assert rows == [(f"aicd_functions:{functions.claims['jti']}", table, made[subject])]


def configure_mailbox(operator: Administration, _: Any) -> None:
    operator.configure_mailbox(MAILBOX, {"verify_dkim": True})


OPERATORS: list[Case] = [
    ("create_project", "projects", no_state, lambda o, _: o.create_project({"repo": "a/b"}), ""),
    ("allow_sender", "senders", no_state, lambda o, _: o.allow_sender("a@b.c", None), ""),
    ("disallow_sender", "senders", no_state, lambda o, _: o.disallow_sender("ada@example.com"), ""),
    ("create_mailbox", "mailboxes", no_state, lambda o, _: o.create_mailbox("a@b.c"), ""),
    ("configure_mailbox", "mailboxes", no_state, configure_mailbox, ""),
    ("revoke_token", "revoked_tokens", no_state, lambda o, _: o.revoke_token("j-1", "lost"), ""),
    ("configure_webhook", "settings", no_state, lambda o, _: o.configure_webhook("notify", "https://x.test", "s"), ""),
    ("set_retention", "retention_policies", no_state, lambda o, _: o.set_retention("table", "outbox", 30), ""),
    ("create_api_key", "api_keys", no_state, lambda o, _: o.create_api_key(KEY), ""),
    ("revoke_api_key", "api_keys", no_state, lambda o, _: o.revoke_api_key(o.create_api_key(KEY)["id"], "lost"), ""),
    ("approve_sprint", "sprints", waiting, lambda o, m: o.approve_sprint(m["sprint_id"]), "sprint_id"),
    ("retry_sprint", "sprints", failed, lambda o, m: o.retry_sprint(m["sprint_id"]), "sprint_id"),
    ("cancel_spec", "specs", waiting, lambda o, m: o.cancel_spec(m["spec_id"], "x"), "spec_id"),
    ("requeue_outbox", "outbox", dead, lambda o, m: o.requeue_outbox(m["outbox_id"]), "outbox_id"),
    ("drop_outbox", "outbox", dead, lambda o, m: o.drop_outbox(m["outbox_id"], "x"), "outbox_id"),
]  # fmt: skip


@pytest.mark.parametrize(("action", "table", "prepare", "act", "subject"), OPERATORS, ids=[c[0] for c in OPERATORS])
def test_operators_decision_is_on_record_with_his_database_role(
    world: World, action: str, table: str, prepare: Any, act: Any, subject: str
) -> None:
    made = prepare(world)
    before = {row[0] for row in world.all("select id from audit_log")}
    with world.administration() as operator:
        act(operator, made)
    rows = world.all("select actor, subject_table, subject_id from audit_log where action = %s and id <> all(%s)",
                     action, list(before))  # fmt: skip
    assert [(actor, subject_table) for actor, subject_table, _ in rows] == [("postgres", table)]
    assert not subject or rows[0][2] == made[subject]


def test_authority_that_is_given_changed_or_taken_is_on_record_whoever_writes_the_row(world: World) -> None:
    project = world.projects["acme/shop"]
    member = world.member_of(project, "viewer")
    world.execute("update project_members set role = 'maintainer'")
    world.execute("insert into organisation_members (organisation_id, user_id, role)"
                  " select id, %s, 'owner' from organisations", member.claims["sub"])  # fmt: skip
    # Taken with the user himself, by a cascade.
    world.execute("delete from auth.users where id = %s", member.claims["sub"])
    rows = world.all(
        "select action, subject_table, details ->> 'role', details ->> 'was' from audit_log"
        " where details ->> 'user_id' = %s order by action, subject_table", member.claims["sub"],
    )  # fmt: skip
    assert rows == [
        ("add_member", "organisation_members", "owner", None),
        ("add_member", "project_members", "viewer", None),
        ("change_member", "project_members", "maintainer", "viewer"),
        ("remove_member", "organisation_members", "owner", None),
        ("remove_member", "project_members", "maintainer", None),
    ]


def test_refused_decision_leaves_nothing(world: World) -> None:
    made = waiting(world)
    before = world.all("select * from audit_log order by id")
    with refused(403, "not-maintainer"):
        world.member_of(world.projects["acme/shop"], "viewer").call("approve_sprint_v1", sprint_id=made["sprint_id"])
    after = [row for row in world.all("select * from audit_log order by id") if row not in before]
    assert [row[2] for row in after] == ["add_member"]


@pytest.mark.parametrize(
    "change",
    ["update audit_log set actor = 'me'", "update audit_log set details = '{}' where false", "truncate audit_log",
     "delete from audit_log", "delete from audit_log where id = (select id from audit_log limit 1)",
     "insert into audit_log select * from audit_log on conflict (id) do update set actor = 'me'",
     "with gone as (delete from audit_log returning 1) select count(*) from gone"],
)  # fmt: skip
@pytest.mark.parametrize("keep_days", [None, 90])
def test_log_is_only_added_to_even_by_the_owner(world: World, change: str, keep_days: int | None) -> None:
    world.execute("select set_retention_v1('table', 'audit_log', %s)", keep_days)
    with refused(409, "append-only"):
        world.execute(change)


def test_only_what_its_policy_no_longer_keeps_can_leave_the_log(world: World) -> None:
    world.execute("select set_retention_v1('table', 'audit_log', 90)")
    old = str(uuid.uuid4())
    world.execute("insert into audit_log (id, actor, action, subject_table, subject_id, created_at)"
                  " values (%s, 'x', 'y', 'z', '', now() - interval '91 days')", old)  # fmt: skip
    world.execute("delete from audit_log where id = %s", old)
    young = str(uuid.uuid4())
    world.execute("insert into audit_log (id, actor, action, subject_table, subject_id, created_at)"
                  " values (%s, 'x', 'y', 'z', '', now() - interval '89 days')", young)  # fmt: skip
    with refused(409, "append-only"):
        world.execute("delete from audit_log where id = %s", young)


def test_nobody_else_writes_the_log_at_all(world: World) -> None:
    made = world.started()
    member = world.member_of(world.projects["acme/shop"], "maintainer")
    for persona in (world.functions(), world.runner_of(made["run_id"]), member, world.anonymous()):
        for change in ("insert into audit_log (actor) values ('x')", "update audit_log set actor = 'x'",
                       "delete from audit_log", "truncate audit_log"):  # fmt: skip
            with forbidden():
                persona.rows(change + " returning 1" if not change.startswith("truncate") else change)


def test_members_read_the_log_of_their_project_only(world: World) -> None:
    world.settle("rival/shop")
    member = world.member_of(world.projects["acme/shop"], "viewer")
    seen = {row[0] for row in member.rows("select project_id::text from audit_log")}
    assert seen == {world.projects["acme/shop"]}
    with psycopg.connect(world.owner_url) as owner:
        assert owner.execute("select count(*) from audit_log where project_id = %s",
                             [world.projects["rival/shop"]]).fetchone() != (0,)  # fmt: skip
