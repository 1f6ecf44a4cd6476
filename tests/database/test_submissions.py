"""Specifications by API: who may, and that the same content is one specification whatever door it comes by."""

from __future__ import annotations

import hashlib
import itertools
import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.database.test_requests import key_of
from tests.database.world import World, refused, spec

pytestmark = pytest.mark.database

CONTENT = hashlib.sha256(b"content").hexdigest()
Caller = dict[str, str]


def caller_of(key: dict[str, Any]) -> Caller:
    return {"kind": "key", "id": key["id"]}


def user(world: World, role: str | None) -> Caller:
    project_id = world.projects["acme/shop"]
    if role in ("owner", "admin", "member"):
        user_id = world.user()
        world.execute("insert into organisation_members (organisation_id, user_id, role)"
                      " select organisation_id, %s, %s from projects where id = %s",
                      user_id, role, project_id)  # fmt: skip
        return {"kind": "user", "id": user_id}
    member = world.member_of(project_id, role) if role else world.member(world.user())
    return {"kind": "user", "id": member.claims["sub"]}


def submit(world: World, caller: Caller, **changes: Any) -> dict[str, Any]:
    return dict(world.functions().call("submit_spec_v1", caller=caller, spec=spec(**{"sha": CONTENT, **changes})))


def specs(world: World) -> int:
    return int(world.value("select count(*) from specs"))


@pytest.mark.parametrize(
    ("role", "outcome"),
    [("owner", "accepted"), ("admin", "accepted"), ("maintainer", "accepted"), ("developer", "accepted"),
     ("viewer", "repository-not-allowed"), ("member", "repository-not-allowed"), (None, "repository-not-allowed")],
)  # fmt: skip
def test_member_has_something_built_from_developer_on(world: World, role: str | None, outcome: str) -> None:
    caller = user(world, role)
    assert submit(world, caller)["outcome"] == outcome
    assert specs(world) == (outcome == "accepted")


@pytest.mark.parametrize("fate", ["read only", "another project", "revoked", "expired"])
def test_key_has_built_only_what_it_is_for(world: World, fate: str) -> None:
    world.settle("rival/shop")
    scopes = ["specs:read"] if fate == "read only" else ["specs:write"]
    key = key_of(world, repo="rival/shop" if fate == "another project" else "acme/shop", scopes=scopes)
    if fate in ("revoked", "expired"):
        column = {"revoked": "revoked_at", "expired": "expires_at"}[fate]
        world.execute(f"update api_keys set {column} = now() - interval '1 second' where id = %s", key["id"])
    assert submit(world, caller_of(key))["outcome"] == "repository-not-allowed"
    assert specs(world) == 0


def test_key_of_an_organisation_reaches_all_its_projects_and_no_other(world: World) -> None:
    key = key_of(world, repo=None, organisation="acme")
    world.settle("rival/shop")
    assert submit(world, caller_of(key))["outcome"] == "accepted"
    assert submit(world, caller_of(key), repo="rival/shop")["outcome"] == "repository-not-allowed"


def test_submission_is_as_a_mail_is_sprint_run_events_and_work_order(world: World) -> None:
    caller = caller_of(key_of(world))
    answer = submit(world, caller, rfc_message_id="<a@b>")
    told = answer["spec"]
    assert [sprint["state"] for sprint in told["sprints"]] == ["PLANNED"]
    assert len(told["runs"]) == 1
    assert told["created_by"] == f"key:{caller['id']}"
    assert world.all("select phase from status_events order by created_at") == [("SPEC_RECEIVED",), ("PLANNING",)]
    assert world.value("select count(*) from outbox where kind = 'dispatch'") == 1
    assert world.one("select door, caller, rfc_message_id from private.submissions") == (
        "api", f"key:{caller['id']}", "<a@b>")  # fmt: skip


def test_same_id_again_is_the_same_answer_and_other_content_a_conflict(world: World) -> None:
    caller, given = caller_of(key_of(world)), spec(sha=CONTENT)
    first, second = (world.functions().call("submit_spec_v1", caller=caller, spec=given) for _ in range(2))
    assert (first, specs(world)) == (second, 1)
    with pytest.raises(Exception, match="specs_pkey"):
        world.functions().call("submit_spec_v1", caller=caller, spec=given | {"sha": "0" * 64})


def test_branch_and_daily_limit_of_the_project_hold(world: World) -> None:
    world.execute('update projects set policy = \'{"branches": ["feature/*"], "daily_specs": 2}\'')
    caller = caller_of(key_of(world))
    assert submit(world, caller, branch="release")["outcome"] == "branch-not-allowed"
    outcomes = [submit(world, caller, branch="feature/x", sha=str(n) * 64)["outcome"] for n in range(3)]
    assert outcomes == ["accepted", "accepted", "daily-limit"]


def test_same_content_again_is_a_duplicate_unless_asked_for_again_or_a_day_later(world: World) -> None:
    caller, other = caller_of(key_of(world)), user(world, "developer")
    first = submit(world, caller)["spec"]["id"]
    assert {submit(world, who)["spec"]["id"] for who in (caller, other)} == {first}
    assert submit(world, caller)["outcome"] == "duplicate"
    assert submit(world, caller, again=True)["outcome"] == "accepted"
    world.execute("update specs set created_at = now() - interval '25 hours'")
    assert submit(world, caller)["outcome"] == "accepted"
    assert specs(world) == 3


def test_same_content_in_another_project_is_another_specification(world: World) -> None:
    world.settle("acme/mill")
    caller = caller_of(key_of(world, repo=None, organisation="acme"))
    assert {submit(world, caller, repo=repo)["outcome"] for repo in ("acme/shop", "acme/mill")} == {"accepted"}


def test_mail_by_push_by_poll_and_by_api_is_one_specification_in_every_order(world: World) -> None:
    """Push and poll deliver the same Gmail id, a restored mailbox another one; the API names the mail or does not."""
    functions = world.functions()
    caller = caller_of(key_of(world))
    names_it, seeds = (True, False), range(20)
    for seed, naming in itertools.product(seeds, names_it):
        dice = random.Random(seed * 2 + naming)
        sha = hashlib.sha256(f"{seed}{naming}".encode()).hexdigest()
        mail = world.mail()
        attached = spec(sha=sha)
        rfc_id = mail["rfc_message_id"] if naming else ""

        def by_mail(mail: Any = mail, attached: Any = attached) -> Any:
            return functions.call("ingest_message_v1", message=mail, specs=[attached])

        def by_copy(mail: Any = mail, attached: Any = attached) -> Any:
            copy = mail | {"id": str(uuid.uuid4()), "gmail_id": "copy-" + mail["gmail_id"]}
            return functions.call("ingest_message_v1", message=copy, specs=[attached])

        def by_api(sha: str = sha, rfc_id: str = rfc_id) -> Any:
            return submit(world, caller, sha=sha, rfc_message_id=rfc_id)

        deliveries = [by_mail, by_mail, by_copy, by_api, by_api]
        dice.shuffle(deliveries)
        for deliver in deliveries:
            deliver()
        [(found, message_id)] = world.all("select id, message_id from specs where sha = %s", sha)
        assert message_id is not None, "the mail's sender hears of it"
        receipts = world.value(
            "select count(*) from outbox where payload ->> 'template' = 'spec_received'"
            " and payload ->> 'message_id' is not null and payload ->> 'spec_id' = %s",
            str(found),
        )
        assert receipts == 1


def test_twins_by_both_doors_at_once_are_one_specification(world: World) -> None:
    caller = caller_of(key_of(world))
    for round_ in range(10):
        sha = hashlib.sha256(str(round_).encode()).hexdigest()
        jobs = [lambda sha=sha: submit(world, caller, sha=sha) for _ in range(4)]
        jobs += [
            lambda sha=sha: world.functions().call("ingest_message_v1", message=world.mail(), specs=[spec(sha=sha)])
        ]
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda job: job(), jobs))
        assert world.value("select count(*) from specs where sha = %s", sha) == 1


def test_mail_that_joins_brings_its_sender_the_reports_of_runs_that_ended(world: World) -> None:
    made = submit(world, caller_of(key_of(world)))["spec"]
    run_id = made["runs"][0]["id"]
    world.functions().call("abandon_run_v1", run_id=run_id, code="x", reason="y")
    mail = world.mail()
    world.functions().call("ingest_message_v1", message=mail, specs=[spec(sha=CONTENT)])
    assert world.value("select count(*) from outbox where idempotency_key = %s", f"report:{run_id}:{mail['id']}") == 1


def test_mail_that_joins_a_specification_in_wait_is_told_of_its_plan(world: World) -> None:
    submit(world, caller_of(key_of(world)), needs_approval=True)
    assert (
        world.functions().call("describe_notice_v1", outbox_id=world.value("select id::text from outbox"))["recipient"]
        is None
    )
    mail = world.mail()
    world.functions().call("ingest_message_v1", message=mail, specs=[spec(sha=CONTENT)])
    told = world.all("select payload ->> 'template' from outbox where payload ->> 'message_id' = %s", mail["id"])
    assert told == [("needs_approval",)]


def test_specification_of_a_mail_never_becomes_another_mails(world: World) -> None:
    world.ingest(sha=CONTENT)
    with refused(409, "illegal-move"):
        world.execute("update specs set message_id = null")


def test_object_of_a_duplicate_goes_with_the_next_sweep(world: World) -> None:
    caller = caller_of(key_of(world))
    submit(world, caller)
    late = spec(sha=CONTENT)
    world.execute("insert into storage.objects (bucket_id, name) values ('specs', %s)", late["storage_path"])
    world.functions().call("submit_spec_v1", caller=caller, spec=late)
    assert world.functions().call("expire_rows_v1")["objects"] == [{"bucket": "specs", "path": late["storage_path"]}]


def upload(**changes: Any) -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "name": "a.yaml", "content_type": "application/yaml", "sha256": CONTENT,
            "size": 7, "rfc_message_id": "", **changes}  # fmt: skip


def test_upload_is_its_callers_alone_and_the_same_id_is_the_same_upload(world: World) -> None:
    functions, caller, given = world.functions(), caller_of(key_of(world)), upload()
    first, second = (functions.call("begin_upload_v1", caller=caller, upload=given) for _ in range(2))
    assert first == second
    assert first["storage_path"] == f"{given['id']}/source"
    other = caller_of(key_of(world))
    assert functions.call("describe_upload_v1", caller=other, id=given["id"]) is None
    for changed, who in ((given | {"sha256": "0" * 64}, caller), (given, other)):
        with refused(409, "id-taken"):
            functions.call("begin_upload_v1", caller=who, upload=changed)


def test_uploads_that_wait_are_bounded_and_forgotten_after_a_day(world: World) -> None:
    functions, caller = world.functions(), caller_of(key_of(world))
    for _ in range(100):
        functions.call("begin_upload_v1", caller=caller, upload=upload())
    with refused(409, "too-many-uploads"):
        functions.call("begin_upload_v1", caller=caller, upload=upload())
    world.execute("update private.spec_uploads set expires_at = now() - interval '1 second'")
    functions.call("begin_upload_v1", caller=caller, upload=upload())
    assert world.value("select count(*) from private.spec_uploads") == 1


def test_object_that_was_uploaded_and_never_submitted_is_swept_after_a_day_and_not_before(world: World) -> None:
    functions, caller, given = world.functions(), caller_of(key_of(world)), upload()
    path = functions.call("begin_upload_v1", caller=caller, upload=given)["storage_path"]
    world.execute("insert into storage.objects (bucket_id, name, created_at) values"
                  " ('specs', %s, now() - interval '23 hours')", path)  # fmt: skip
    assert functions.call("expire_rows_v1")["objects"] == []
    world.execute("update storage.objects set created_at = now() - interval '25 hours'")
    world.execute("delete from private.settings where name = 'orphans_looked_for_at'")
    assert functions.call("expire_rows_v1")["objects"] == [{"bucket": "specs", "path": path}]


def test_submitting_marks_the_upload(world: World) -> None:
    functions, caller, given = world.functions(), caller_of(key_of(world)), upload()
    functions.call("begin_upload_v1", caller=caller, upload=given)
    submit(world, caller, id=given["id"], storage_path=f"{given['id']}/source")
    assert functions.call("describe_upload_v1", caller=caller, id=given["id"])["spec_id"] == given["id"]


def test_caller_without_any_project_announces_nothing(world: World) -> None:
    with refused(403, "repository-not-allowed"):
        world.functions().call("begin_upload_v1", caller=user(world, "viewer"), upload=upload())
