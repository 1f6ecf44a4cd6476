"""Reading the environment once: strict, all problems together, and no secret in sight."""

from __future__ import annotations

from pathlib import Path

import pytest

from action.settings import read_settings
from controlplane.errors import UsageError

RUN = "3f2b1c4d-0000-4000-8000-000000000001"


def test_settings_of_an_empty_environment_are_the_defaults() -> None:
    settings = read_settings({})
    assert (settings.run.mode, settings.agent.max_iterations, settings.target.pull_request) == ("deliver", 3, "draft")
    assert not settings.uses_control_plane


def test_blank_input_counts_as_not_given() -> None:
    assert read_settings({"AICD_MAX_ITERATIONS": "", "AICD_BASE": "  "}).agent.max_iterations == 3


def test_all_problems_are_told_at_once() -> None:
    environment = {"AICD_MODE": "gaet", "AICD_MAX_ITERATIONS": "many", "AICD_AUTO_MERGE": "yes", "AICD_RUN_ID": "../x"}
    with pytest.raises(UsageError) as caught:
        read_settings(environment)
    for name in ("'mode'", "'max-iterations'", "'auto-merge'", "'run-id'"):
        assert name in str(caught.value)


@pytest.mark.parametrize("word", ["yes", "1", "on", "tRue"])
def test_boolean_in_another_spelling_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match=r"auto-merge.*neither true nor false"):
        read_settings({"AICD_AUTO_MERGE": word})


@pytest.mark.parametrize("kind", ["", "draft", "none"])
def test_merge_of_what_is_never_ready_is_refused_with_the_fix(kind: str) -> None:
    with pytest.raises(UsageError, match=r"auto-merge.*pull-request: ready"):
        read_settings({"AICD_AUTO_MERGE": "true", "AICD_PULL_REQUEST": kind})
    assert read_settings({"AICD_AUTO_MERGE": "true", "AICD_PULL_REQUEST": "ready"}).target.auto_merge


@pytest.mark.parametrize("number", ["nan", "inf", "-1"])
def test_budget_that_is_no_amount_is_refused(number: str) -> None:
    with pytest.raises(UsageError, match="max-budget-usd"):
        read_settings({"AICD_MAX_BUDGET_USD": number})


def test_control_plane_without_its_token_is_refused_with_the_fix() -> None:
    with pytest.raises(UsageError, match=r"token-url.*supabase-token.*aicd token mint"):
        read_settings({"AICD_SUPABASE_URL": "http://x", "AICD_SUPABASE_PUBLISHABLE_KEY": "p", "AICD_RUN_ID": RUN})


CONTROL = {"AICD_SUPABASE_URL": "http://x", "AICD_SUPABASE_PUBLISHABLE_KEY": "p", "AICD_RUN_ID": RUN}
IDENTITY = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://g/?v=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-canary"}
EXCHANGE = {"AICD_TOKEN_URL": "https://t.example"}


def test_identity_is_exchanged_where_the_job_may_have_one() -> None:
    secret = {"AICD_SUPABASE_TOKEN": "a-minted-token"}
    assert read_settings(CONTROL | EXCHANGE | IDENTITY).exchanges_identity
    assert read_settings(CONTROL | EXCHANGE | IDENTITY | secret).exchanges_identity
    assert not read_settings(CONTROL | EXCHANGE | secret).exchanges_identity
    assert not read_settings(CONTROL | IDENTITY | secret).exchanges_identity
    assert "request-canary" in read_settings(IDENTITY).secrets()
    assert "canary" not in repr(read_settings(IDENTITY))


def test_exchange_without_the_permission_is_refused_with_the_fix() -> None:
    with pytest.raises(UsageError, match="id-token: write"):
        read_settings(CONTROL | EXCHANGE)


@pytest.mark.parametrize(
    "url", ["http://t.example", "t.example", "ftp://127.0.0.1", "https://", "http://127.0.0.1.evil.example"]
)
def test_identity_is_never_sent_in_the_clear(url: str) -> None:
    with pytest.raises(UsageError, match=r"token-url.*https"):
        read_settings(CONTROL | IDENTITY | {"AICD_TOKEN_URL": url})


@pytest.mark.parametrize("url", ["http://127.0.0.1:54346", "http://localhost:1/", "https://t.example/x"])
def test_exchange_on_this_machine_needs_no_encryption(url: str) -> None:
    assert read_settings(CONTROL | IDENTITY | {"AICD_TOKEN_URL": url}).exchanges_identity


def test_secrets_are_in_no_text_of_the_settings() -> None:
    settings = read_settings({"AICD_GITHUB_TOKEN": "ghs_canary_0123456789", "AICD_ANTHROPIC_API_KEY": "sk-canary"})
    assert "canary" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.secrets() == ("sk-canary", "ghs_canary_0123456789")


def test_wrong_value_beside_a_secret_never_shows_the_secret() -> None:
    with pytest.raises(UsageError) as caught:
        read_settings({"AICD_GITHUB_TOKEN": "ghs_canary_0123456789", "AICD_MODE": "nope"})
    assert "canary" not in str(caught.value)


def test_reports_are_lines() -> None:
    assert read_settings({"AICD_REPORTS": "a.xml\n\n  b/*.json \n"}).judge.reports == ("a.xml", "b/*.json")


def test_run_folder_lies_in_the_runners_temporary_folder() -> None:
    assert read_settings({"RUNNER_TEMP": "/tmp/r"}).run_directory == Path("/tmp/r/aicd")
    assert read_settings({"RUNNER_TEMP": "/tmp/r", "AICD_RUN_DIR": "/tmp/own"}).run_directory == Path("/tmp/own")


def test_server_may_be_told_apart_from_the_runners_own() -> None:
    environment = {"GITHUB_SERVER_URL": "https://github.com", "AICD_GITHUB_SERVER_URL": "http://127.0.0.1:1"}
    assert read_settings(environment).github.server_url == "http://127.0.0.1:1"


def test_key_of_several_lines_is_secret_line_by_line() -> None:
    inner = "MC4CAQAwBQYDK2VwBCIEIcanarycanary"
    key = f"-----BEGIN PRIVATE KEY-----\n{inner}\n-----END PRIVATE KEY-----"
    assert read_settings({"AICD_SIGNING_KEY": key}).secrets() == (key, inner)
