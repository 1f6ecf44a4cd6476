"""Environment → settings: all problems at once, no secret in sight."""

from __future__ import annotations

import pytest

from functions._shared.settings import CallerSettings, Environment, GoogleSettings, Misconfigured, SupabaseSettings

COMPLETE = {
    "SUPABASE_URL": "https://x.supabase.co",
    "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_x",
    "AICD_FUNCTIONS_TOKEN": "token-canary",
    "GMAIL_CLIENT_ID": "id",
    "GMAIL_CLIENT_SECRET": "client-canary",
    "GMAIL_REFRESH_TOKEN": "refresh-canary",
}


def test_every_missing_variable_is_named_at_once() -> None:
    environment = Environment({"SUPABASE_URL": "ftp://x", "AICD_FUNCTIONS_TOKEN": "  "})
    SupabaseSettings.read(environment)
    GoogleSettings.read(environment)
    CallerSettings.read(environment, "AICD_PUSH")
    environment.seconds("AICD_POLL_AFTER_SECONDS", 5)
    with pytest.raises(Misconfigured) as caught:
        environment.check()
    for name in (
        "SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "AICD_FUNCTIONS_TOKEN", "GMAIL_CLIENT_ID", "GMAIL_CLIENT_SECRET",
        "GMAIL_REFRESH_TOKEN", "AICD_PUSH_AUDIENCE", "AICD_PUSH_SERVICE_ACCOUNT",
    ):  # fmt: skip
        assert name in caught.value.message
    assert "POLL" not in caught.value.message


def test_defaults_are_googles_own_addresses() -> None:
    google = GoogleSettings.read(Environment(COMPLETE))
    assert google.api_endpoint == "https://gmail.googleapis.com/"
    assert google.token_uri == "https://oauth2.googleapis.com/token"


def test_secrets_are_not_in_the_repr() -> None:
    environment = Environment(COMPLETE)
    shown = repr(SupabaseSettings.read(environment)) + repr(GoogleSettings.read(environment))
    assert "canary" not in shown


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "abc", "99999999999"])
def test_seconds_that_are_not_are_refused(value: str) -> None:
    environment = Environment({"N": value})
    environment.seconds("N", 5)
    with pytest.raises(Misconfigured):
        environment.check()
