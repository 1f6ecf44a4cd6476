"""A run's life: let in once, ended once, and the next sprint begins where it ended."""

from __future__ import annotations

import time
import uuid
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from controlplane.report import Earlier
from tests.database.world import Persona, World, forbidden, refused

pytestmark = pytest.mark.database

PULL_REQUEST = {"url": "https://github.com/acme/shop/pull/1", "number": 1, "branch": "aicd/1", "commit": "a" * 40}


def start(runner: Persona, run_id: str, ci_run_id: str = "100", ci_attempt: int = 1) -> Any:
    return runner.call("start_run_v1", run_id=run_id, ci_run_id=ci_run_id, ci_attempt=ci_attempt)


def finish(runner: Persona, run_id: str, result: str = "PASSED") -> Any:
    return runner.call("finish_run_v1", run_id=run_id, result=result, summary={"status": result})


def test_started_run_gets_all_it_needs(world: World) -> None:
    made = world.ingest()
    answer = start(world.runner_of(made["run_id"]), made["run_id"])
    assert (answer["outcome"], answer["run_id"], answer["spec_id"]) == ("started", made["run_id"], made["spec_id"])
    assert answer["sprint"]["dod_json"] == {"coverage_min": 0.8}
    assert answer["spec"]["storage_path"] == f"{made['spec_id']}/source"
    assert answer["project"]["repo"] == "acme/shop"
    assert answer["previous"] is None
    assert world.value("select state from sprints") == "RUNNING"


def test_second_ci_run_is_not_let_in(world: World) -> None:
    made = world.ingest()
    runner = world.runner_of(made["run_id"])
    outcomes = [start(runner, made["run_id"], ci)["outcome"] for ci in ("100", "101", "100")]
    assert outcomes == ["started", "already-running", "started"]


def test_bound_ci_run_is_the_one_let_in(world: World) -> None:
    made = world.ingest()
    bound = world.functions().call("bind_run_v1", run_id=made["run_id"], ci_run_id="7", url="https://ci.example/7")
    assert bound == {"ci_run_id": "7"}
    assert world.functions().call("bind_run_v1", run_id=made["run_id"], ci_run_id="8", url="") == {"ci_run_id": "7"}
    runner = world.runner_of(made["run_id"])
    assert [start(runner, made["run_id"], ci)["outcome"] for ci in ("8", "7")] == ["already-running", "started"]


def test_later_attempt_takes_over_and_the_earlier_one_is_out(world: World) -> None:
    made = world.ingest()
    runner = world.runner_of(made["run_id"])
    outcomes = [start(runner, made["run_id"], "100", attempt)["outcome"] for attempt in (1, 2, 1)]
    assert outcomes == ["started", "started", "already-running"]


def test_finished_run_is_not_started_again(world: World) -> None:
    made = world.started()
    runner = world.runner_of(made["run_id"])
    finish(runner, made["run_id"])
    assert start(runner, made["run_id"])["outcome"] == "finished"


def test_finishing_twice_is_one_result_one_report_and_the_same_answer(world: World) -> None:
    made = world.started(sprints=2)
    runner = world.runner_of(made["run_id"])
    first, second = finish(runner, made["run_id"]), finish(runner, made["run_id"])
    assert first == second
    assert first["next_run_id"] is not None
    assert world.value("select count(*) from outbox where payload ->> 'template' = 'report'") == 1
    assert world.value("select count(*) from runs") == 2


def test_other_result_after_the_end_is_refused(world: World) -> None:
    made = world.started()
    runner = world.runner_of(made["run_id"])
    finish(runner, made["run_id"], "FAILED")
    with refused(409, "run-finished"):
        finish(runner, made["run_id"], "PASSED")
    assert world.one("select result, (select state from sprints) from runs") == ("FAILED", "FAILED")


def test_next_sprint_starts_from_the_first_ones_work(world: World) -> None:
    made = world.started(sprints=3)
    runner = world.runner_of(made["run_id"])
    runner.call("record_pull_request_v1", run_id=made["run_id"], pull_request=PULL_REQUEST)
    next_run = finish(runner, made["run_id"])["next_run_id"]
    answer = start(world.runner_of(next_run), next_run, "200")
    assert answer["previous"] == {"branch": "aicd/1", "commit": "a" * 40}
    assert answer["sprint"]["label"] == "sprint-2"
    assert world.all("select state from sprints order by position") == [("DONE",), ("RUNNING",), ("PLANNED",)]


def test_failed_sprint_opens_no_next_run(world: World) -> None:
    made = world.started(sprints=2)
    assert finish(world.runner_of(made["run_id"]), made["run_id"], "FAILED") == {
        "result": "FAILED",
        "next_run_id": None,
        "next_run_ids": [],
    }
    assert world.value("select count(*) from runs") == 1


def test_run_that_was_not_started_may_fail_but_not_pass(world: World) -> None:
    made = world.ingest()
    runner = world.runner_of(made["run_id"])
    with refused(409, "run-not-started"):
        finish(runner, made["run_id"], "PASSED")
    assert finish(runner, made["run_id"], "FAILED")["result"] == "FAILED"


def test_event_with_the_same_id_is_recorded_once(world: World) -> None:
    made = world.started()
    event = {"run_id": made["run_id"], "phase": "BUILD", "message": "hello", "metadata": {"n": 1}}
    event_id = str(uuid.uuid4())
    runner = world.runner_of(made["run_id"])
    assert [str(runner.call("record_event_v1", **event, event_id=event_id)) for _ in range(2)] == [event_id] * 2
    runner.call("record_event_v1", **event)
    assert world.value("select count(*) from status_events where phase = 'BUILD'") == 2
    assert world.value("select distinct spec_id::text from status_events") == made["spec_id"]


@pytest.mark.parametrize("phase", ["SPEC_RECEIVED", "MERGED", "DEPLOYED", "PR_OPENED"])
def test_runner_does_not_record_what_is_not_its_own(world: World, phase: str) -> None:
    made = world.started()
    with refused(403, "phase-not-yours"):
        world.runner_of(made["run_id"]).call(
            "record_event_v1", run_id=made["run_id"], phase=phase, message="", metadata={}
        )


def test_execution_is_written_at_its_start_and_completed_at_its_end(world: World) -> None:
    made = world.started()
    runner = world.runner_of(made["run_id"])
    execution = {"id": str(uuid.uuid4()), "iteration": 1, "agent": "command"}
    runner.call("record_execution_v1", run_id=made["run_id"], execution=execution)
    runner.call("record_execution_v1", run_id=made["run_id"], execution=execution | {"result": "met", "cost_usd": 0.25})
    assert world.all("select result, cost_usd::float, iteration from agent_executions") == [("met", 0.25, 1)]


def test_artifact_twice_is_one_row_and_other_content_is_refused(world: World) -> None:
    made = world.started()
    runner = world.runner_of(made["run_id"])
    artifact_id = str(uuid.uuid4())
    artifact = {"id": artifact_id, "kind": "report", "name": "../../evil", "size": 3, "sha256": "a" * 64,
                "storage_path": f"{made['run_id']}/{artifact_id}"}  # fmt: skip
    for _ in range(2):
        runner.call("record_artifact_v1", run_id=made["run_id"], artifact=artifact)
    assert world.value("select count(*) from artifacts") == 1
    with refused(409, "id-taken"):
        runner.call("record_artifact_v1", run_id=made["run_id"], artifact=artifact | {"sha256": "b" * 64})
    with refused(400, "bad-storage-path"):
        runner.call("record_artifact_v1", run_id=made["run_id"], artifact=artifact | {"storage_path": "../evil"})


def test_pull_request_twice_is_one_event(world: World) -> None:
    made = world.started()
    runner = world.runner_of(made["run_id"])
    for _ in range(2):
        runner.call("record_pull_request_v1", run_id=made["run_id"], pull_request=PULL_REQUEST)
    assert world.value("select count(*) from status_events where phase = 'PR_OPENED'") == 1
    assert world.one("select branch, commit_sha, pull_request ->> 'number' from runs") == ("aicd/1", "a" * 40, "1")


def test_finished_run_takes_nothing_more(world: World) -> None:
    made = world.started()
    runner = world.runner_of(made["run_id"])
    finish(runner, made["run_id"])
    with refused(409, "run-finished"):
        runner.call("record_event_v1", run_id=made["run_id"], phase="BUILD", message="", metadata={})
    with refused(409, "run-finished"):
        runner.call("record_pull_request_v1", run_id=made["run_id"], pull_request=PULL_REQUEST)


def test_summary_of_two_megabytes_is_refused(world: World) -> None:
    made = world.started()
    with refused(413, "too-large"):
        world.runner_of(made["run_id"]).call(
            "finish_run_v1", run_id=made["run_id"], result="PASSED", summary={"log": "x" * 2_000_000}
        )


def test_abandoned_run_is_reported_and_stays_as_it_is(world: World) -> None:
    made = world.ingest()
    for code in ("workflow-missing", "other"):
        answer = world.functions().call("abandon_run_v1", run_id=made["run_id"], code=code, reason="There is none.")
        assert answer == {"result": "FAILED"}
    assert world.value("select summary_json #>> '{error,code}' from runs") == "workflow-missing"
    assert world.value("select count(*) from outbox where payload ->> 'template' = 'report'") == 1


def test_silent_runs_are_closed_and_speaking_or_waiting_ones_are_not(world: World) -> None:
    silent, bound, speaking, waiting, paused = (
        world.started(), world.ingest(), world.started(), world.ingest(), world.started()
    )  # fmt: skip
    world.functions().call("bind_run_v1", run_id=bound["run_id"], ci_run_id="5", url="")
    world.execute("update sprints set state = 'PAUSED' where spec_id = %s", paused["spec_id"])
    time.sleep(1.2)
    world.runner_of(speaking["run_id"]).call(
        "record_event_v1", run_id=speaking["run_id"], phase="BUILD", message="", metadata={}
    )
    assert [world.functions().call("close_dead_runs_v1", older_than_seconds=1) for _ in range(2)] == [2, 0]
    closed = {row[0] for row in world.all("select id::text from runs where result = 'FAILED'")}
    assert closed == {silent["run_id"], bound["run_id"]}
    assert waiting["run_id"] not in closed


def test_described_run_tells_dispatch_where_to_go(world: World) -> None:
    made = world.ingest()
    described = world.functions().call("describe_run_v1", run_id=made["run_id"])
    assert described["project"]["repo"] == "acme/shop"
    assert (described["project"]["default_branch"], described["project"]["workflow"]) == ("main", "aicd.yml")
    assert (described["sprint_label"], described["ci_run_id"], described["result"]) == ("sprint-1", None, None)
    with refused(404, "run-not-found"):
        world.functions().call("describe_run_v1", run_id=str(uuid.uuid4()))


def test_notice_of_a_finished_run_holds_mail_run_and_artifacts(world: World) -> None:
    made = world.started()
    runner = world.runner_of(made["run_id"])
    artifact_id = str(uuid.uuid4())
    path = f"{made['run_id']}/{artifact_id}"
    runner.call("record_artifact_v1", run_id=made["run_id"],
                artifact={"id": artifact_id, "kind": "report", "storage_path": path})  # fmt: skip
    finish(runner, made["run_id"])
    (outbox_id,) = world.one("select id::text from outbox where payload ->> 'template' = 'report'")
    notice = world.functions().call("describe_notice_v1", outbox_id=outbox_id)
    assert (notice["template"], notice["recipient"], notice["mailbox_email"]) == (
        "report",
        "ada@example.com",
        "specs@example.org",
    )
    assert notice["run"]["summary_json"] == {"status": "PASSED"}
    assert [one["storage_path"] for one in notice["artifacts"]] == [path]
    assert notice["spec"]["id"] == made["spec_id"]
    assert (notice["sprint"]["label"], notice["gmail_thread_id"]) == ("sprint-1", "t-1")


def test_notice_of_an_invalid_mail_holds_its_problems(world: World) -> None:
    problems = [{"path": "planning", "line": 3, "column": 1, "message": "missing"}]
    world.functions().call("record_message_v1", message=world.mail(state="INVALID", problems=problems))
    notice = world.functions().call("describe_notice_v1", outbox_id=world.one("select id::text from outbox")[0])
    assert (notice["template"], notice["problems"], notice["spec"], notice["run"]) == (
        "spec_invalid",
        problems,
        None,
        None,
    )


@pytest.mark.parametrize("verb", ["start_run_v1", "finish_run_v1", "record_event_v1"])
def test_runner_verbs_are_closed_to_everybody_else(world: World, verb: str) -> None:
    made = world.started()
    arguments: dict[str, Any] = {
        "start_run_v1": {"ci_run_id": "1", "ci_attempt": 1},
        "finish_run_v1": {"result": "FAILED", "summary": {}},
        "record_event_v1": {"phase": "BUILD", "message": "", "metadata": {}},
    }[verb]
    for outsider in (world.functions(), world.member_of(world.projects["acme/shop"], "maintainer"), world.anonymous()):
        with forbidden():
            outsider.call(verb, run_id=made["run_id"], **arguments)


def test_artifact_in_a_bucket_is_described_with_its_place(world: World) -> None:
    made = world.started()
    runner = world.runner_of(made["run_id"])
    artifact_id = str(uuid.uuid4())
    artifact = {"id": artifact_id, "kind": "log", "name": "a.log", "storage_path": f"{made['run_id']}/{artifact_id}",
                "store": "s3://acme-evidence/aicd", "encoding": "gzip"}  # fmt: skip
    runner.call("record_artifact_v1", run_id=made["run_id"], artifact=artifact)
    finish(runner, made["run_id"])
    [report] = [one for one in world.functions().call("claim_outbox_v1", kinds=["notify"], limit=9, lease_seconds=60)
                if one["payload"]["template"] == "report"]  # fmt: skip
    [told] = world.functions().call("describe_notice_v1", outbox_id=report["id"])["artifacts"]
    assert (told["store"], told["encoding"]) == ("s3://acme-evidence/aicd", "gzip")


def test_many_artifacts_are_noted_in_one_call_or_none_of_them(world: World) -> None:
    made = world.started()
    runner = world.runner_of(made["run_id"])
    ids = [str(uuid.uuid4()) for _ in range(3)]
    artifacts = [{"id": one, "kind": "log", "name": one, "storage_path": f"{made['run_id']}/{one}"} for one in ids]
    assert runner.call("record_artifacts_v1", run_id=made["run_id"], artifacts=Jsonb([])) == []
    assert runner.call("record_artifacts_v1", run_id=made["run_id"], artifacts=artifacts[:2]) == ids[:2]
    with refused(400, "bad-storage-path"):
        evil = {"id": str(uuid.uuid4()), "kind": "log", "storage_path": "../evil"}
        runner.call("record_artifacts_v1", run_id=made["run_id"], artifacts=[artifacts[2], evil])
    assert world.value("select count(*) from artifacts") == 2


def passed_run(world: World, commit: str, coverage: float, **over: str) -> None:
    made = world.started(**over)
    runner = world.runner_of(made["run_id"])
    runner.call("record_pull_request_v1", run_id=made["run_id"], pull_request={"branch": "b", "commit": commit})
    summary = {"verdict": {"coverage": coverage, "tests": {"total": 9, "passed": 8}}, "duration_seconds": 61.5,
               "lighthouse": {"score": None}, "secret": "of another run"}  # fmt: skip
    runner.call("finish_run_v1", run_id=made["run_id"], result="PASSED", summary=summary)


def test_earlier_figures_are_the_bases_else_those_of_the_last_run_that_passed(world: World) -> None:
    mine = world.started()
    runner = world.runner_of(mine["run_id"])
    assert runner.call("describe_earlier_run_v1", run_id=mine["run_id"], base="a" * 40) is None
    for commit, coverage in (("a" * 40, 0.5), ("b" * 40, 0.75)):
        passed_run(world, commit, coverage)
    last = runner.call("describe_earlier_run_v1", run_id=mine["run_id"], base="c" * 40)
    assert (last["commit"], last["is_base"], last["coverage"]) == ("b" * 40, False, 0.75)
    base = runner.call("describe_earlier_run_v1", run_id=mine["run_id"], base="a" * 40)
    assert (base["commit"], base["is_base"], base["coverage"]) == ("a" * 40, True, 0.5)
    assert set(base) == {"commit", "finished_at", "is_base", "tests", "passed", "coverage", "e2e_passed",
                         "lighthouse_score", "duration_seconds"}  # fmt: skip
    assert (base["tests"], base["passed"], base["e2e_passed"], base["duration_seconds"]) == (9, 8, None, 61.5)
    assert Earlier.model_validate(base).coverage == 0.5


def test_another_projects_figures_are_nobodys_earlier_ones(world: World) -> None:
    world.settle("acme/other")
    passed_run(world, "a" * 40, 0.5, repo="acme/other")
    mine = world.started()
    runner = world.runner_of(mine["run_id"])
    assert runner.call("describe_earlier_run_v1", run_id=mine["run_id"], base="a" * 40) is None


@pytest.mark.parametrize(
    "place", [{"store": "https://evil.example"}, {"store": "s3://a/../b/c"}, {"store": "s3://bucket/x y"},
              {"store": "s3://bucket//x"}, {"store": ""}, {"encoding": "br"}],
)  # fmt: skip
def test_artifact_in_no_place_that_we_know_is_refused(world: World, place: dict[str, str]) -> None:
    made = world.started()
    artifact_id = str(uuid.uuid4())
    artifact = {"id": artifact_id, "kind": "log", "name": "a", "storage_path": f"{made['run_id']}/{artifact_id}"}
    with pytest.raises(psycopg.errors.CheckViolation):
        world.runner_of(made["run_id"]).call("record_artifact_v1", run_id=made["run_id"], artifact=artifact | place)
