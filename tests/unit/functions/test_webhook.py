"""The database webhook's HMAC, over the raw bytes."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from controlplane.errors import NotAuthenticated
from functions._shared.callers.webhook import sign_webhook, verify_webhook

SECRET = SecretStr("s3cret-of-the-outbox")
BODY = b'{"type":"INSERT","record":{"id":"1","kind":"dispatch"}}'
NOW = 1_800_000_000


def headers(timestamp: str = str(NOW), signature: str | None = None) -> dict[str, str]:
    given = sign_webhook(SECRET, int(timestamp), BODY) if signature is None else signature
    return {"X-Aicd-Timestamp": timestamp, "X-Aicd-Signature": given}


def verify(given: dict[str, str], body: bytes, now: float) -> None:
    verify_webhook(SECRET, given.get("X-Aicd-Timestamp", ""), given.get("X-Aicd-Signature", ""), body, now)


@pytest.mark.parametrize("age", [-300, 0, 300])
def test_signed_body_is_accepted_within_five_minutes(age: int) -> None:
    verify(headers(), BODY, NOW + age)


def test_signature_is_the_published_one() -> None:
    """Computed apart with `openssl dgst -sha256 -hmac`, so that both halves keep to the same text."""
    wanted = "sha256=d98e78d210533be761a22638380ee244746382fd15edd672f3fbdaea75fbca84"
    assert sign_webhook(SECRET, NOW, BODY) == wanted


GOOD = sign_webhook(SECRET, NOW, BODY)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"X-Aicd-Timestamp": str(NOW)},
        {"X-Aicd-Signature": GOOD},
        headers(signature=""),
        headers(signature=GOOD[:-1]),
        headers(signature=GOOD.removeprefix("sha256=")),
        headers(signature=GOOD.replace("sha256", "sha1")),
        headers(signature=GOOD[:-1] + ("0" if GOOD[-1] != "0" else "1")),
        headers(signature=GOOD.upper()),
        headers(signature="sha256=\u00e4"),
        headers(timestamp=str(NOW + 1), signature=GOOD),
        headers(timestamp=f"0{NOW}", signature=GOOD),
        headers(timestamp="-1", signature=GOOD),
        headers(timestamp="nan", signature=GOOD),
        headers(timestamp="\u0661\u0662", signature=GOOD),
        headers(timestamp="9" * 40, signature=GOOD),
    ],
)
def test_anything_else_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(NotAuthenticated):
        verify(given, BODY, NOW)


def test_every_flipped_byte_of_the_body_is_noticed() -> None:
    for place in range(len(BODY)):
        forged = BODY[:place] + bytes([BODY[place] ^ 1]) + BODY[place + 1 :]
        with pytest.raises(NotAuthenticated):
            verify(headers(), forged, NOW)


@pytest.mark.parametrize("age", [-301, 301, 10**9])
def test_old_or_future_signature_is_refused(age: int) -> None:
    with pytest.raises(NotAuthenticated):
        verify(headers(), BODY, NOW + age)
