"""dispatch against the GitHub double and the real outbox: one run on GitHub for each of ours, whatever breaks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.administration import Administration

DISPATCH = "actions/create-workflow-dispatch"


def ci_runs(line: Any, run_id: str) -> list[dict[str, Any]]:
    return [run for run in line.world.github.get("runs") if run_id in str(run)]


def outbox(line: Any, kind: str = "dispatch") -> tuple[str, int, str | None]:
    return line.rows("select state, attempts, last_error from public.outbox where kind = %s", kind)[0]


def test_run_is_started_with_ids_only_and_bound(line: Any) -> None:
    made = line.ingest()
    answer = line.call(line.function("dispatch"))
    assert (answer.status_code, answer.json["data"]["finished"]) == (200, 1)
    [run] = ci_runs(line, made["run_id"])
    assert run["inputs"] == {
        "run-id": made["run_id"],
        "spec-id": made["spec_id"],
        "correlation-id": made["message_id"],
    }
    [(ci_run_id, url)] = line.rows("select ci_run_id, ci_url from public.runs where id = %s", made["run_id"])
    assert ci_run_id == str(run["id"])
    assert url.endswith(f"/actions/runs/{ci_run_id}")
    assert outbox(line)[0] == "DONE"


def test_second_call_finds_nothing_to_do(line: Any) -> None:
    made = line.ingest()
    client = line.function("dispatch")
    line.call(client)
    assert line.call(client).json["data"]["claimed"] == 0
    assert len(ci_runs(line, made["run_id"])) == 1


def test_run_bound_already_is_not_started_again(line: Any) -> None:
    made = line.ingest()
    line.store.bind_run(made["run_id"], "4711", "https://github.example/runs/4711")
    line.call(line.function("dispatch"))
    assert ci_runs(line, made["run_id"]) == []
    assert outbox(line)[0] == "DONE"


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500, "after_effect": True},
        {"kind": "truncate", "after_effect": True},
        {"kind": "garbage", "after_effect": True},
    ],
)
def test_answer_lost_after_the_start_leads_to_that_run_and_not_to_a_second(line: Any, fault: dict[str, Any]) -> None:
    made = line.ingest()
    client = line.function("dispatch")
    line.world.github.break_(DISPATCH, **fault)
    assert line.call(client).json["data"]["retried"] == 1
    assert len(ci_runs(line, made["run_id"])) == 1
    line.make_due()
    assert line.call(client).json["data"]["finished"] == 1
    [run] = ci_runs(line, made["run_id"])
    assert line.rows("select ci_run_id from public.runs where id = %s", made["run_id"]) == [(str(run["id"]),)]


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503])
def test_trouble_that_may_pass_is_tried_again_later(line: Any, status: int) -> None:
    made = line.ingest()
    client = line.function("dispatch")
    line.world.github.break_(DISPATCH, status=status)
    assert line.call(client).json["data"]["retried"] == 1
    state, attempts, error = outbox(line)
    assert (state, attempts) == ("PENDING", 1)
    assert error
    line.make_due()
    assert line.call(client).json["data"]["finished"] == 1
    assert len(ci_runs(line, made["run_id"])) == 1


def test_retry_after_is_kept(line: Any) -> None:
    line.ingest()
    line.world.github.break_(DISPATCH, status=429, retry_after=1_000)
    line.call(line.function("dispatch"))
    [(seconds,)] = line.rows(
        "select extract(epoch from next_attempt_at - now()) from public.outbox where kind='dispatch'"
    )
    assert 900 < seconds < 1_100


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("update public.projects set workflow = 'absent.yml'", "workflow-not-found"),
        ("update public.projects set default_branch = 'nowhere'", "workflow-refused"),
    ],
)
def test_project_that_cannot_be_built_fails_the_run_and_tells_the_requester_why(line: Any, sql: str, code: str) -> None:
    made = line.ingest()
    line.database.execute(sql)
    line.call(line.function("dispatch"))
    [(result, summary)] = line.rows("select result, summary_json from public.runs where id = %s", made["run_id"])
    assert (result, summary["error"]["code"]) == ("FAILED", code)
    assert "aicd init" in summary["error"]["message"]
    assert outbox(line)[0] == "DONE"
    assert line.rows("select count(*) from public.outbox where payload ->> 'template' = 'report'") == [(1,)]


def set_policy(line: Any, **policy: Any) -> None:
    line.database.execute("update public.projects set policy = %s", (json.dumps(policy),))


def test_run_without_money_left_fails_before_github_is_asked_and_its_requester_hears_why(line: Any) -> None:
    set_policy(line, budget_usd_day=0)
    made = line.ingest()
    answer = line.call(line.function("dispatch"))
    assert answer.json["data"]["finished"] == 1
    assert ci_runs(line, made["run_id"]) == []
    [(result, error)] = line.rows("select result, summary_json -> 'error' from public.runs")
    assert (result, error["code"]) == ("FAILED", "budget-exceeded")
    assert "0.00 USD a day" in error["message"]
    [(report,)] = line.rows("select id::text from public.outbox where payload ->> 'template' = 'report'")
    assert line.store.describe_notice(report)["run"]["summary_json"]["error"] == error
    assert line.call(line.function("notify")).json["data"]["finished"] == 2


def test_run_beyond_the_projects_number_waits_for_a_place_without_an_attempt_counted(line: Any) -> None:
    set_policy(line, max_parallel_runs=1)
    first, second = line.ingest(), line.ingest()
    client = line.function("dispatch")
    counts = line.call(client).json["data"]
    assert (counts["finished"], counts["postponed"]) == (1, 1)
    [(waiting,)] = line.rows("select id::text from public.runs where reserved_at is null")
    assert ci_runs(line, waiting) == []
    [(attempts, reason)] = line.rows(
        "select attempts, last_error from public.outbox where kind = 'dispatch' and state = 'PENDING'"
    )
    assert (attempts, "too-many-runs" in reason) == (0, True)
    [busy] = {first["run_id"], second["run_id"]} - {waiting}
    line.store.abandon_run(busy, "over", "It is over.")
    line.make_due()
    line.call(client)
    assert len(ci_runs(line, waiting)) == 1


def cancelled(line: Any) -> tuple[dict[str, Any], int]:
    """A run that GitHub carries out, of a specification that was cancelled."""
    made = line.ingest()
    line.call(line.function("dispatch"))
    [run] = ci_runs(line, made["run_id"])
    with Administration(line.world.db_url) as operator:
        operator.cancel_spec(made["spec_id"], "not needed")
    return made, int(run["id"])


def test_cancelled_specification_stops_its_run_on_github(line: Any) -> None:
    made, ci_run_id = cancelled(line)
    line.call(line.function("dispatch"))
    [run] = ci_runs(line, made["run_id"])
    assert (run["conclusion"], run["cancel_requested"]) == ("cancelled", True)
    [(state, result)] = line.rows("select state, result from public.outbox where kind = 'cancel'")
    assert (state, result["outcome"], result["ci_run_id"]) == ("DONE", "stopped", str(ci_run_id))


def test_run_that_is_over_or_gone_leaves_nothing_to_stop(line: Any) -> None:
    _, ci_run_id = cancelled(line)
    line.world.github.post(f"runs/{ci_run_id}", status="completed", conclusion="success")
    cancelled(line)
    line.world.github.break_("actions/get-workflow-run", status=404, times=1)
    line.call(line.function("dispatch"))
    rows = line.rows("select state, result ->> 'outcome' from public.outbox where kind = 'cancel'")
    assert rows == [("DONE", "nothing-to-stop")] * 2


@pytest.mark.parametrize("operation", ["actions/get-workflow-run", "actions/cancel-workflow-run"])
@pytest.mark.parametrize("status", [403, 500])
def test_stop_that_github_cannot_carry_out_now_is_asked_for_again(line: Any, operation: str, status: int) -> None:
    made, _ = cancelled(line)
    client = line.function("dispatch")
    line.world.github.break_(operation, status=status)
    assert line.call(client).json["data"]["retried"] == 1
    line.make_due()
    line.call(client)
    assert ci_runs(line, made["run_id"])[0]["conclusion"] == "cancelled"


def test_tick_stops_runs_too(line: Any) -> None:
    made, _ = cancelled(line)
    assert line.call(line.function("tick")).json["data"]["cancel"]["finished"] == 1
    assert ci_runs(line, made["run_id"])[0]["conclusion"] == "cancelled"


def test_token_without_rights_is_named_and_waited_for(line: Any) -> None:
    line.ingest()
    token = line.world.github.post("tokens", permissions={"metadata": "read"})["token"]
    line.call(line.function("dispatch", AICD_GITHUB_TOKEN=token))
    state, _, error = outbox(line)
    assert state == "PENDING"
    assert "Actions: write" in str(error)


def test_github_that_cannot_be_reached_is_tried_again(line: Any) -> None:
    line.ingest()
    line.call(line.function("dispatch", GITHUB_API_URL="http://127.0.0.1:9"))
    assert "github-unreachable" in str(outbox(line)[2])


@pytest.mark.parametrize("headers", [{}, {"X-Aicd-Signature": "sha256=00"}, {"Authorization": "Bearer x.y.z"}])
def test_stranger_gets_401_and_nothing_happens(line: Any, headers: dict[str, str]) -> None:
    line.ingest()
    answer = line.function("dispatch").post("/", data=b"{}", headers=headers)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (401, "not-authenticated")
    assert outbox(line)[1] == 0


def test_scheduler_may_call_with_its_own_token(line: Any) -> None:
    line.ingest()
    token = line.id_token("https://tick.example/", "scheduler@project.iam.gserviceaccount.com")
    answer = line.function("dispatch").post("/", headers={"Authorization": f"Bearer {token}"})
    assert answer.json["data"]["finished"] == 1


def test_correlation_id_is_in_the_answer_and_its_header(line: Any) -> None:
    answer = line.call(line.function("dispatch"))
    assert answer.json["meta"]["correlation_id"] == answer.headers["X-Correlation-Id"]
    assert answer.json["errors"] == []
