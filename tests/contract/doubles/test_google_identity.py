"""The Google double's identity as google-auth sees it."""

from __future__ import annotations

import pytest
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport.requests import Request
from google.oauth2 import id_token
from google.oauth2.credentials import Credentials

from tests.contract.doubles.conftest import Double

READ = "https://www.googleapis.com/auth/gmail.readonly"


def credentials(google: Double, email: str, **changes: object) -> Credentials:
    account = google.control("accounts", email=email)
    known = {name: account[name] for name in ("refresh_token", "client_id", "client_secret", "token_uri")}
    return Credentials(None, **(known | changes))


def test_refresh_grant_gives_a_working_access_token(google: Double) -> None:
    found = credentials(google, "bot@example.com")
    found.refresh(Request())
    assert found.valid and found.token.startswith("ya29.")
    headers = {"authorization": f"Bearer {found.token}"}
    profile = google.client.get("/gmail/v1/users/me/profile", headers=headers)
    assert profile.json()["emailAddress"] == "bot@example.com"


@pytest.mark.parametrize("change", [{"refresh_token": "1//wrong"}, {"client_secret": "wrong"}])
def test_unknown_grant_or_client_is_refused(google: Double, change: dict[str, str]) -> None:
    with pytest.raises(RefreshError):
        credentials(google, "bot@example.com", **change).refresh(Request())


def test_narrow_scope_cannot_send(google: Double) -> None:
    found = credentials(google, "bot@example.com", scopes=[READ])
    found.refresh(Request())
    headers = {"authorization": f"Bearer {found.token}"}
    answer = google.client.post("/gmail/v1/users/me/messages/send", json={"raw": "aGk"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["status"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("token", [None, "ya29.forged.token", "ya29.00.aa"])
def test_unknown_access_token_is_401_in_googles_shape(google: Double, token: str | None) -> None:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = google.client.get("/gmail/v1/users/me/profile", headers=headers)
    assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_access_token_ends_with_its_hour_and_its_grant(google: Double) -> None:
    found = credentials(google, "leaver@example.com")
    found.refresh(Request())
    headers = {"authorization": f"Bearer {found.token}"}
    google.control("accounts", email="leaver@example.com", revoked=True)
    assert google.client.get("/gmail/v1/users/me/profile", headers=headers).status_code == 401
    with pytest.raises(RefreshError):
        found.refresh(Request())


def test_foreign_mailbox_is_forbidden(google: Double) -> None:
    found = credentials(google, "bot@example.com")
    found.refresh(Request())
    headers = {"authorization": f"Bearer {found.token}"}
    assert google.client.get("/gmail/v1/users/ann@example.com/profile", headers=headers).status_code == 403


def test_id_token_verifies_against_the_published_certificates(google: Double) -> None:
    token = google.control("id-token", audience="https://f.example", email="tick@x.iam.gserviceaccount.com")["token"]
    claims = id_token.verify_token(token, Request(), "https://f.example", f"{google.url}/oauth2/v1/certs")
    assert (claims["email"], claims["email_verified"]) == ("tick@x.iam.gserviceaccount.com", True)
    assert claims["iss"] == "https://accounts.google.com"


@pytest.mark.parametrize(
    "order",
    [
        {"signing": "stranger"},
        {"signing": "none"},
        {"signing": "hs256-public"},
        {"signing": "broken"},
        {"claims": {"exp": 1}},
        {"claims": {"aud": "https://other.example"}},
        {"header": {"kid": "unknown"}},
    ],
)
def test_hostile_id_token_does_not_verify(google: Double, order: dict[str, object]) -> None:
    token = google.control("id-token", audience="https://f.example", **order)["token"]
    with pytest.raises((GoogleAuthError, ValueError)):
        id_token.verify_token(token, Request(), "https://f.example", f"{google.url}/oauth2/v1/certs")


def test_token_request_with_an_unknown_field_is_recorded(google: Double) -> None:
    answer = google.client.post("/token", data={"grant_type": "refresh_token", "refreshtoken": "x"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "refreshtoken" in google.clear()[0]["details"][0]
