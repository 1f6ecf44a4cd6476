"""The operator's commands with the owner's address, against the real database."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

import pytest

from local.commands.policykeys import KEYS
from tests.database.world import MAILBOX, SENDER, World, forbidden
from tests.spoken import Aicd, speaker

pytestmark = pytest.mark.database


@pytest.fixture
def aicd(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Aicd:
    monkeypatch.setenv("DB_URL", world.owner_url)
    return speaker(capsys)


def asked(world: World, question: str = "Which colour?") -> dict[str, Any]:
    made = world.started(plan=None)
    questions = [{"id": "q1", "text": question, "blocking": True}]
    world.runner_of(made["run_id"]).call("ask_requester_v1", run_id=made["run_id"], questions=questions)
    return made


def fail(world: World, made: dict[str, Any], message: str = "The tests failed.") -> None:
    summary = {"status": "FAILED", "error": {"code": "x", "message": message}}
    world.runner_of(made["run_id"]).call("finish_run_v1", run_id=made["run_id"], result="FAILED", summary=summary)


def audited(world: World, action: str) -> int:
    return int(world.value("select count(*) from audit_log where action = %s", action))


def test_sprints_are_listed_with_what_they_wait_for(world: World, aicd: Aicd) -> None:
    asked(world, "Which \x1b[31mcolour?\n")
    fail(world, world.started())
    world.ingest(needs_approval=True)
    said = aicd("sprint", "list")
    assert said.code == 0
    lines = {line.split("\t")[1]: line.split("\t") for line in said.out.splitlines()[1:]}
    assert set(lines) == {"NEEDS_INPUT", "FAILED", "NEEDS_APPROVAL"}
    assert lines["NEEDS_INPUT"][6] == "Which  [31mcolour? "
    assert (lines["FAILED"][6], lines["FAILED"][3:5]) == ("The tests failed.", ["acme/shop", SENDER])
    assert "3 sprints, 2 of them wait for a person" in said.err
    assert [one["state"] for one in aicd("sprint", "list", "--state", "FAILED", "--json").json["sprints"]] == ["FAILED"]
    assert aicd("sprint", "list", "--repo", "acme/none", "--json").json == {"sprints": []}


ENDS = [
    ({"error": {"message": "The budget is used up."}}, "The budget is used up."),
    ({"error": None, "failure": {"message": "No agent is configured."}}, "No agent is configured."),
    ({"verdict": {"criteria": [{"id": "unit_pass", "status": "failed"}, {"id": "coverage_min", "status": "passed"},
                               {"id": "lint_pass", "status": "not_measured"}]}}, "Not met: unit_pass, lint_pass"),
    ({"verdict": None}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("summary", "why"), ENDS, ids=range(len(ENDS)))
def test_failed_sprint_says_why(world: World, aicd: Aicd, summary: dict[str, Any], why: str) -> None:
    made = world.started()
    world.runner_of(made["run_id"]).call("finish_run_v1", run_id=made["run_id"], result="FAILED", summary=summary)
    assert aicd("sprint", "list").out.splitlines()[1].split("\t")[6] == why


def test_plan_is_approved_once(world: World, aicd: Aicd) -> None:
    world.ingest(needs_approval=True)
    (sprint,) = aicd("sprint", "list", "--json").json["sprints"]
    approved = aicd("sprint", "approve", sprint["sprint_id"], "--json").json
    assert (approved["state"], approved["run_id"] is not None) == ("PLANNED", True)
    assert "PLANNED" in aicd("sprint", "approve", sprint["sprint_id"]).err
    assert audited(world, "approve_sprint") == 1


def test_failed_sprint_is_tried_again(world: World, aicd: Aicd) -> None:
    made = world.started()
    fail(world, made)
    (sprint,) = aicd("sprint", "list", "--json").json["sprints"]
    assert aicd("sprint", "retry", sprint["sprint_id"], "--json").json["run_id"] != made["run_id"]


def test_question_is_answered_from_text_or_file(world: World, aicd: Aicd, tmp_path: Path) -> None:
    answer = tmp_path / "answer.txt"
    answer.write_text("Blue.\n", encoding="utf-8")
    for given in (["--text", "Blue."], ["--file", str(answer), "--by", SENDER]):
        asked(world)
        (sprint,) = aicd("sprint", "list", "--state", "NEEDS_INPUT", "--json").json["sprints"]
        assert aicd("sprint", "answer", sprint["sprint_id"], *given, "--json").json["state"] == "PLANNED"
    assert world.all("select answers_json #>> '{0,text}', answers_json #>> '{0,answered_by}' from sprints"
                     " order by created_at") == [("Blue.", "operator"), ("Blue.\n", SENDER)]  # fmt: skip
    said = aicd("sprint", "answer", sprint["sprint_id"], "--text", "Red.", "--json")
    assert (said.code, said.json["errors"][0]["code"]) == (1, "sprint-not-waiting")


def test_specification_is_cancelled_with_its_reason(world: World, aicd: Aicd) -> None:
    made = world.started(sprints=2)
    said = aicd("sprint", "cancel", made["spec_id"], "--reason", "not needed")
    assert (said.code, "2 of 2 sprints are cancelled" in said.err) == (0, True)
    assert world.value("select count(*) from outbox where kind = 'cancel'") == 1
    assert aicd("sprint", "list", "--json").json == {"sprints": []}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("sprint", "approve", "first"), 2),
        (("sprint", "approve", str(uuid.UUID(int=7))), 1),
        (("sprint", "answer", str(uuid.UUID(int=7))), 2),
        (("sprint", "answer", str(uuid.UUID(int=7)), "--file", "/nowhere"), 2),
        (("sprint", "list", "--state", "LOST"), 2),
        (("member", "add", "ada@example.com", "--role", "owner"), 2),
        (("member", "add", "ada", "--role", "owner", "--organisation", "acme"), 2),
        (("member", "add", "nobody@example.com", "--role", "owner", "--organisation", "acme"), 1),
        (("member", "remove", "nobody@example.com", "--repo", "acme/none"), 1),
        (("retention", "set", "everything", "3"), 2),
        (("retention", "set", "table:messages", "soon"), 2),
        (("retention", "set", "table:messages", "3"), 1),
        (("retention", "set", "table:secrets", "30"), 1),
        (("ledger", "--since", "yesterday"), 2),
        (("project", "policy", "acme/shop", "budget_usd_dya=5"), 2),
        (("project", "policy", "acme/shop", "budget_usd_day=much"), 2),
        (("project", "policy", "acme/shop", "budget_usd_day"), 2),
        (("project", "policy", "acme/shop", "--unset", "budget"), 2),
        (("project", "policy", "acme/none"), 1),
        (("project", "policy", "acme/none", "planner=true"), 1),
        (("project", "add", "acme/shop", "--repository-id", "7"), 2),
        (("project", "add", "not a repository"), 1),
        (("sender", "allow", "*"), 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_said_with_a_fix(aicd: Aicd, arguments: tuple[str, ...], code: int) -> None:
    said = aicd(*arguments)
    assert (said.code, said.out) == (code, "")
    assert "Traceback" not in said.err
    assert said.err.startswith(f"aicd {arguments[0]}: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("sender allow bob", "The sender is neither an address nor everybody of a domain"),
        ("sender allow bob", "aicd sender allow bob@example.com"),
        ("project add new", "OWNER/NAME"),
        ("sender allow carl@example.com --repo no/such", "aicd project add no/such"),
        ("project policy no/such planner=true", "aicd project add no/such"),
        ("key create --name k --repo acme/nothing", "There is no project for the repository acme/nothing"),
        ("key create --name k --repo acme/nothing", "aicd project add acme/nothing"),
        ("key create --name k --organisation none", "aicd project add OWNER/NAME --organisation none"),
        ("member add ada@example.com --role viewer --repo acme/none", "aicd project add acme/none"),
    ],
)
def test_refusal_is_in_words_with_the_command_that_mends_it(aicd: Aicd, arguments: str, told: str) -> None:
    said = aicd(*arguments.split())
    assert (said.code, told in said.err) == (1, True), said.err
    assert not re.search(r"_check|_v1|does not hold|for you", said.err)


def test_members_of_a_project_and_an_organisation_come_change_and_go(world: World, aicd: Aicd) -> None:
    who = world.user()
    email = world.value("select email from auth.users where id = %s", who)
    seen = "select repo from projects"
    member = world.member(who)
    assert member.rows(seen) == []
    added = aicd("member", "add", email.upper(), "--repo", "Acme/Shop", "--role", "viewer", "--json").json
    assert added == {"user_id": who, "role": "viewer", "was": None}
    assert member.rows(seen) == [("acme/shop",)]
    assert "was viewer" in aicd("member", "add", who, "--repo", "acme/shop", "--role", "maintainer").err
    assert aicd("member", "add", who, "--organisation", "acme", "--role", "admin").code == 0
    listed = aicd("member", "list", "--repo", "acme/shop", "--json").json["members"]
    assert [(one["email"], one["role"], one["repo"]) for one in listed] == [
        (email, "admin", None), (email, "maintainer", "acme/shop")]  # fmt: skip
    assert email in aicd("member", "list", "--organisation", "acme").out
    assert aicd("member", "remove", email, "--repo", "acme/shop", "--json").json == {"removed": True}
    assert aicd("member", "remove", email, "--repo", "acme/shop", "--json").json == {"removed": False}
    assert aicd("member", "remove", email, "--organisation", "acme").code == 0
    assert member.rows(seen) == []
    assert [audited(world, action) for action in ("add_member", "change_member", "remove_member")] == [2, 1, 2]


@pytest.mark.parametrize(("place", "role"), [("--repo=acme/shop", "owner"), ("--organisation=acme", "viewer")])
def test_role_of_the_other_kind_is_refused(world: World, aicd: Aicd, place: str, role: str) -> None:
    said = aicd("member", "add", world.user(), place, "--role", role)
    assert (said.code, "The roles here are" in said.err) == (1, True)
    assert audited(world, "add_member") == 0


def test_retention_is_listed_set_and_taken_back(world: World, aicd: Aicd) -> None:
    assert aicd("retention", "set", "bucket:specs", "90").code == 0
    lines = aicd("retention", "list").out.splitlines()
    assert "bucket:specs\t90 days" in "\n".join(lines)
    # Everything that the table allows is on the list.
    constraint = "select pg_get_constraintdef(oid) from pg_constraint where conname = 'retention_policies_known'"
    known = {line.split("\t")[0] for line in lines[1:]}
    assert all(f"'{name}'" in world.value(constraint) for name in known)
    assert len(known) == world.value(constraint).count("::text") - 1
    assert aicd("retention", "set", "bucket:specs", "forever", "--json").json["keep_days"] is None


def test_policy_is_changed_key_by_key_and_is_on_record(world: World, aicd: Aicd) -> None:
    said = aicd("project", "policy", "Acme/Shop", "budget_usd_day=5", "approval=required", 'branches=["main", "x/*"]')
    assert said.out.splitlines() == ['approval="required"', 'branches=["main", "x/*"]', "budget_usd_day=5"]
    changed = aicd("project", "policy", "acme/shop", "--unset", "approval", "budget_usd_day=7.5", "--json").json
    assert changed == aicd("project", "policy", "acme/shop", "--json").json
    assert changed == {"branches": ["main", "x/*"], "budget_usd_day": 7.5}
    details = world.value(
        "select details from audit_log where action = 'change_policy' order by created_at desc limit 1"
    )
    assert details["was"] == {"approval": "required", "budget_usd_day": 5}


def test_every_key_that_is_read_somewhere_is_known_to_the_command_and_the_docs() -> None:
    root = Path(__file__).parents[2]
    reads = re.compile(
        r"""policy(?:\.get\(|\[| -> | ->> )["']([a-z_]+)["']|"""
        r"""policy_figure\([a-z_]*policy, '([a-z_]+)'|'(budget_usd_[a-z]+)'"""
    )
    found = {
        next(filter(None, match.groups()))
        for folder in ("sql/functions", "functions", "action", "controlplane")
        for path in (root / folder).rglob("*")
        if path.suffix in (".sql", ".py")
        for match in reads.finditer(path.read_text(encoding="utf-8"))
    }
    assert {"approval", "planner", "trusted_refs", "max_parallel_runs", "budget_usd_sprint"} <= found
    assert found <= set(KEYS)
    documented = (root / "docs" / "projects.md").read_text(encoding="utf-8")
    assert [key for key in KEYS if f"`{key}`" not in documented] == []


def test_project_is_added_pinned_and_listed(world: World, aicd: Aicd) -> None:
    said = aicd("project", "add", "acme/tools", "--workflow", "build.yml")
    assert (said.code, "not pinned" in said.err) == (0, True)
    made = aicd("project", "add", "acme/tools", "--repository-id", "74", "--owner-id", "65", "--json").json
    assert (made["workflow"], made["repository_id"]) == ("build.yml", "74")
    lines = aicd("project", "list").out.splitlines()
    assert [line.split("\t")[:5] for line in lines[1:]] == [
        ["acme/shop", "acme", "main", "aicd.yml", "no"],
        ["acme/tools", "acme", "main", "build.yml", "yes"],
    ]


def test_sender_is_allowed_with_limits_that_stay_until_they_are_changed(world: World, aicd: Aicd) -> None:
    aicd("sender", "allow", "bob@example.com", "--repo", "acme/shop", "--budget-day", "5", "--needs-approval")
    aicd("sender", "allow", "bob@example.com", "--repo", "acme/shop", "--budget-month", "50")
    bob = {one["pattern"]: one for one in aicd("sender", "list", "--json").json["senders"]}["bob@example.com"]
    assert (bob["budget_usd_day"], bob["budget_usd_month"], bob["needs_approval"], bob["repo"]) == (
        5, 50, True, "acme/shop")  # fmt: skip
    made = aicd("sender", "allow", "bob@example.com", "--repo", "acme/shop", "--no-budget", "--json").json
    assert (made["budget_usd_day"], made["budget_usd_month"], made["needs_approval"]) == (None, None, True)
    assert "bob@example.com\tacme/shop\t100\tfirst\t-\t-" in aicd("sender", "list").out
    assert "1 rows were removed" in aicd("sender", "remove", "bob@example.com").err


def test_spending_is_summed_by_who_and_what(world: World, aicd: Aicd) -> None:
    made = world.started()
    for number, kind in enumerate(("planner", "builder", "builder")):
        entry = {"id": str(uuid.UUID(int=number)), "kind": kind, "model": "m", "cost_usd": "0.25", "output_tokens": 7}
        world.runner_of(made["run_id"]).call("record_cost_v1", run_id=made["run_id"], entry=entry)
    told = aicd("ledger", "--json").json
    assert told["total_usd"] == 0.75
    assert [(one["kind"], one["calls"], one["cost_usd"], one["output_tokens"]) for one in told["spending"]] == [
        ("builder", 2, 0.5, 14), ("planner", 1, 0.25, 7)]  # fmt: skip
    assert "0.75 USD since" in aicd("ledger").err
    assert aicd("ledger", "--since", "2999-01-01", "--json").json["spending"] == []


def test_members_tables_are_for_the_operator_alone(world: World) -> None:
    member = world.member_of(world.projects["acme/shop"], "maintainer")
    who = {"user_id": member.claims["sub"], "organisation": "acme"}
    calls: dict[str, dict[str, Any]] = {
        "add_member_v1": {"member": who | {"role": "owner"}},
        "remove_member_v1": {"member": who},
        "list_members_v1": {},
        "describe_projects_v1": {},
        "change_policy_v1": {"repo": "acme/shop", "changes": {"approval": None}},
        "list_sprints_v1": {},
        "list_senders_v1": {},
        "list_retention_v1": {},
        "list_spending_v1": {"since": "2026-01-01"},
    }
    for persona in (member, world.functions(), world.anonymous()):
        for verb, arguments in calls.items():
            with forbidden():
                persona.call(verb, **arguments)


def test_mailbox_is_told_how_its_senders_are_proven(world: World, aicd: Aicd) -> None:
    assert "as AICD_VERIFY_DKIM says" in aicd("gmail", "proof", MAILBOX).err
    made = aicd("gmail", "proof", MAILBOX, "--verify-dkim", "--authserv-id", "mx.example.org", "--json").json
    assert (made["verify_dkim"], made["authserv_id"]) == (True, "mx.example.org")
    assert "by DMARC alone; mx.example.org is believed" in aicd("gmail", "proof", MAILBOX, "--no-verify-dkim").err
    made = aicd("gmail", "proof", MAILBOX, "--as-for-all", "--json").json
    assert (made["verify_dkim"], made["authserv_id"]) == (None, None)
    assert audited(world, "configure_mailbox") == 4
    assert aicd("gmail", "proof", "nobody@example.org").code != 0
