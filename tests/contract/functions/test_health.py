"""health: alive without any environment, ready only when the database answers to our token."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("path", ["/health", "/health/", "/health/live", "/"])
def test_liveness_needs_nothing(line: Any, path: str) -> None:
    answer = line.function("health", SUPABASE_URL="", AICD_FUNCTIONS_TOKEN="").get(path)
    assert (answer.status_code, answer.json["data"]) == (200, {"status": "live"})


def test_ready_names_each_dependency(line: Any) -> None:
    answer = line.function("health").get("/health/ready")
    assert answer.status_code == 200
    assert answer.json["data"]["dependencies"]["supabase"]["state"] == "ready"
    assert set(answer.json) == {"data", "meta", "errors"}


def test_token_that_died_makes_it_unready_without_showing_it(line: Any) -> None:
    answer = line.function("health", AICD_FUNCTIONS_TOKEN="not-a-token-canary").get("/health/ready")
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (503, "not-ready")
    assert answer.json["data"]["dependencies"]["supabase"]["state"] == "refuses-our-token"
    assert "canary" not in answer.text


def test_database_that_is_away_makes_it_unready_within_seconds(line: Any) -> None:
    answer = line.function("health", SUPABASE_URL="http://127.0.0.1:9").get("/health/ready")
    assert answer.status_code == 503
    state = answer.json["data"]["dependencies"]["supabase"]
    assert state["state"] in ("unreachable", "too-slow")
    assert state["milliseconds"] < 2_500


def test_missing_environment_makes_it_unready_by_name(line: Any) -> None:
    answer = line.function("health", SUPABASE_URL="").get("/health/ready")
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (503, "misconfigured")
    assert "SUPABASE_URL" in answer.json["errors"][0]["message"]


@pytest.mark.parametrize(("method", "status"), [("POST", 405), ("DELETE", 405), ("GET", 404)])
def test_other_methods_and_paths_are_refused_in_the_envelope(line: Any, method: str, status: int) -> None:
    answer = line.function("health").open("/health/elsewhere", method=method)
    assert answer.status_code == status
    assert answer.json["errors"][0]["code"] in ("method-not-allowed", "not-found")
