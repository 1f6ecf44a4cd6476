"""Several mailboxes: whose credentials open which, and what is said where there are none."""

from __future__ import annotations

import json

import pytest
from google.auth.exceptions import RefreshError, TransportError

from controlplane.errors import NotFound, OutsideError
from functions._shared.gmail import errors as gmail
from functions._shared.gmail.credentials import Delegation, Grant
from functions._shared.settings import Environment, GoogleSettings, Misconfigured

CLIENT = {"GMAIL_CLIENT_ID": "id", "GMAIL_CLIENT_SECRET": "client-canary"}
KEY = {"client_email": "sa@p.iam.gserviceaccount.com", "private_key": "key-canary", "token_uri": "https://t.example/"}


def read(**variables: str) -> GoogleSettings:
    environment = Environment(variables)
    settings = GoogleSettings.read(environment)
    environment.check()
    return settings


def test_each_mailbox_is_opened_by_its_own_token_then_by_the_service_account_then_by_the_one_token() -> None:
    tokens = json.dumps({"A@one.example": "token-a", "b@one.example": "token-b"})
    more = {"GMAIL_REFRESH_TOKEN": "token-c", "GMAIL_DELEGATED_DOMAINS": "two.example, Three.example"}
    found = read(**CLIENT, **more, GMAIL_REFRESH_TOKENS=tokens, GMAIL_SERVICE_ACCOUNT=json.dumps(KEY)).credentials

    def opened(email: str) -> str:
        credential = found.of(email)
        return credential.refresh_token.get_secret_value() if isinstance(credential, Grant) else "delegation"

    mailboxes = ("a@one.example", "B@ONE.example", "c@three.example", "d@two.example", "e@else.example")
    assert [opened(email) for email in mailboxes] == ["token-a", "token-b", "delegation", "delegation", "token-c"]


def test_service_account_alone_needs_no_oauth_client_and_acts_for_every_domain() -> None:
    credential = read(GMAIL_SERVICE_ACCOUNT=json.dumps(KEY)).credentials.of("a@any.example")
    assert isinstance(credential, Delegation)
    assert credential.token_uri == "https://t.example/"


def test_token_of_another_oauth_client_brings_its_client_along() -> None:
    entry = {"refresh_token": "t", "client_id": "other", "client_secret": "s"}
    credential = read(GMAIL_REFRESH_TOKENS=json.dumps({"a@one.example": entry})).credentials.of("a@one.example")
    assert isinstance(credential, Grant)
    assert (credential.client_id, credential.refresh_token.get_secret_value()) == ("other", "t")


def test_mailbox_without_credentials_is_told_how_to_get_them() -> None:
    settings = read(GMAIL_SERVICE_ACCOUNT=json.dumps(KEY), GMAIL_DELEGATED_DOMAINS="two.example")
    with pytest.raises(gmail.MailboxUnusable) as caught:
        settings.credentials.of("a@one.example")
    assert caught.value.code == "gmail-no-credentials"
    assert "aicd gmail authorize --mailbox a@one.example" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GMAIL_REFRESH_TOKENS", "{"),
        ("GMAIL_REFRESH_TOKENS", "[]"),
        ("GMAIL_REFRESH_TOKENS", '{"a@b": 1}'),
        ("GMAIL_REFRESH_TOKENS", '{"a@b": {"refresh_token": "x"}}'),
        ("GMAIL_REFRESH_TOKENS", "[" * 100_000),
        ("GMAIL_SERVICE_ACCOUNT", "{}"),
        ("GMAIL_SERVICE_ACCOUNT", '{"client_email": "a", "private_key": "", "token_uri": "b"}'),
        ("GMAIL_REFRESH_TOKEN", " "),
    ],
    ids=lambda value: str(value)[:40],
)
def test_variable_that_cannot_be_read_is_named(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        read(**CLIENT, **{name: value})


def test_no_secret_is_in_a_repr() -> None:
    tokens = json.dumps({"a@one.example": "token-canary"})
    shown = repr(read(**CLIENT, GMAIL_REFRESH_TOKENS=tokens, GMAIL_SERVICE_ACCOUNT=json.dumps(KEY)))
    assert "canary" not in shown


def test_private_key_that_is_none_is_a_mailbox_error_and_no_trace() -> None:
    credential = read(GMAIL_SERVICE_ACCOUNT=json.dumps(KEY)).credentials.of("a@any.example")
    with pytest.raises(gmail.MailboxUnusable, match="private key"):
        credential.open("a@any.example")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("invalid_grant", "Testing"),
        ("invalid_client", "GMAIL_CLIENT_SECRET"),
        ("unauthorized_client", "Domain-wide delegation"),
        ("invalid_scope", "gmail.readonly"),
        ("admin_policy_enforced", "administrator"),
        ("something_new", "something_new"),
    ],
)
def test_refused_token_names_its_fix(word: str, says: str) -> None:
    refused = RefreshError(f"{word}: whatever Google says", {"error": word, "error_description": "canary"})
    error = gmail.translate_credentials(refused)
    assert isinstance(error, gmail.MailboxUnusable)
    assert says in str(error)
    assert "canary" not in str(error)


def test_token_endpoint_that_is_away_is_no_dead_token() -> None:
    for error in (TransportError("connection refused"), RefreshError("busy", {"error": "x"}, retryable=True)):
        translated = gmail.translate_credentials(error)
        assert type(translated) is OutsideError
        assert translated.code == "gmail-unreachable"


@pytest.mark.parametrize(
    ("status", "reason", "code", "says"),
    [
        (403, "forbidden", "gmail-topic", "roles/pubsub.publisher"),
        (404, "notFound", "gmail-topic", "Create it"),
        (400, "invalidArgument", "gmail-topic", "projects/PROJECT/topics/TOPIC"),
        (403, "insufficientPermissions", "gmail-forbidden", "aicd gmail authorize"),
        (403, "accessNotConfigured", "gmail-forbidden", "Enable the Gmail API"),
        (403, "domainPolicy", "gmail-forbidden", "administrator"),
        (400, "failedPrecondition", "gmail-no-mailbox", "no Gmail"),
        (429, "rateLimitExceeded", "gmail-unavailable", "quota"),
    ],
)
def test_watch_that_is_refused_says_what_is_wrong_with_the_topic(
    status: int, reason: str, code: str, says: str
) -> None:
    error = gmail.translate_watch(gmail.translate_status(status, reason, {}), "projects/p/topics/t")
    assert error.code == code
    assert says in str(error)
    assert not isinstance(error, NotFound)


@pytest.mark.parametrize(
    ("reason", "headers", "seconds"),
    [
        ("userRateLimitExceeded", {"Retry-After": "17"}, 17),
        ("userRateLimitExceeded", {}, None),
        ("dailyLimitExceeded", {}, 3_600),
        ("dailyLimitExceeded", {"Retry-After": "60"}, 60),
    ],
)
def test_quota_says_how_long_to_wait(reason: str, headers: dict[str, str], seconds: float | None) -> None:
    error = gmail.translate_status(403, reason, headers)
    assert isinstance(error, OutsideError)
    assert error.retry_after_seconds == seconds
