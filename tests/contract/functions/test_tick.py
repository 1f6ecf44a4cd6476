"""tick, the safety net: lost work is found, watches are renewed, and one failing task does not stop the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any


def test_work_that_nobody_was_told_of_is_done(line: Any) -> None:
    made = line.ingest()
    data = line.call(line.function("tick")).json["data"]
    assert (data["dispatch"]["finished"], data["notify"]["finished"]) == (1, 1)
    assert line.rows("select ci_run_id is not null from public.runs where id = %s", made["run_id"]) == [(True,)]
    assert len(line.sent()) == 1


def test_watch_that_is_missing_is_started_and_its_id_begins_the_cursor(line: Any) -> None:
    data = line.call(line.function("tick")).json["data"]
    assert data["mailboxes"]["watches_renewed"] == 1
    [(cursor, expires_at)] = line.rows("select history_id, watch_expires_at from public.mailboxes")
    assert cursor is not None
    assert expires_at > datetime.now(UTC) + timedelta(days=6)


def test_watch_is_renewed_once_a_day_and_not_each_minute(line: Any) -> None:
    client = line.function("tick")
    line.call(client)
    assert line.call(client).json["data"]["mailboxes"]["watches_renewed"] == 0
    line.database.execute("update public.mailboxes set watch_expires_at = now() + interval '5 days 23 hours'")
    assert line.call(client).json["data"]["mailboxes"]["watches_renewed"] == 1


def test_mailbox_is_polled_only_when_no_push_came_for_a_while(line: Any) -> None:
    client = line.function("tick")
    assert line.call(client).json["data"]["mailboxes"]["polled"] == 1
    assert line.call(client).json["data"]["mailboxes"]["polled"] == 0
    line.database.execute("update public.mailboxes set last_push_at = now() - interval '6 minutes'")
    assert line.call(client).json["data"]["mailboxes"]["polled"] == 1


def test_dead_refresh_token_is_recorded_with_its_fix_while_the_other_tasks_go_on(line: Any) -> None:
    made = line.ingest()
    line.world.google.post("accounts", email=line.mailbox, revoked=True)
    answer = line.call(line.function("tick"))
    assert answer.status_code == 503
    assert answer.json["data"]["dispatch"]["finished"] == 1
    assert line.rows("select ci_run_id is not null from public.runs where id = %s", made["run_id"]) == [(True,)]
    [(error, fix)] = line.rows("select last_error, last_error_fix from public.mailboxes")
    assert "refresh token" in error
    assert "GMAIL_REFRESH_TOKEN" in fix
    assert answer.json["errors"][0]["code"] == "gmail-credentials"
    line.world.google.problems()


def test_run_that_fell_silent_is_closed(line: Any) -> None:
    made = line.ingest()
    line.store.bind_run(made["run_id"], "1", "https://github.example/1")
    line.database.execute("update public.runs set bound_at = now() - interval '7 hours'")
    assert line.call(line.function("tick")).json["data"]["runs_closed"] == 1
    assert line.rows("select result from public.runs where id = %s", made["run_id"]) == [("FAILED",)]


def test_queued_run_is_left_alone_for_hours(line: Any) -> None:
    made = line.ingest()
    line.store.bind_run(made["run_id"], "1", "https://github.example/1")
    line.database.execute("update public.runs set bound_at = now() - interval '5 hours'")
    assert line.call(line.function("tick")).json["data"]["runs_closed"] == 0


def test_paused_sprint_that_is_due_is_dispatched_again_in_the_same_minute(line: Any) -> None:
    made = line.ingest()
    line.call(line.function("tick"))
    line.database.execute("update public.sprints set state = 'RUNNING' where spec_id = %s", (made["spec_id"],))
    line.database.execute("update public.runs set started_at = now() where id = %s", (made["run_id"],))
    line.database.execute("update public.runs set result = 'FAILED' where id = %s", (made["run_id"],))
    line.database.execute(
        "update public.sprints set state = 'PAUSED', resume_at = now() where spec_id = %s", (made["spec_id"],)
    )
    data = line.call(line.function("tick")).json["data"]
    assert (data["sprints_woken"], data["dispatch"]["finished"]) == (1, 1)
    bound = line.rows(
        "select attempt, ci_run_id is not null from public.runs where spec_id = %s order by 1", made["spec_id"]
    )
    assert bound == [(1, True), (2, True)]


def test_object_without_a_row_goes_after_a_day(line: Any) -> None:
    path = line.store.put_spec("6f2d1e0c-0000-4000-8000-000000000001", b"meta: {}", "application/yaml")
    line.database.execute("delete from private.settings where name = 'orphans_looked_for_at'")
    line.database.execute("update storage.objects set created_at = now() - interval '2 days' where name = %s", (path,))
    assert line.call(line.function("tick")).json["data"]["expired"]["objects"] == 1
    assert line.rows("select count(*) from storage.objects where name = %s", path) == [(0,)]


def test_database_that_is_away_is_503_and_not_a_trace(line: Any) -> None:
    answer = line.call(line.function("tick", SUPABASE_URL="http://127.0.0.1:9"))
    assert answer.status_code == 503
    assert "Traceback" not in answer.text


def test_missing_environment_is_named_at_once(line: Any) -> None:
    answer = line.call(line.function("tick", GMAIL_TOPIC="", SUPABASE_URL="", AICD_GITHUB_TOKEN=""))
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (500, "misconfigured")
    for name in ("GMAIL_TOPIC", "SUPABASE_URL", "AICD_GITHUB_TOKEN"):
        assert name in answer.json["errors"][0]["message"]
