"""What a token may do, and when it may no longer do it."""

from __future__ import annotations

import time
import uuid
from typing import Any

import psycopg
import pytest

from tests.database.world import World, refused

pytestmark = pytest.mark.database


def start(world: World, run_id: str, /, **claims: Any) -> Any:
    return world.runner_of(run_id, **claims).call("start_run_v1", run_id=run_id, ci_run_id="1", ci_attempt=1)


def test_revoked_token_is_dead_at_once_for_verbs_and_reads(world: World) -> None:
    made = world.started()
    runner, functions = world.runner_of(made["run_id"]), world.functions()
    assert len(runner.rows("select id from runs")) == 1
    with world.administration() as operator:
        assert [operator.revoke_token(runner.claims["jti"], "lost") for _ in range(2)] == [True, False]
        operator.revoke_token(functions.claims["jti"], "lost")
    with refused(401, "token-not-live"):
        runner.call("record_event_v1", run_id=made["run_id"], phase="BUILD", message="", metadata={})
    with refused(401, "token-not-live"):
        functions.call("list_mailboxes_v1")
    for table in ("specs", "sprints", "runs", "artifacts", "status_events", "agent_executions"):
        assert runner.rows(f"select 1 from {table}") == []


@pytest.mark.parametrize(
    "claims", [{"exp": int(time.time()) - 120}, {"exp": None}, {"jti": None}], ids=["expired", "no exp", "no jti"]
)
def test_token_without_an_end_or_past_it_is_refused(world: World, claims: dict[str, Any]) -> None:
    with refused(401, "token-not-live"):
        world.functions(**claims).call("list_mailboxes_v1")


def test_claimed_role_must_be_the_real_one(world: World) -> None:
    with refused(403, "wrong-role"):
        world.functions(role="aicd_runner").call("list_mailboxes_v1")


def test_token_of_one_run_reaches_no_other(world: World) -> None:
    mine, other = world.started(), world.started()
    runner = world.runner_of(mine["run_id"])
    for verb, arguments in {
        "start_run_v1": {"ci_run_id": "100", "ci_attempt": 1},
        "record_event_v1": {"phase": "BUILD", "message": "", "metadata": {}},
        "record_execution_v1": {"execution": {"agent": "x"}},
        "record_artifact_v1": {"artifact": {}},
        "record_artifacts_v1": {"artifacts": [{}]},
        "describe_earlier_run_v1": {"base": "a" * 40},
        "record_pull_request_v1": {"pull_request": {}},
        "finish_run_v1": {"result": "FAILED", "summary": {}},
    }.items():
        with refused(404, "run-not-found"):
            runner.call(verb, run_id=other["run_id"], **arguments)
        with refused(404, "run-not-found"):
            runner.call(verb, run_id=str(uuid.uuid4()), **arguments)


def test_project_token_reaches_its_projects_runs_only(world: World) -> None:
    world.settle("acme/other")
    mine, other = world.ingest(), world.ingest(repo="acme/other")
    runner = world.runner(project_id=world.projects["acme/shop"])
    answer = runner.call("start_run_v1", run_id=mine["run_id"], ci_run_id="1", ci_attempt=1)
    assert answer["outcome"] == "started"
    with refused(404, "run-not-found"):
        runner.call("start_run_v1", run_id=other["run_id"], ci_run_id="1", ci_attempt=1)
    assert runner.rows("select id::text from runs") == [(mine["run_id"],)]


def test_runner_token_without_a_project_reaches_nothing(world: World) -> None:
    made = world.ingest()
    runner = world.runner()
    with refused(404, "run-not-found"):
        runner.call("start_run_v1", run_id=made["run_id"], ci_run_id="1", ci_attempt=1)
    assert runner.rows("select 1 from runs") == []


def test_project_claim_must_fit_the_run_claim(world: World) -> None:
    made = world.ingest()
    with refused(404, "run-not-found"):
        start(world, made["run_id"], project_id=str(uuid.uuid4()))


@pytest.mark.parametrize("claim", ["run_id", "project_id", "spec_id"])
def test_malformed_claim_is_refused_and_not_read_as_absent(world: World, claim: str) -> None:
    made = world.ingest()
    with refused(401, "token-malformed"):
        start(world, made["run_id"], **{claim: "*"})
    with pytest.raises(psycopg.DatabaseError):
        world.runner_of(made["run_id"], **{"run_id": None, claim: "*"}).rows("select 1 from runs")


BUILD_VERBS = {"record_execution_v1": {"execution": {"agent": "x"}}}
PUBLISH_VERBS = {
    "record_pull_request_v1": {"pull_request": {"branch": "b"}},
    "record_event_v1": {"phase": "TESTS_PASSED", "message": "", "metadata": {}},
    "finish_run_v1": {"result": "FAILED", "summary": {}},
}


@pytest.mark.parametrize(
    ("scope", "closed", "open_"),
    [("build", PUBLISH_VERBS, BUILD_VERBS), ("publish", BUILD_VERBS, PUBLISH_VERBS), ("other", BUILD_VERBS, {}),
     ("other", PUBLISH_VERBS, {})],
)  # fmt: skip
def test_scope_closes_the_other_half(world: World, scope: str, closed: dict[str, Any], open_: dict[str, Any]) -> None:
    made = world.started()
    runner = world.runner_of(made["run_id"], scope=scope)
    for verb, arguments in closed.items():
        with refused(403, "wrong-scope"):
            runner.call(verb, run_id=made["run_id"], **arguments)
    for verb, arguments in open_.items():
        runner.call(verb, run_id=made["run_id"], **arguments)


def test_both_halves_record_events(world: World) -> None:
    made = world.started()
    for scope in ("build", "publish"):
        world.runner_of(made["run_id"], scope=scope).call(
            "record_event_v1", run_id=made["run_id"], phase="TESTING", message="", metadata={}
        )
    with refused(403, "wrong-scope"):
        start(world, made["run_id"], scope="publish")
